"""Tables as the reader sees them: text in cells, the best value of a column marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.system import MACRO, MICRO
from hooknet.report.data import ReportSystem

NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """One cell: its text, whether it is a number (set right), whether it is the best of its column or row."""

    text: str
    number: bool = False
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Column heads and rows of as many cells; ``caption`` says what is in it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


def share(value: float) -> str:
    """A score 0..1 with three decimals, a dash for nan."""
    return NOTHING if isnan(value) else f"{value:.3f}"


def per_cent(value: float) -> str:
    """A share 0..1 in per cent with one decimal."""
    return f"{100 * value:.1f} %"


def signed(value: float) -> str:
    """A difference of scores with its sign, a dash for nan."""
    return NOTHING if isnan(value) else f"{value:+.3f}".replace("-", "−")


def p_value(value: float) -> str:
    """The p-value with three decimals or, below 0.001, as such; a dash for nan."""
    return NOTHING if isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def score_table(systems: Sequence[ReportSystem], comparison: Comparison, score: str = "f1") -> Table:
    """The paper's table: a row per system with model, spacings, λ, the score of each class and their mean.

    ``score`` is f1, iou, precision or recall.  The best of a column, as shown, is marked; ties all are, and
    nothing is when there is only one system.
    """
    values = comparison.scores.pivot(index="system", columns="class", values=score)
    about = {one.name: one for one in systems}
    shown = [*comparison.names, MACRO]
    rows = []
    for name in dict.fromkeys(comparison.scores["system"]):
        numbers = tuple(number(float(values.loc[name, column])) for column in shown)
        rows.append((Cell(name), *_about(about.get(name)), *numbers))
    heads = ("System", "Model", "Spacings (µm/px)", "λ", *comparison.names, f"macro {_title(score)}")
    return Table(heads, _mark_columns(rows), f"{_title(score)} per class, all test slides pooled.")


def detail_table(comparison: Comparison, system: str) -> Table:
    """Precision, recall, F1, IoU and annotated pixels of every class of one system, macro and micro below."""
    rows = []
    for _, row in comparison.scores[comparison.scores["system"] == system].iterrows():
        numbers = (number(float(row[column])) for column in ("precision", "recall", "f1", "iou"))
        name = {MACRO: "macro average", MICRO: "micro average"}.get(row["class"], row["class"])
        rows.append((Cell(name), *numbers, Cell(f"{int(row['support']):,}", number=True)))
    heads = ("Class", "Precision", "Recall", "F1 (Dice)", "IoU", "Annotated px")
    return Table(heads, tuple(rows), system)


def shown_table(systems: Sequence[ReportSystem], classes: Sequence[str]) -> Table | None:
    """Share of each class in the annotated pixels that each training had shown at its end; a row per fold.

    None where no training has recorded it.
    """
    rows = []
    for system in systems:
        for fold, shares in _last_shares(system, classes):
            numbers = (Cell(per_cent(value), number=True) for value in shares)
            rows.append(
                (Cell(system.name), Cell(fold), *numbers, Cell(per_cent(1 / len(classes)), number=True))
            )
    if not rows:
        return None
    caption = "Share of each class in the annotated pixels shown in training."
    return Table(("System", "Fold", *classes, "Equal share"), tuple(rows), caption)


def _last_shares(system: ReportSystem, classes: Sequence[str]) -> Iterator[tuple[str, list[float]]]:
    """Fold and shares of each training of a system; none of trainings that did not record them."""
    columns = [f"share_{one}" for one in classes]
    table = system.curves
    if table is None or not set(columns) <= set(table.columns):
        return
    folds = table.groupby("fold") if "fold" in table else [(NOTHING, table)]
    for fold, rows in folds:
        last = rows.sort_values("epoch")[columns].iloc[-1]
        if not last.isna().any():
            yield str(fold), [float(value) for value in last]


def slide_table(comparison: Comparison) -> Table:
    """Macro F1 of every slide, a column per system; the best of each slide is marked."""
    scores = comparison.slide_scores
    systems = list(dict.fromkeys(scores["system"]))
    wide = scores.pivot(index="slide", columns="system", values="macro_f1")
    first = scores.drop_duplicates("slide")
    rows = []
    for slide, patient, support in zip(first["slide"], first["patient"], first["support"], strict=True):
        numbers = _mark([number(float(wide.loc[slide, system])) for system in systems])
        rows.append((Cell(slide), Cell(patient), Cell(f"{support:,}", number=True), *numbers))
    return Table(("Slide", "Patient", "Annotated px", *systems), tuple(rows), "Macro F1 per slide.")


def wilcoxon_table(tests: pd.DataFrame) -> Table:
    """Wilcoxon tests, a row per pair (``comparisons`` or ``experiment_comparisons`` of a comparison)."""
    rows = []
    for _, row in tests.iterrows():
        difference = float(row["median_difference"])
        cells = [Cell(f"{row['first']} − {row['second']}")]
        cells += [Cell(str(row[one]), number=True) for one in ("n", "patients", "n_nonzero")]
        cells.append(Cell(signed(difference), number=True))
        cells += [Cell(p_value(float(row[one])), number=True) for one in ("p", "p_holm")]
        rows.append((*cells, Cell(str(row["method"]))))
    heads = (
        "Pair",
        "Slides",
        "Patients",
        "Slides that differ",
        "Median difference",
        "p",
        "p (Holm)",
        "Method",
    )
    return Table(heads, tuple(rows), "Wilcoxon signed-rank test of macro F1 per slide, two-sided.")


def summary_table(comparison: Comparison) -> Table:
    """Mean ± SD over seeds of every class's F1 and of macro F1, a row per experiment."""
    table = comparison.summary.set_index(["experiment", "class"])
    rows = []
    for experiment in dict.fromkeys(comparison.summary["experiment"]):
        cells = [Cell(experiment), Cell(str(int(table.loc[(experiment, MACRO), "seeds"])), number=True)]
        for name in (*comparison.names, MACRO):
            mean, spread = (float(table.loc[(experiment, name), one]) for one in ("f1_mean", "f1_sd"))
            text = share(mean) if isnan(spread) else f"{share(mean)} ± {share(spread)}"
            cells.append(Cell(text, number=True))
        rows.append(tuple(cells))
    heads = ("Experiment", "Seeds", *comparison.names, "macro F1")
    return Table(heads, tuple(rows), "F1, mean ± sample standard deviation over seeds.")


def interval_table(comparison: Comparison) -> Table:
    """Macro F1, then F1 of every class, with its interval over patients, a row per experiment."""
    table = comparison.intervals.set_index(["experiment", "class"])
    rows = []
    for experiment in dict.fromkeys(comparison.intervals["experiment"]):
        found = [table.loc[(experiment, name)] for name in (MACRO, *comparison.names)]
        cells = [Cell(_with_interval(float(one["f1"]), one), number=True) for one in found]
        rows.append((Cell(experiment), *cells))
    patients = int(comparison.intervals["patients"].iloc[0])
    caption = f"F1 with the 95 % interval over {patients} patients (bootstrap; seeds averaged)."
    return Table(("Experiment", "macro F1", *comparison.names), tuple(rows), caption)


def difference_table(comparison: Comparison) -> Table:
    """Differences of pooled macro F1 with their intervals over patients, a row per pair of experiments."""
    rows = tuple(
        (
            Cell(one["first"]),
            Cell(one["second"]),
            Cell(_with_interval(float(one["difference"]), one, signed=True), number=True),
        )
        for _, one in comparison.differences.iterrows()
    )
    caption = (
        "Difference of pooled macro F1 with its 95 % interval over patients (bootstrap; seeds averaged)."
    )
    return Table(("First", "Second", "Difference"), rows, caption)


def _with_interval(value: float, row: Any, signed: bool = False) -> str:
    """``0.912 [0.880, 0.934]``."""
    if isnan(value):
        return NOTHING
    form = "+.3f" if signed else ".3f"
    low, high = (format(float(row[one]), form) for one in ("low", "high"))
    return f"{value:{form}} [{low}, {high}]".replace("-", "−")


def frame_table(frame: pd.DataFrame, caption: str = "") -> Table:
    """Any table of plain values; numbers are set right, missing values are dashes."""
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns]
    rows = tuple(
        tuple(Cell(_plain(value), number=is_number) for value, is_number in zip(row, numeric, strict=True))
        for row in frame.itertuples(index=False, name=None)
    )
    return Table(tuple(str(one) for one in frame.columns), rows, caption)


def pair_table(values: Mapping[str, str], heads: tuple[str, str], caption: str = "") -> Table:
    """Names and values, a row each."""
    return Table(heads, tuple((Cell(name), Cell(str(value))) for name, value in values.items()), caption)


def settings_table(systems: Sequence[ReportSystem]) -> Table:
    """Settings of all systems side by side, a row per setting; a dash where a system has no such setting."""
    names = dict.fromkeys(name for one in systems for name in one.settings)
    rows = ((Cell(name), *(Cell(str(one.settings.get(name, NOTHING))) for one in systems)) for name in names)
    return Table(("Setting", *(one.name for one in systems)), tuple(rows), "Settings of each system.")


def number(value: float) -> Cell:
    """A score as a cell."""
    return Cell(share(value), number=True)


def spacings_text(spacings: Sequence[float]) -> str:
    """Spacings as in the paper: "0.5, 8"; exact, never rounded for looks."""
    return ", ".join(f"{one:.10g}" for one in spacings)


def _about(system: ReportSystem | None) -> tuple[Cell, Cell, Cell]:
    if system is None:
        return Cell(NOTHING), Cell(NOTHING), Cell(NOTHING, number=True)
    weight = NOTHING if system.loss_weight is None else f"{system.loss_weight:g}"
    return Cell(system.model), Cell(spacings_text(system.spacings)), Cell(weight, number=True)


# Model, spacings and λ describe a system; only what follows them can be the best.
FIRST_SCORE = 4


def _mark_columns(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    marked = [column if at < FIRST_SCORE else _mark(column) for at, column in enumerate(columns)]
    return tuple(zip(*marked, strict=True))


def _mark(cells: Sequence[Cell]) -> list[Cell]:
    numbers = [float(one.text) for one in cells if one.text != NOTHING]
    if len(numbers) < 2 or min(numbers) == max(numbers):
        return list(cells)
    best = max(numbers)
    return [Cell(one.text, one.number, one.text != NOTHING and float(one.text) == best) for one in cells]


def _plain(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and isnan(value)):
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _title(score: str) -> str:
    return {"f1": "F1", "iou": "IoU"}.get(score, score)
