"""Hooks: which feature map of a coarser branch enters which of a finer one.

Branches count from the finest spacing: 0 is the target.  Depths count poolings (see :mod:`hooknet.shapes.sizes`).
Source: van Rijthoven et al. 2021, sections 3.2 (2^D r_T >= r_C) and 3.3 (equation 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isclose

from hooknet.errors import ShapeError

# Two spacings that differ by less are one number written with fewer digits.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Hook:
    """From the decoder map of branch ``source`` at ``source_depth`` into ``target`` at ``target_depth``.

    The map enters the target's bottleneck where ``target_depth`` is the depth of the network, else its
    decoder map of that depth, before that is upsampled.
    """

    source: int
    source_depth: int
    target: int
    target_depth: int


def branch_name(branch: int) -> str:
    """``target``, ``context``, then ``context2`` ...: as the official code names its layers, and onwards."""
    return ("target", "context")[branch] if branch < 2 else f"context{branch}"


def check_spacings(spacings: Sequence[float]) -> None:
    """Raise ShapeError unless there are spacings, all above 0 and strictly increasing."""
    if not spacings or not all(0 < spacing < inf for spacing in spacings):
        raise ShapeError(
            f"spacings {list(spacings)} are no list of numbers above 0; give µm/px, finest first"
        )
    if any(coarse <= fine for fine, coarse in pairwise(spacings)):
        raise ShapeError(f"spacings {list(spacings)} do not increase; list each once, finest first")


def hook_depth(target_spacing: float, context_spacing: float, target_depth: int) -> int:
    """Depth in the context's decoder whose maps have the spacing of the target's at ``target_depth``.

    Equation 1 of the paper: 2^(d_C - d_T) r_C / r_T = 1.  ShapeError, with the context spacings that would
    do, where there is no such depth.
    """
    for context_depth in range(target_depth):
        if isclose(2 ** (target_depth - context_depth), context_spacing / target_spacing, rel_tol=TOLERANCE):
            return context_depth
    possible = ", ".join(f"{target_spacing * 2**step:g}" for step in range(1, target_depth + 1))
    raise ShapeError(
        f"no decoder map of a branch at {context_spacing:g} µm/px has the spacing of depth {target_depth} of "
        f"the branch at {target_spacing:g} µm/px ({2**target_depth * target_spacing:g} µm/px); "
        f"use a context at {possible} µm/px"
    )


def chain_hooks(spacings: Sequence[float], depth: int) -> tuple[Hook, ...]:
    """One hook from each branch into the bottleneck of the next finer one, as in the paper.

    ``spacings`` in µm/px, finest first; one spacing gives ().
    """
    check_spacings(spacings)
    return tuple(
        Hook(branch + 1, hook_depth(fine, coarse, depth), branch, depth)
        for branch, (fine, coarse) in enumerate(pairwise(spacings))
    )


def star_hooks(spacings: Sequence[float], depth: int) -> tuple[Hook, ...]:
    """One hook from each context straight into the target's bottleneck; with two branches the paper's chain.

    ShapeError for a context more than 2^depth times as coarse as the target: it has no map that fits.
    """
    check_spacings(spacings)
    return tuple(
        Hook(branch, hook_depth(spacings[0], spacings[branch], depth), 0, depth)
        for branch in range(1, len(spacings))
    )


def check_hooks(hooks: Sequence[Hook], spacings: Sequence[float], depth: int) -> None:
    """Raise ShapeError unless every hook joins maps of one spacing and every context feeds a finer branch.

    Shapes alone do not show a wrong hook: a map of another spacing can be cropped just as well.
    """
    check_spacings(spacings)
    for hook in hooks:
        if not 0 <= hook.target < hook.source < len(spacings):
            raise ShapeError(
                f"a hook from branch {hook.source} to branch {hook.target} of {len(spacings)}; hook a "
                "coarser branch into a finer one, counting from 0, the finest"
            )
        if not 1 <= hook.target_depth <= depth:
            raise ShapeError(f"a hook into depth {hook.target_depth}; use a depth of 1 to {depth}")
        fine, coarse = spacings[hook.target], spacings[hook.source]
        wanted = hook_depth(fine, coarse, hook.target_depth)
        if hook.source_depth != wanted:
            raise ShapeError(
                f"a hook from depth {hook.source_depth} at {coarse:g} µm/px into depth {hook.target_depth} "
                f"at {fine:g} µm/px joins maps of different spacing; use source depth {wanted}"
            )
    if len(set(hooks)) < len(hooks):
        raise ShapeError("the same hook is listed twice; list each once")
    for branch in sorted(set(range(1, len(spacings))) - {hook.source for hook in hooks}):
        raise ShapeError(
            f"the branch at {spacings[branch]:g} µm/px feeds no other; give it a hook or leave it out"
        )
