"""Scores of experiments with intervals over patients, and of their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.evaluation.system import MACRO, System
from hooknet.metrics.bootstrap import interval, pooled_f1, resampled_f1
from hooknet.metrics.confusion import merge

INTERVALS = ("experiment", "class", "f1", "low", "high", "patients")
DIFFERENCES = ("first", "second", "class", "difference", "low", "high", "patients")


def intervals(
    systems: Sequence[System], names: Sequence[str], patients: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """F1 of every experiment and class, and differences of F1 of every pair, with 95 % intervals.

    INTERVALS has each class, then ``macro``; DIFFERENCES (first - second) has ``macro``, then each class.  Over
    the slides that all systems were tested on, pooled; seeds of an experiment are averaged.  An interval says how
    the score would move with other patients (bootstrap over patients, all slides of one together; 2,000 cohorts
    from a fixed seed), not with other seeds of training; with few patients it is too narrow.  Empty with less
    than two patients.
    """
    slides = sorted(set.intersection(*(set(one.slides) for one in systems))) if systems else []
    whose = {slide: patients.get(slide, slide) for slide in slides}
    order = sorted(set(whose.values()))
    if len(order) < 2:
        return pd.DataFrame(columns=list(INTERVALS)), pd.DataFrame(columns=list(DIFFERENCES))
    counts = np.stack([_by_patient(one, whose, order, len(names)) for one in systems])
    found, drawn = pooled_f1(counts.sum(axis=1)), resampled_f1(counts)
    rows: dict[str, list[int]] = {}
    for number, one in enumerate(systems):
        rows.setdefault(one.experiment, []).append(number)
    # A class that a cohort lacks is lacking for all seeds: the mean over seeds is nan for all or none.
    score = {name: found[mine].mean(axis=0) for name, mine in rows.items()}
    cohorts = {name: drawn[:, mine].mean(axis=1) for name, mine in rows.items()}
    columns = [*enumerate(names), (len(names), MACRO)]
    of_scores = [
        (name, one, score[name][at], *interval(cohorts[name][:, at]), len(order))
        for name in rows
        for at, one in columns
    ]
    of_differences = [
        (a, b, one, score[a][at] - score[b][at], *interval(cohorts[a][:, at] - cohorts[b][:, at]), len(order))
        for a, b in combinations(rows, 2)
        for at, one in (columns[-1], *columns[:-1])
    ]
    return _table(INTERVALS, of_scores), _table(DIFFERENCES, of_differences)


def _by_patient(
    system: System, whose: Mapping[str, str], order: Sequence[str], classes: int
) -> NDArray[np.int64]:
    """Counts (patients, K, K + 1) of a system."""
    return np.stack(
        [merge((system.slides[slide] for slide in whose if whose[slide] == one), classes) for one in order]
    )


def _table(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns))
