"""Tukey's honestly significant difference of the F1 of slides: the test that H2G-Net was published with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hooknet.evaluation.pairs import slide_means
from hooknet.evaluation.score_tables import f1_column

LEVEL = 0.95
TUKEY = ("class", "first", "second", "difference", "low", "high", "p", "n_first", "n_second")
# Scores are 0..1: a variance below this is rounding.
NO_VARIANCE = 1e-20

Floats = NDArray[np.float64]


def tukey(slide_scores: pd.DataFrame, names: Sequence[str], by: str) -> pd.DataFrame:
    """Tukey's test (Tukey-Kramer) of each class's F1 per slide, for every pair of what column ``by`` names.

    ``slide_scores``: of :func:`hooknet.evaluation.score_tables.slide_scores`.  Experiments are tested on the mean
    over their seeds.  ``difference`` is of the means over slides (first - second), ``low`` and ``high`` its
    simultaneous 95 % interval; p is adjusted for all pairs of its class.  Slides without truth of a class are
    not in its test, systems with less than two slides neither.  p and interval are nan where the F1 of no system
    varies over slides.

    As published (Pedersen et al. 2022), to compare with: it takes the slides of two systems for independent ones.
    They are the same slides, hard ones being hard for all systems, so what slides differ by hides what systems
    differ by.  The paired tests of :mod:`hooknet.evaluation.pairs` are the ones to rely on.
    """
    groups = {str(name): rows for name, rows in slide_scores.groupby(by, sort=False)}
    found: list[tuple[object, ...]] = []
    for name in names:
        scores = {
            group: np.array([*slide_means(rows, f1_column(name)).values()]) for group, rows in groups.items()
        }
        tested = {group: one for group, one in scores.items() if one.size > 1}
        found += [(name, *row) for row in _pairs(tested)]
    return pd.DataFrame(found, columns=list(TUKEY))


def _pairs(scores: Mapping[str, Floats]) -> list[tuple[object, ...]]:
    """A row (without its class) per pair of systems, each of at least two scores."""
    freedom = sum(one.size - 1 for one in scores.values())
    squares = sum(float(np.sum((one - one.mean()) ** 2)) for one in scores.values())
    rows: list[tuple[object, ...]] = []
    for first, second in combinations(scores, 2):
        one, other = scores[first], scores[second]
        difference = float(one.mean() - other.mean())
        # Of a mean's difference, over the square root of 2: what the studentised range counts in.
        error = float(np.sqrt(squares / freedom * (1 / one.size + 1 / other.size) / 2))
        p = reach = float("nan")
        if squares / freedom > NO_VARIANCE:
            p = float(stats.studentized_range.sf(abs(difference) / error, len(scores), freedom))
            reach = error * _critical(len(scores), freedom)
        rows.append(
            (first, second, difference, difference - reach, difference + reach, p, one.size, other.size)
        )
    return rows


@lru_cache
def _critical(systems: int, freedom: int) -> float:
    """Of the studentised range; it takes a tenth of a second, and is the same for most classes."""
    return float(stats.studentized_range.ppf(LEVEL, systems, freedom))
