"""Pooled F1 of cohorts drawn again and again from the patients at hand: how far a score is a matter of who they are."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Floats = NDArray[np.float64]

DRAWS = 2000
COVERAGE = 0.95


def resampled_f1(counts: NDArray[np.int64], draws: int = DRAWS, seed: int = 1) -> Floats:
    """F1 of each class, then macro F1, of ``draws`` cohorts: (draws, systems, K + 1).

    ``counts`` (systems, patients, K, K + 1): those of all slides of a patient added up (see
    :func:`hooknet.metrics.confusion.count`).  A cohort is as many patients, drawn with replacement, the same
    ones for every system.  A class without truth in a cohort is nan there and left out of its macro F1, as in
    :mod:`hooknet.metrics.scores`.
    """
    patients = counts.shape[1]
    rng = np.random.default_rng(seed)
    times = rng.multinomial(patients, np.full(patients, 1 / patients), size=draws)
    # As floats for one matrix product: exact, as pixels stay far below 2^53.
    return pooled_f1(np.tensordot(times.astype(np.float64), counts.astype(np.float64), axes=(1, 1)))


def pooled_f1(counts: NDArray[np.int64] | Floats) -> Floats:
    """F1 of each class, then macro F1, of count matrices (..., K, K + 1): (..., K + 1)."""
    support = counts.sum(axis=-1)
    predicted = counts[..., 1:].sum(axis=-2)
    right = np.diagonal(counts[..., 1:], axis1=-2, axis2=-1)
    present = support > 0
    f1 = np.where(present, 2 * right / np.maximum(support + predicted, 1), np.nan)
    number = present.sum(axis=-1, keepdims=True)
    total = np.where(present, f1, 0.0).sum(axis=-1, keepdims=True)
    macro = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return np.concatenate([f1, macro], axis=-1)


def interval(values: Floats, patients: int) -> tuple[float, float]:
    """Percentiles of the scores (draws,) of cohorts between which the score of other patients lies in ``COVERAGE``.

    They are further out than the name says, as cohorts drawn of n patients vary by sqrt((n - 1) / n) too little, and
    few patients tell little of how much they vary: the expanded percentile interval of Hesterberg, "What Teachers
    Should Know About the Bootstrap", 2015.  Cohorts without a score (nan) are left out; nan where all are.
    """
    kept = values[~np.isnan(values)]
    if not kept.size:
        return float("nan"), float("nan")
    beyond = outside(patients) / 2
    low, high = np.quantile(kept, [beyond, 1 - beyond])
    return float(low), float(high)


def outside(patients: int) -> float:
    """The share of drawn cohorts that an interval leaves out; 1 - ``COVERAGE`` of very many patients."""
    if patients < 2:
        return 0.0
    steps = sqrt(patients / (patients - 1)) * stdtrit(patients - 1, (1 + COVERAGE) / 2)
    return float(2 * ndtr(-steps))
