"""Wilcoxon tests of every pair of systems, or of experiments, on their slides in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd

from hooknet.evaluation.score_tables import MACRO_F1, f1_column
from hooknet.evaluation.system import MACRO
from hooknet.metrics.statistics import holm, wilcoxon

TESTS = (
    "first",
    "second",
    "class",
    "n",
    "patients",
    "n_nonzero",
    "median_difference",
    "effect",
    "statistic",
    "p",
    "p_holm",
    "method",
)


def pair_tests(slide_scores: pd.DataFrame, names: Sequence[str], by: str) -> pd.DataFrame:
    """Tests of macro F1, then of each class's F1, for every pair of what column ``by`` names (see TESTS).

    ``slide_scores``: of :func:`hooknet.evaluation.score_tables.slide_scores`.  Experiments are tested on the
    mean over their seeds.  Slides without truth of a class are not in its test.  Holm's p is over two families:
    macro F1 of all pairs, which is the question asked; and all classes of all pairs together, which is more
    cautious than a family per class.
    """
    patient = dict(zip(slide_scores["slide"], slide_scores["patient"], strict=True))
    columns = {MACRO: MACRO_F1} | {name: f1_column(name) for name in names}
    groups = {str(name): rows for name, rows in slide_scores.groupby(by, sort=False)}
    means = {
        (group, name): slide_means(rows, column)
        for group, rows in groups.items()
        for name, column in columns.items()
    }
    records = [
        {"first": first, "second": second, "class": name}
        | _test(means[first, name], means[second, name], patient)
        for first, second in combinations(groups, 2)
        for name in columns
    ]
    table = pd.DataFrame(records, columns=list(TESTS))
    primary = table["class"] == MACRO
    for family in (primary, ~primary):
        table.loc[family, "p_holm"] = holm(list(table.loc[family, "p"]))
    return table


def slide_means(rows: pd.DataFrame, column: str) -> dict[str, float]:
    """Slide -> mean of a score over the systems in ``rows``; slides that one of them lacks are left out."""
    slides = rows.dropna(subset=[column]).groupby("slide")[column]
    whole = slides.mean()[slides.size() == rows["system"].nunique()]
    return {str(slide): float(mean) for slide, mean in whole.items()}


def _test(
    one: Mapping[str, float], other: Mapping[str, float], patient: Mapping[str, str]
) -> dict[str, object]:
    common = sorted(one.keys() & other.keys())
    test = wilcoxon([one[slide] for slide in common], [other[slide] for slide in common])
    return {
        "n": test.n,
        "patients": len({patient[slide] for slide in common}),
        "n_nonzero": test.n_nonzero,
        "median_difference": test.median_difference,
        "effect": test.effect,
        "statistic": test.statistic,
        "p": test.p,
        "p_holm": float("nan"),
        "method": test.method,
    }
