"""Scores of experiments with intervals over patients, and of their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.evaluation.system import MACRO, System
from hooknet.metrics.bootstrap import interval, pooled_f1, resampled_f1
from hooknet.metrics.confusion import merge

INTERVALS = ("experiment", "class", "f1", "low", "high", "patients")
Floats = NDArray[np.float64]
DIFFERENCES = ("first", "second", "class", "difference", "low", "high", "patients")


@dataclass(frozen=True)
class _Cohorts:
    """Of each experiment the scores (K + 1,) on some slides, and those of drawn cohorts (draws, K + 1)."""

    score: Mapping[str, Floats]
    drawn: Mapping[str, Floats]
    patients: int


def intervals(
    systems: Sequence[System], names: Sequence[str], patients: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """F1 of every experiment and class, and differences of F1 of every pair, with 95 % intervals.

    INTERVALS has each class, then ``macro``, over the slides that all systems were tested on; DIFFERENCES (first -
    second) has ``macro``, then each class, over those that the systems of the pair were tested on.  Pixels are
    pooled; seeds of an experiment are averaged.  An interval says how the score would move with other patients
    (bootstrap over patients, all slides of one together; 2,000 cohorts from a fixed seed), not with other seeds of
    training.  None where there are less than two patients.
    """
    members: dict[str, list[System]] = {}
    for one in systems:
        members.setdefault(one.experiment, []).append(one)
    shared = _common(systems)
    whole = _cohorts(members, shared, patients, len(names))
    columns = [*enumerate(names), (len(names), MACRO)]
    of_scores: list[tuple[object, ...]] = []
    if whole is not None:
        of_scores = [
            (
                name,
                one,
                whole.score[name][at],
                *interval(whole.drawn[name][:, at], whole.patients),
                whole.patients,
            )
            for name in members
            for at, one in columns
        ]
    of_differences: list[tuple[object, ...]] = []
    for first, second in combinations(members, 2):
        pair = {first: members[first], second: members[second]}
        slides = _common([*members[first], *members[second]])
        found = whole if slides == shared else _cohorts(pair, slides, patients, len(names))
        if found is not None:
            for at, name in (columns[-1], *columns[:-1]):
                difference = found.score[first][at] - found.score[second][at]
                drawn = found.drawn[first][:, at] - found.drawn[second][:, at]
                of_differences.append(
                    (first, second, name, difference, *interval(drawn, found.patients), found.patients)
                )
    return _table(INTERVALS, of_scores), _table(DIFFERENCES, of_differences)


def _common(systems: Sequence[System]) -> list[str]:
    """The slides that all of them were tested on."""
    return sorted(set.intersection(*(set(one.slides) for one in systems))) if systems else []


def _cohorts(
    members: Mapping[str, Sequence[System]], slides: Sequence[str], patients: Mapping[str, str], classes: int
) -> _Cohorts | None:
    """None with less than two patients."""
    whose = {slide: patients.get(slide, slide) for slide in slides}
    order = sorted(set(whose.values()))
    if len(order) < 2:
        return None
    systems = [one for several in members.values() for one in several]
    counts = np.stack([_by_patient(one, whose, order, classes) for one in systems])
    found, drawn = pooled_f1(counts.sum(axis=1)), resampled_f1(counts)
    mine = {name: [at for at, one in enumerate(systems) if one.experiment == name] for name in members}
    # A class that a cohort lacks is lacking for all seeds: the mean over seeds is nan for all or none.
    return _Cohorts(
        {name: found[places].mean(axis=0) for name, places in mine.items()},
        {name: drawn[:, places].mean(axis=1) for name, places in mine.items()},
        len(order),
    )


def _by_patient(
    system: System, whose: Mapping[str, str], order: Sequence[str], classes: int
) -> NDArray[np.int64]:
    """Counts (patients, K, K + 1) of a system."""
    return np.stack(
        [merge((system.slides[slide] for slide in whose if whose[slide] == one), classes) for one in order]
    )


def _table(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns))
