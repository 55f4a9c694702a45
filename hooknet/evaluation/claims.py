"""What may be said of a difference between two systems, and what may not: a sentence per pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hooknet.evaluation.system import MACRO
from hooknet.metrics.statistics import holm, smallest_p

ALPHA = 0.05
CLAIMS = (
    "first",
    "second",
    "n",
    "patients",
    "smallest_p",
    "smallest_p_holm",
    "p_holm",
    "difference",
    "low",
    "high",
    "claim",
)


@dataclass(frozen=True)
class Evidence:
    """What is known of a pair: its test over ``n`` slides of ``patients``, and its interval over patients.

    ``smallest_p``: the smallest p that n slides can give; ``smallest_p_holm``: the same after adjustment, had
    all pairs of the table reached theirs.  ``effect``: rank-biserial, positive where ``first`` is higher on the
    slides.  ``difference`` (first - second) of pooled macro F1, 0..1, with ``low`` and ``high``: nan where there
    is no interval.  ``training``: which weights the scores are of.  ``smallest_p_patients``: as ``smallest_p_holm``,
    had each patient one score.
    """

    first: str
    second: str
    n: int
    patients: int
    smallest_p: float
    smallest_p_holm: float
    p_holm: float
    effect: float
    difference: float
    low: float
    high: float
    training: str = "under this training"
    smallest_p_patients: float = float("nan")


def claims(
    tests: pd.DataFrame, differences: pd.DataFrame, experiments: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """What may be claimed of macro F1, a row per pair (see CLAIMS).

    ``tests`` (of :func:`hooknet.evaluation.pairs.pair_tests`) are of experiments with several seeds, or of
    systems; of the latter ``experiments`` has the names that ``differences`` (of
    :func:`hooknet.evaluation.intervals.intervals`) knows them by.
    """
    macro = tests[tests["class"] == MACRO]
    reachable = [smallest_p(int(n)) if n else float("nan") for n in macro["n"]]
    # Holm's p never falls when one of the p rises: this is the least that each pair can come to.
    adjusted = holm(reachable)
    of_patients = holm([smallest_p(int(n)) if n else float("nan") for n in macro["patients"]])
    training = "under this training" if experiments else "on average over these trainings"
    intervals = _intervals(differences)
    rows = []
    for row, smallest, smallest_holm, smallest_patients in zip(
        macro.to_dict("records"), reachable, adjusted, of_patients, strict=True
    ):
        first, second = str(row["first"]), str(row["second"])
        named = experiments or {first: first, second: second}
        difference, low, high = intervals.get((named[first], named[second]), (float("nan"),) * 3)
        known = Evidence(
            first=first,
            second=second,
            n=int(row["n"]),
            patients=int(row["patients"]),
            smallest_p=smallest,
            smallest_p_holm=smallest_holm,
            p_holm=float(row["p_holm"]),
            effect=float(row["effect"]),
            difference=difference,
            low=low,
            high=high,
            training=training,
            smallest_p_patients=smallest_patients,
        )
        rows.append([*(getattr(known, column) for column in CLAIMS[:-1]), claim(known)])
    return pd.DataFrame(rows, columns=list(CLAIMS))


def _intervals(differences: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Pair of experiments -> difference of macro F1 and both ends of its interval."""
    macro = differences[differences["class"] == MACRO]
    return {
        (str(row["first"]), str(row["second"])): (
            float(row["difference"]),
            float(row["low"]),
            float(row["high"]),
        )
        for row in macro.to_dict("records")
    }


def claim(known: Evidence) -> str:
    """One sentence: what may be said of this pair, at 5 % after Holm's adjustment."""
    if known.n == 0:
        return "no slide that both were tested on: nothing can be said of a difference"
    if known.smallest_p_holm > ALPHA:
        return _too_few_slides(known)
    if known.patients < known.n and known.smallest_p_patients > ALPHA:
        return _too_few_patients(known)
    return _verdict(known) + _caution(known)


def _too_few_slides(known: Evidence) -> str:
    number = f"n = {known.n} slide{'s' if known.n > 1 else ''}"
    reached = f"no p below {known.smallest_p:.3g} can be reached"
    if known.smallest_p_holm > known.smallest_p:
        reached += f", nor below {known.smallest_p_holm:.3g} after Holm's adjustment for all pairs"
    hint = ""
    if known.low > 0 or known.high < 0:
        better = known.first if known.low > 0 else known.second
        hint = f"; that the interval favours {better} is a hint, no proof"
    return f"{number}: {reached}, so no difference can be shown here, whatever its size{hint}"


def _too_few_patients(known: Evidence) -> str:
    return (
        f"n = {known.n} slides of only {known.patients} patient{'s' if known.patients > 1 else ''}: with one score"
        f" per patient no p below {known.smallest_p_patients:.3g} could be reached after Holm's adjustment for all"
        " pairs, so no difference can be shown for other patients; the test takes slides for independent and its p"
        " is too small"
    )


def _verdict(known: Evidence) -> str:
    p = _p(known.p_holm)
    significant = known.p_holm <= ALPHA
    if np.isnan(known.low):
        found = "" if significant else "not shown to differ, and "
        return f"{p} and no interval over patients: {found}nothing can be said for other patients"
    excludes = known.low > 0 or known.high < 0
    if significant and excludes:
        return _agreeing(known, p)
    if significant:
        return f"test and interval disagree: {p}, but the interval holds 0; not shown to differ"
    if excludes:
        return f"test and interval disagree: the interval excludes 0, but {p}; not shown to differ"
    return f"{p} and the interval holds 0: not shown to differ; this does not show that they are equal"


def _agreeing(known: Evidence, p: str) -> str:
    """Both say that there is a difference; perhaps not the same one."""
    better, worse = (known.first, known.second) if known.difference > 0 else (known.second, known.first)
    if (known.effect > 0) != (known.difference > 0):
        return (
            f"test and interval disagree: {better} scores higher with all slides pooled, {worse} on most slides"
            f" ({p}); no claim that either is better"
        )
    return (
        f"{p} and the interval excludes 0: {better} scores higher than {worse} on these patients' slides,"
        f" {known.training}"
    )


def _caution(known: Evidence) -> str:
    if known.patients == known.n:
        return ""
    return (
        f"; the {known.n} slides are of {known.patients} patients and the test takes them for independent: its p"
        " is likely too small, trust the interval"
    )


def _p(p_holm: float) -> str:
    return "p (Holm) < 0.001" if p_holm < 0.001 else f"p (Holm) {p_holm:.2g}"
