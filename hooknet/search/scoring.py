"""Macro F1 of trials at the same centres, and how far a difference is a matter of whose slides they are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hooknet.errors import MaskError
from hooknet.io.points import Points
from hooknet.metrics.bootstrap import interval, pooled_f1, resampled_f1

Floats = NDArray[np.float64]

#: With fewer patients cohorts of them say little: then centres are drawn one by one.
FEWEST: Final = 5
#: How sure it has to be that one does better than a simpler one.
SURE: Final = 0.95


@dataclass(frozen=True, eq=False)
class Scored:
    """Systems at the same centres: their F1 and that of drawn cohorts (see :mod:`hooknet.metrics.bootstrap`).

    ``by_patient``: whether cohorts are of patients, else they are of single centres.  ``patients``: how many
    there are, ``drawn_of`` how many a cohort is drawn of.
    """

    names: tuple[str, ...]
    f1: Floats
    drawn: Floats
    by_patient: bool
    patients: int
    drawn_of: int

    def of(self, name: str) -> Floats:
        """F1 of each class, then macro F1: (K + 1,)."""
        found: Floats = self.f1[self.names.index(name)]
        return found

    def macro(self, name: str) -> float:
        """Macro F1."""
        return float(self.of(name)[-1])

    def interval(self, name: str) -> tuple[float, float]:
        """The 95 % interval of macro F1."""
        return interval(self.drawn[:, self.names.index(name), -1], self.drawn_of)

    @cached_property
    def _macros(self) -> dict[str, Floats]:
        return {name: self.drawn[:, at, -1] for at, name in enumerate(self.names)}

    def lead(self, one: str, other: str) -> tuple[float, float, float]:
        """Macro F1 of ``one`` less that of ``other``, and the 95 % interval."""
        low, high = interval(self._macros[one] - self._macros[other], self.drawn_of)
        return self.macro(one) - self.macro(other), low, high

    def share_ahead(self, one: str, other: str, by: float = 0.0) -> float:
        """Share of cohorts in which ``one`` is ahead of ``other`` by more than ``by``."""
        ahead = self._macros[one] - self._macros[other] > by
        return float(np.nanmean(ahead))

    def keeps_up(self, simple: str, best: str, tolerance: float) -> bool:
        """Whether it is not shown that ``best`` does better by more than ``tolerance``."""
        return self.share_ahead(best, simple, tolerance) < SURE


def score(
    predicted: Mapping[str, NDArray[np.uint8]],
    labels: NDArray[np.uint8],
    patients: Sequence[str],
    classes: int,
) -> Scored:
    """Systems' classes (n,) against the labels, 1..``classes``; ``patients``: whose each centre is."""
    groups, by_patient = groups_of(patients)
    shape = (int(groups.max()) + 1, classes, classes + 1)
    counts = np.zeros((len(predicted), *shape), np.int64)
    for one, found in zip(counts, predicted.values(), strict=True):
        np.add.at(one, (groups, labels.astype(np.int64) - 1, found.astype(np.int64)), 1)
    f1, drawn = pooled_f1(counts.sum(axis=1)), resampled_f1(counts)
    return Scored(tuple(predicted), f1, drawn, by_patient, len(set(patients)), counts.shape[1])


def groups_of(patients: Sequence[str]) -> tuple[NDArray[np.int64], bool]:
    """A number for each centre, the same for all of a patient; with fewer than five patients one of its own each."""
    names, numbers = np.unique(np.asarray(patients, np.str_), return_inverse=True)
    if len(names) < FEWEST:
        return np.arange(len(patients), dtype=np.int64), False
    return numbers.astype(np.int64), True


def same_centres(points: Mapping[str, Points]) -> Points:
    """Any of them, once it is checked that all are about the same centres; MaskError where they are not."""
    first, *others = points
    for other in others:
        if not points[first].are_those_of(points[other]):
            raise MaskError(
                f"trials {first} and {other} predicted different centres, wanted the same; train both again"
            )
    return points[first]
