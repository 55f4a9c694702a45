"""What a search may choose between, and how its budget is shared out, as arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

from hooknet.errors import ConfigError

#: Trials that the last rung has.
FINALISTS: Final = 2


@dataclass(frozen=True, order=True)
class Candidate:
    """One system a search may choose: a single view, or views that are hooked.

    Sorted by views, then by spacings: of two that do as well, the first is the simpler.  ``spacings`` in µm/px, finest
    first.  ``merge`` and ``target_weight`` (the paper's λ) are None for a single view.
    """

    views: int
    spacings: tuple[float, ...]
    merge: str | None = None
    target_weight: float | None = None

    @property
    def view(self) -> str:
        """The spacings alone: ``1+8``."""
        return "+".join(f"{one:g}" for one in self.spacings)

    @property
    def suffix(self) -> str:
        """What the name of its run ends with: ``1_8_concat_0.75``."""
        parts = [f"{one:g}" for one in self.spacings]
        if self.merge is not None and self.target_weight is not None:
            parts += [self.merge, f"{self.target_weight:g}"]
        return "_".join(parts)

    @property
    def loss_weights(self) -> tuple[float, ...] | None:
        """λ for the target, the rest in equal parts for its contexts; None for a single view."""
        if self.target_weight is None:
            return None
        contexts = self.views - 1
        return (self.target_weight, *[(1 - self.target_weight) / contexts] * contexts)


def single(spacing: float) -> Candidate:
    """The candidate that sees one spacing."""
    return Candidate(1, (spacing,))


@dataclass(frozen=True)
class Rungs:
    """Successive halving (Jamieson and Talwalkar 2016): ``sizes`` trials, trained for ``epochs`` in all, rung by rung.

    The first rung has the single views and the combinations that enter; from each the better ones go on.
    """

    epochs: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def last(self) -> int:
        """The number of the last rung."""
        return len(self.epochs) - 1


@dataclass(frozen=True)
class Work:
    """What trials cost an epoch: of the single views together, of one combination at most, of any candidate at most.

    In epochs of the cheapest candidate.  A single view may be the ``dearest``: no hook ends its decoder early.
    """

    singles: float
    combination: float
    dearest: float

    def of(self, rungs: Rungs, entrants: int) -> float:
        """Of all rungs; who goes on is not known, so that each counts as the dearest."""
        total = rungs.epochs[0] * (self.singles + entrants * self.combination)
        for (before, _), (epochs, size) in pairwise(zip(rungs.epochs, rungs.sizes, strict=True)):
            total += (epochs - before) * size * self.dearest
        return total


def rung_sizes(trials: int, reduction: int) -> tuple[int, ...]:
    """How many trials each rung has: a part of one in ``reduction`` goes on, down to two."""
    sizes = [trials]
    while sizes[-1] > FINALISTS:
        sizes.append(max(FINALISTS, ceil(sizes[-1] / reduction)))
    return tuple(sizes)


def share_out(
    sizes: tuple[int, ...], entrants: int, reduction: int, wanted: float, epochs: int, work: Work
) -> Rungs:
    """The longest rungs of ``sizes`` whose trials together cost at most ``wanted`` epochs of the cheapest candidate.

    Every rung trains ``reduction`` times as long as the one before, and none longer than ``epochs``.  ConfigError
    where the first would not train one epoch.
    """
    for first in range(epochs, 0, -1):
        rungs = Rungs(tuple(min(epochs, first * reduction**number) for number in range(len(sizes))), sizes)
        if work.of(rungs, entrants) <= wanted:
            return rungs
    raise ConfigError(
        f"its budget gives {sizes[0]} trials not one of {epochs} epochs each; raise train.epochs (and lower "
        "train.steps), raise the budget, or lower `entrants`"
    )


def stretched(
    first: int, sizes: tuple[int, ...], entrants: int, wanted: float, epochs: int, work: Work
) -> Rungs:
    """The longest rungs of ``sizes`` after a first of ``first`` epochs, in geometric steps, none above ``epochs``.

    For when it is known how many combinations enter: what the others would have cost makes later rungs longer.
    """
    steps = len(sizes) - 1
    for last in range(epochs, first, -1):
        rungs = Rungs(
            tuple(round(first * (last / first) ** (number / steps)) for number in range(len(sizes))), sizes
        )
        if work.of(rungs, entrants) <= wanted:
            return rungs
    return Rungs(tuple(min(epochs, first + number) for number in range(len(sizes))), sizes)
