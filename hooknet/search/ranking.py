"""Steps 1 and 2 of a search: what each spacing tells of each class, and which combinations complement each other.

Combinations are ranked by the macro F1 of the pool of their single views (:mod:`hooknet.search.pool`).  Two simpler
statistics stand beside it, and are not ranked by:

- *ceiling*: the mean over classes of the best F1 that one of the views reaches.  It misses what views tell together:
  where one knows A or B from C, and the other A from B or C, both together know all three.
- *none right*, and *double fault* of two views (Giacinto and Roli 2001): the share of centres that all get wrong, each
  class counting the same.  It flatters: of two views that guess, one is right more often than each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.config.candidates import Candidate, single
from hooknet.evaluation.system import MACRO
from hooknet.io.points import Points
from hooknet.metrics.bootstrap import interval
from hooknet.search.pool import pooled
from hooknet.search.scoring import Scored, groups_of, same_centres, score

Floats = NDArray[np.float64]

VIEWS: Final = ("spacing", "class", "f1", "low", "high")
OVERLAP: Final = ("first", "second", "class", "first_right", "second_right", "double_fault", "either_right")
RANKING: Final = (
    "rank",
    "view",
    "views",
    "pooled_f1",
    "low",
    "high",
    "gain",
    "gain_low",
    "gain_high",
    "ceiling",
    "none_right",
    "keeps_up",
)


@dataclass(frozen=True, eq=False)
class SingleViews:
    """What the single views of a search predict at the same centres; ``patients``: whose each centre is."""

    points: Mapping[float, Points]
    patients: Sequence[str]

    @property
    def any(self) -> Points:
        """Centres and labels, which all share; MaskError where they do not."""
        return same_centres({f"of {spacing:g} µm/px": one for spacing, one in self.points.items()})

    @property
    def right(self) -> dict[float, NDArray[np.bool_]]:
        """Which centres each gets right."""
        labels = self.any.labels
        return {spacing: one.predicted == labels for spacing, one in self.points.items()}


def curves(views: SingleViews) -> pd.DataFrame:
    """VIEWS: F1 of each class and macro F1 against spacing, with 95 % intervals: the paper's own evidence."""
    any_, found = views.any, _alone(views)
    rows = []
    for at, spacing in enumerate(views.points):
        for column, name in enumerate((*any_.names, MACRO)):
            low, high = interval(found.drawn[:, at, column], found.drawn_of)
            rows.append((spacing, name, found.f1[at, column], low, high))
    return pd.DataFrame(rows, columns=list(VIEWS))


def overlap(views: SingleViews) -> pd.DataFrame:
    """OVERLAP: of each pair of spacings and each class, the share of centres that one, both or none get right.

    The row ``macro`` is the mean over classes.
    """
    any_, right = views.any, views.right
    rows = []
    for first, second in combinations(views.points, 2):
        shares = np.array(
            [
                _overlap(right[first][any_.labels == value], right[second][any_.labels == value])
                for value in np.unique(any_.labels)
            ]
        )
        present = [any_.names[value - 1] for value in np.unique(any_.labels)]
        for name, row in zip((*present, MACRO), (*shares, shares.mean(axis=0)), strict=True):
            rows.append((first, second, name, *row))
    return pd.DataFrame(rows, columns=list(OVERLAP))


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    return float(one.mean()), float(other.mean()), float((~one & ~other).mean()), float((one | other).mean())


def ranking(views: SingleViews, wanted: Sequence[tuple[float, ...]], tolerance: float) -> pd.DataFrame:
    """RANKING of the single views and the combinations ``wanted``, best first.

    ``gain``: pooled macro F1 above that of the best single view, which is pooled alone; with 95 % intervals.
    ``keeps_up``: whether no combination is shown to tell more, by more than the tolerance.
    """
    any_ = views.any
    groups, _ = groups_of(views.patients)
    every = [*((spacing,) for spacing in views.points), *wanted]
    told = {
        _view(one): pooled(
            [views.points[spacing].probabilities for spacing in one], any_.labels, groups
        ).argmax(axis=1)
        + 1
        for one in every
    }
    found = score(
        {name: one.astype(np.uint8) for name, one in told.items()},
        any_.labels,
        views.patients,
        len(any_.names),
    )
    best = max((single(spacing).view for spacing in views.points), key=found.macro)
    first = max((_view(one) for one in wanted), key=found.macro)
    alone = _alone(views)
    rows = []
    for one in every:
        name = _view(one)
        rows.append(
            (
                0,
                name,
                len(one),
                found.macro(name),
                *found.interval(name),
                *found.lead(name, best),
                float(np.nanmean(np.nanmax([alone.of(f"{spacing:g}")[:-1] for spacing in one], axis=0))),
                _none_right(views, one),
                found.keeps_up(name, first, tolerance),
            )
        )
    table = pd.DataFrame(rows, columns=list(RANKING))
    # Of two that tell as much the simpler one, which stands first.
    table = table.sort_values("pooled_f1", ascending=False, kind="stable", ignore_index=True)
    return table.assign(rank=range(1, len(table) + 1))


def entering(
    table: pd.DataFrame, variants: Mapping[str, Sequence[Candidate]], entrants: int
) -> list[Candidate]:
    """The candidates that are trained: of combinations in the order of their rank, each in all its variants.

    ``variants``: view -> its candidates.  Only combinations that keep up, and as many candidates as ``entrants``: the
    last combination may enter with some of its variants only.
    """
    order = [name for name in table.loc[table["keeps_up"], "view"] if name in variants]
    return [one for name in order for one in variants[name]][:entrants]


def _view(spacings: tuple[float, ...]) -> str:
    return Candidate(len(spacings), spacings).view


def _alone(views: SingleViews) -> Scored:
    any_ = views.any
    return score(
        {f"{spacing:g}": one.predicted for spacing, one in views.points.items()},
        any_.labels,
        views.patients,
        len(any_.names),
    )


def _none_right(views: SingleViews, spacings: tuple[float, ...]) -> float:
    labels, right = views.any.labels, views.right
    wrong = np.all([~right[spacing] for spacing in spacings], axis=0)
    return float(np.mean([wrong[labels == value].mean() for value in np.unique(labels)]))
