"""What a network of hooked branches looks like: its hooks, its seamless tiles, its widths and its work.

Branches count from the finest spacing: 0 is the target.  Depths count poolings (see :mod:`hooknet.sizes`).
Source: van Rijthoven et al. 2021, sections 3.2 (2^D r_T >= r_C) and 3.3 (equation 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isclose, log2
from typing import Literal

from hooknet.coordinates import PatchSpec
from hooknet.errors import ShapeError
from hooknet.sizes import check_network, decoder_sizes, output_size

Activation = Literal["relu", "leaky_relu"]
Merge = Literal["concat", "add", "subtract", "multiply"]

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


def stride_unit(spacings: Sequence[float], depth: int) -> int:
    """Target px of whose multiples tiles may be apart so that all branches pool on the same grid.

    2^D r_max / r_T: every branch then moves by a multiple of 2^D of its own px, so that the same tissue gives
    the same numbers in every tile.
    """
    check_spacings(spacings)
    for ratio in (spacing / spacings[0] for spacing in spacings):
        if not isclose(ratio, 2 ** round(log2(ratio)), rel_tol=TOLERANCE):
            raise ShapeError(
                f"spacings {list(spacings)} cannot be tiled without seams; use powers of two of the finest"
            )
    return 1 << (depth + round(log2(spacings[-1] / spacings[0])))


def tile_sizes(patch_size: int, depth: int, at_most: int) -> range:
    """Sizes of inference tiles in px, from the training patch up to ``at_most``.

    They differ by 2^(D + 1), so that the pooling grid lies about the centre as it did in training.
    """
    return range(patch_size, at_most + 1, 2 ** (depth + 1))


def largest_stride(tile_size: int, spacings: Sequence[float], depth: int, convolutions: int = 2) -> int:
    """The largest multiple of the stride unit that the output of a tile holds; 0 where it holds none."""
    unit = stride_unit(spacings, depth)
    return output_size(tile_size, depth, convolutions) // unit * unit


def inference_tile(
    patch_size: int, spacings: Sequence[float], depth: int, convolutions: int, at_most: int
) -> tuple[int, int]:
    """(tile size, stride) in px: the longest stride that tiles of ``at_most`` px allow, in the smallest tile.

    Where ``at_most`` is too small for one stride unit, the smallest tile that holds one.  Put tile centres
    on multiples of the stride from the slide's origin and keep [centre - stride / 2, centre + stride / 2).
    """
    stride = stride_unit(spacings, depth)
    allowed = tile_sizes(patch_size, depth, at_most)
    if allowed:
        stride = max(stride, largest_stride(allowed[-1], spacings, depth, convolutions))
    tile_size = patch_size
    while output_size(tile_size, depth, convolutions) < stride:
        tile_size += 2 ** (depth + 1)
    return tile_size, stride


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """What a network is built from; ShapeError when sizes or spacings would misalign.

    ``spacings`` in µm/px, finest (target) first.  ``hooks``: None for the chain of the paper.
    ``loss_weights``: one per branch, None for the target alone.
    ``batch_norm_momentum``: share of the running statistics that a step keeps, as Keras counts (torch: 1 - it).
    """

    spacings: tuple[float, ...]
    classes: int
    filters: int
    depth: int = 4
    convolutions: int = 2
    batch_norm: bool = True
    batch_norm_momentum: float = 0.99
    activation: Activation = "relu"
    merge: Merge = "concat"
    hooks: tuple[Hook, ...] | None = None
    loss_weights: tuple[float, ...] | None = None
    patch_size: int

    def __post_init__(self) -> None:
        if self.classes < 1 or self.filters < 1:
            raise ShapeError(
                f"a network of {self.classes} classes and {self.filters} filters; use at least 1 of each"
            )
        check_network(self.depth, self.convolutions)
        check_hooks(self.all_hooks, self.spacings, self.depth)
        decoder_sizes(self.patch_size, self.depth, self.convolutions, self.hooked)
        weights = self.all_loss_weights
        if len(weights) != len(self.spacings) or not all(0 <= weight < inf for weight in weights):
            raise ShapeError(
                f"loss weights {list(weights)} for {len(self.spacings)} spacings; "
                "give each a number of 0 or more"
            )
        if weights[0] == 0:
            raise ShapeError("the target's loss weight is 0, so its decoder would not learn; use one above 0")
        for hook in self.all_hooks:
            finest = self.finest_depths[hook.target]
            if hook.target_depth < finest:
                raise ShapeError(
                    f"a hook into depth {hook.target_depth} of branch {hook.target}, which is used only down "
                    f"to depth {finest}; hook it in there or deeper, or give that branch a loss weight"
                )

    @property
    def all_hooks(self) -> tuple[Hook, ...]:
        """The hooks, spelled out where the settings leave them to the paper's chain."""
        return chain_hooks(self.spacings, self.depth) if self.hooks is None else self.hooks

    @property
    def all_loss_weights(self) -> tuple[float, ...]:
        """One loss weight per branch, target first."""
        return (1.0, *[0.0] * (len(self.spacings) - 1)) if self.loss_weights is None else self.loss_weights

    @property
    def hooked(self) -> bool:
        """Whether branches are hooked together, which allows fewer sizes (see :mod:`hooknet.sizes`)."""
        return bool(self.all_hooks)

    @property
    def finest_depths(self) -> tuple[int, ...]:
        """Per branch, the finest decoder depth that is of any use; what lies below is not built.

        0 for a branch with a loss, else the finest depth that a hook takes.
        """
        taken = [[hook.source_depth for hook in self.all_hooks if hook.source == b] for b in self._branches]
        return tuple(0 if w > 0 else min(t) for w, t in zip(self.all_loss_weights, taken, strict=True))

    @property
    def _branches(self) -> range:
        return range(len(self.spacings))


@dataclass(frozen=True)
class NetworkShape:
    """Sizes, channels and work that follow from the settings."""

    settings: NetworkSettings

    @property
    def patch_spec(self) -> PatchSpec:
        """Size and spacings of the patches to read, and the size of the output."""
        of = self.settings
        return PatchSpec(of.patch_size, output_size(of.patch_size, of.depth, of.convolutions), of.spacings)

    @property
    def output_branches(self) -> tuple[int, ...]:
        """Branches that predict classes: the target, then those with a loss."""
        return tuple(branch for branch, weight in enumerate(self.settings.all_loss_weights) if weight > 0)

    @property
    def fields_of_view(self) -> tuple[float, ...]:
        """Side of the patch of each branch in µm, target first."""
        return tuple(self.settings.patch_size * spacing for spacing in self.settings.spacings)

    def hooks_into(self, branch: int, depth: int) -> tuple[Hook, ...]:
        """The hooks that enter a branch at one depth, in the order in which they are merged."""
        return tuple(h for h in self.settings.all_hooks if (h.target, h.target_depth) == (branch, depth))

    def hook_name(self, hook: Hook) -> str:
        """``hook`` as in the official code, then ``hook1`` ...: unique within the branch it enters."""
        position = [h for h in self.settings.all_hooks if h.target == hook.target].index(hook)
        return f"hook{position or ''}"

    def block_width(self, depth: int) -> int:
        """Channels of the blocks at one depth: 2^d F, but 2 (D + 1) F at the bottleneck (official code)."""
        of = self.settings
        return of.filters * (2 * (of.depth + 1) if depth == of.depth else 2**depth)

    def map_width(self, branch: int, depth: int) -> int:
        """Channels of the decoder's map at one depth, with those of hooks into it."""
        width = self.block_width(depth)
        if self.settings.merge == "concat":
            hooks = self.hooks_into(branch, depth)
            width += sum(self.map_width(hook.source, hook.source_depth) for hook in hooks)
        return width

    def hook_margin(self, hook: Hook, patch_size: int | None = None) -> int:
        """Pixels cropped from each side of a hooked map, for patches of the training size or another."""
        sizes = self.decoder_sizes(patch_size)
        return (sizes[hook.source_depth] - sizes[hook.target_depth]) // 2

    def decoder_sizes(self, patch_size: int | None = None) -> list[int]:
        """Sizes of the decoder's maps, indexed by depth, for patches of the training size or another."""
        of = self.settings
        return decoder_sizes(patch_size or of.patch_size, of.depth, of.convolutions, of.hooked)
