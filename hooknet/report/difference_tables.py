"""Whether systems differ, as tables: claims, tests, differences with intervals."""

from __future__ import annotations

import pandas as pd

from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.system import MACRO
from hooknet.report.tables import NOTHING, Cell, Table, count, p_value, signed, too_few, with_interval

# More pairs than six systems have are a wall of numbers.
MANY_PAIRS = 15


def claims_table(comparison: Comparison) -> Table:
    """What may be said of each pair (``claims`` of a comparison) of those that are shown."""
    rows = []
    for _, row in shown_pairs(comparison, comparison.claims).iterrows():
        cells = [Cell(pair_text(row)), count(row["n"]), count(row["patients"])]
        cells.append(Cell(with_interval(float(row["difference"]), row, sign=True), number=True))
        cells += [_p(float(row[one])) for one in ("smallest_p_holm", "p_holm")]
        rows.append((*cells, Cell(str(row["claim"]))))
    heads = (
        "Pair",
        "Slides",
        "Patients",
        "Difference of macro F1 [95 %]",
        "Smallest p possible",
        "p (Holm)",
        "What may be said",
    )
    return Table(heads, tuple(rows), "What these slides allow to say of each pair.")


def wilcoxon_table(tests: pd.DataFrame) -> Table:
    """Wilcoxon tests, a row per pair and class (rows of ``comparisons`` or ``experiment_comparisons``)."""
    rows = []
    for _, row in tests.iterrows():
        cells = [Cell(pair_text(row)), Cell(class_text(str(row["class"])))]
        cells += [count(row[one]) for one in ("n", "patients", "n_nonzero")]
        for one in ("median_difference", "effect"):
            cells.append(Cell(signed(float(row[one])), number=True, order=float(row[one])))
        cells += [_p(float(row[one])) for one in ("p", "p_holm")]
        rows.append((*cells, Cell(str(row["method"]))))
    heads = (
        "Pair",
        "F1",
        "Slides",
        "Patients",
        "Slides that differ",
        "Median difference",
        "Effect size",
        "p",
        "p (Holm)",
        "Method",
    )
    return Table(heads, tuple(rows), "Wilcoxon signed-rank test of F1 per slide, two-sided.")


def difference_table(comparison: Comparison) -> Table:
    """Differences of pooled F1 with their intervals over patients, a row per pair, a column per class."""
    shown = shown_pairs(comparison, comparison.differences)
    names = (MACRO, *comparison.names)
    rows = []
    for _, pair in shown.groupby(["first", "second"], sort=False):
        of_class = {row["class"]: row for _, row in pair.iterrows()}
        cells = [Cell(pair_text(pair.iloc[0]))]
        for name in names:
            row = of_class.get(name)
            value = float("nan") if row is None else float(row["difference"])
            cells.append(Cell(with_interval(value, row, sign=True), number=True, order=value))
        rows.append(tuple(cells))
    caption = "Difference of pooled F1 with its 95 % interval over patients (bootstrap; seeds averaged)."
    caption += too_few(int(shown["patients"].min()))
    return Table(("Pair", *map(class_text, names)), tuple(rows), caption)


def tukey_table(comparison: Comparison) -> Table:
    """Tukey's test of F1 per slide, a row per class and pair, with p of the paired test of the same pair."""
    tests = comparison.experiment_comparisons
    tests = comparison.comparisons if tests.empty else tests
    paired = tests.set_index(["class", "first", "second"])["p_holm"]
    rows = []
    for _, row in comparison.tukey.iterrows():
        difference = float(row["difference"])
        # No interval where nothing varies.
        sure = float(row["low"]) == float(row["low"])
        text = with_interval(difference, row, sign=True) if sure else signed(difference)
        rows.append(
            (
                Cell(str(row["class"])), Cell(pair_text(row)), count(row["n_first"]), count(row["n_second"]),
                Cell(text, number=True, order=difference), _p(float(row["p"])),
                _p(float(paired[row["class"], row["first"], row["second"]])),
            )
        )  # fmt: skip
    heads = (
        "Class",
        "Pair",
        "Slides of the first",
        "of the second",
        "Difference of mean F1 [95 %]",
        "p (Tukey)",
        "p (paired, Holm)",
    )
    return Table(heads, tuple(rows), "Tukey's HSD of F1 per slide, beside the paired Wilcoxon test.")


def shown_tests(comparison: Comparison) -> pd.DataFrame:
    """The tests that need not be unfolded: of macro F1, of experiments rather than seeds, of the pairs shown."""
    tests = comparison.experiment_comparisons
    if tests.empty:
        tests = comparison.comparisons
    return shown_pairs(comparison, tests[tests["class"] == MACRO])


def shown_pairs(comparison: Comparison, pairs: pd.DataFrame) -> pd.DataFrame:
    """All rows, or, where there are many pairs, those of the pairs with the system that scores highest."""
    if len(pairs[["first", "second"]].drop_duplicates()) <= MANY_PAIRS:
        return pairs
    rows = comparison.scores[comparison.scores["class"] == MACRO]
    there = set(pairs["first"]) | set(pairs["second"])
    by = "system" if set(rows["system"]) & there else "experiment"
    best = rows.groupby(by)["f1"].mean().idxmax()
    return pairs[(pairs["first"] == best) | (pairs["second"] == best)]


def pair_text(row: pd.Series[str]) -> str:
    """``first − second``."""
    return f"{row['first']} − {row['second']}"


def class_text(name: str) -> str:
    """How the mean over the classes is called beside class names."""
    return "macro F1" if name == MACRO else name


def _p(value: float) -> Cell:
    return Cell(p_value(value) if value == value else NOTHING, number=True, order=value)
