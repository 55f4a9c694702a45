"""Whether two systems differ on the same slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

# Up to this many pairs scipy's exact null distribution is quick; with ties it has to list all 2^n signs.
EXACT_PAIRS = 50
EXACT_PAIRS_WITH_TIES = 13


@dataclass(frozen=True)
class Wilcoxon:
    """A two-sided Wilcoxon signed-rank test of paired scores ``first`` and ``second``.

    ``n`` pairs, ``n_nonzero`` of them with a difference; ``statistic`` is the smaller of the two rank sums;
    ``median_difference`` is of first - second over all n pairs; ``effect`` is the matched-pairs rank-biserial
    correlation (Kerby 2014), -1..1, positive where ``first`` is higher; ``method`` says how p was found.
    """

    n: int
    n_nonzero: int
    statistic: float
    p: float
    median_difference: float
    effect: float
    method: str


def wilcoxon(first: ArrayLike, second: ArrayLike) -> Wilcoxon:
    """The signed-rank test of two equally long 1-D sequences of scores, paired by position.

    Pairs with a nan in them are left out; pairs without a difference are dropped before ranking (Wilcoxon's
    own rule).  p is exact for up to 50 differences (13 if some are tied), else by the normal approximation
    corrected for ties.  No pair at all: p and effect are nan; no difference at all: p = 1, effect = 0.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"scores of {one.shape} and {other.shape} cannot be paired")
    difference = one - other
    difference = difference[~np.isnan(difference)]
    nonzero = difference[difference != 0]
    if not difference.size:
        nan = float("nan")
        return Wilcoxon(0, 0, nan, nan, nan, nan, "no pairs")
    median = float(np.median(difference))
    if not nonzero.size:
        return Wilcoxon(difference.size, 0, 0.0, 1.0, median, 0.0, "no differences")
    result, method = _signed_rank(nonzero)
    return Wilcoxon(
        n=difference.size,
        n_nonzero=nonzero.size,
        statistic=float(result.statistic),
        p=float(result.pvalue),
        median_difference=median,
        effect=_rank_biserial(nonzero),
        method=method,
    )


def _rank_biserial(nonzero: NDArray[np.float64]) -> float:
    """Of the sum of ranks the share that favours the first system, less the share that favours the second."""
    ranks = stats.rankdata(np.abs(nonzero))
    return float(np.sum(np.sign(nonzero) * ranks) / np.sum(ranks))


def _signed_rank(nonzero: NDArray[np.float64]) -> tuple[Any, str]:
    ties = len(np.unique(np.abs(nonzero))) < nonzero.size
    if not ties and nonzero.size <= EXACT_PAIRS:
        return stats.wilcoxon(nonzero, method="exact"), "exact"
    if ties and nonzero.size <= EXACT_PAIRS_WITH_TIES:
        # 2^n resamples make scipy list every sign pattern once: nothing here is random.
        every = stats.PermutationMethod(n_resamples=2**nonzero.size)
        return stats.wilcoxon(nonzero, method=every), "exact, ties"
    return stats.wilcoxon(nonzero, method="approx"), "normal approximation"


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that the exact test can reach: of the 2^n patterns of signs, 2 are as far out.

    1 for a single pair, and for none.
    """
    return min(1.0, 2.0 ** (1 - pairs))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values for several tests, in the order given; nan stays nan.

    A nan is a test that could not be made: it does not add to the number of tests.
    """
    p = np.array(p_values, np.float64)
    tested = ~np.isnan(p)
    if tested.any():
        p[tested] = multipletests(p[tested], method="holm")[1]
    return [float(one) for one in p]
