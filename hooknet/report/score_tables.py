"""The scores of systems as tables: pooled, per class, per seed, per slide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.per_slide import ALL, MEANS
from hooknet.evaluation.slides import NO_PREDICTION
from hooknet.evaluation.system import MACRO, MICRO
from hooknet.report.data import ReportSystem
from hooknet.report.tables import (
    NOTHING,
    Cell,
    Table,
    count,
    mark,
    mean_sd,
    number,
    per_cent,
    spacings_text,
    too_few,
    with_interval,
)

# Model, spacings and λ describe a system; only what follows them can be the best.
FIRST_SCORE = 4


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
    return Table(heads, mark_columns(rows), f"{_title(score)} per class, all test slides pooled.")


def detail_table(comparison: Comparison, system: str) -> Table:
    """Precision, recall, F1, IoU and annotated pixels of every class of one system, macro and micro below."""
    rows = []
    own = comparison.scores[comparison.scores["system"] == system]
    total = own.loc[~own["class"].isin((MACRO, MICRO)), "support"].sum()
    for _, row in own.iterrows():
        numbers = (number(float(row[column])) for column in ("precision", "recall", "f1", "iou"))
        name = {MACRO: "macro average", MICRO: "micro average"}.get(row["class"], row["class"])
        prevalence = int(row["support"]) / int(total) if total else float("nan")
        rows.append((Cell(name), *numbers, count(row["support"]), Cell(per_cent(prevalence), number=True)))
    heads = ("Class", "Precision", "Recall", "F1 (Dice)", "IoU", "Annotated px", "Prevalence")
    return Table(heads, tuple(rows), system)


def confusion_table(comparison: Comparison, system: str) -> Table:
    """Pixels of each annotated class (row) by predicted class (column), of one system."""
    own = comparison.confusion[comparison.confusion["system"] == system]
    columns = [*comparison.names, NO_PREDICTION]
    pixels = own.pivot(index="truth", columns="predicted", values="pixels").loc[
        list(comparison.names), columns
    ]
    rows = tuple(
        (Cell(name), *map(count, row))
        for name, row in zip(comparison.names, pixels.to_numpy(float), strict=True)
    )
    heads = ("Annotated", *comparison.names, "no prediction")
    return Table(heads, rows, f"{system}: pixels, by annotated class (row) and predicted class (column).")


def shown_table(systems: Sequence[ReportSystem], classes: Sequence[str]) -> Table | None:
    """Share of each class in the annotated pixels that each training had shown at its end; a row per fold.

    None where no training has recorded it.
    """
    rows = []
    for system in systems:
        for fold, shares in last_shares(system, classes):
            numbers = (Cell(per_cent(value), number=True, order=value) for value in shares)
            rows.append(
                (Cell(system.name), Cell(fold), *numbers, Cell(per_cent(1 / len(classes)), number=True))
            )
    if not rows:
        return None
    caption = "Share of each class in the annotated pixels shown in training."
    return Table(("System", "Fold", *classes, "Equal share"), tuple(rows), caption)


def last_shares(system: ReportSystem, classes: Sequence[str]) -> Iterator[tuple[str, list[float]]]:
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


def slide_table(comparison: Comparison, patients: bool) -> Table:
    """Macro F1 of every slide, a column per system; the best of each slide is marked.

    ``patients``: whether there is a column that says which slides are of one patient.
    """
    scores = comparison.slide_scores
    systems = list(dict.fromkeys(scores["system"]))
    wide = scores.pivot(index="slide", columns="system", values="macro_f1")
    first = scores.drop_duplicates("slide")
    classes = _classes_on(first, comparison.names)
    rows = []
    for (_, row), found in zip(first.iterrows(), classes, strict=True):
        numbers = mark([number(float(wide.loc[row["slide"], system])) for system in systems])
        whose = (Cell(row["patient"]),) if patients else ()
        of = Cell(f"{found} of {len(comparison.names)}", number=True, order=found)
        rows.append((Cell(row["slide"]), *whose, count(row["support"]), of, *numbers))
    heads = ("Slide", *(("Patient",) if patients else ()), "Annotated px", "Classes on it", *systems)
    caption = "Macro F1 per slide, over the classes that have truth on it; an absent class counts neither as 0 nor 1."
    return Table(heads, tuple(rows), caption)


def _classes_on(slides: pd.DataFrame, names: Sequence[str]) -> list[int]:
    """How many classes have truth on each slide: their F1 is a number there."""
    return [int(value) for value in slides[[f"f1 {name}" for name in names]].notna().sum(axis=1)]


def over_slides_tables(comparison: Comparison, graded: bool) -> tuple[Table, ...]:
    """Mean ± SD over slides of recall, precision and Dice: a table per class, a row per system.

    ``graded``: a row per system and grade instead.  Without a table of classes that have no such row.
    """
    table = comparison.per_slide[(comparison.per_slide["grade"] != ALL) == graded]
    found = []
    for name in comparison.names:
        rows = []
        for _, one in table[table["class"] == name].iterrows():
            cells = [
                Cell(str(one["system"])),
                *([Cell(str(one["grade"]))] if graded else []),
                count(one["n"]),
            ]
            cells += [mean_sd(float(one[f"{mean}_mean"]), float(one[f"{mean}_sd"])) for mean in MEANS]
            rows.append(tuple(cells))
        heads = ("System", *(("Grade",) if graded else ()), "Slides", "Recall", "Precision", "Dice")
        found.append(Table(heads, tuple(rows), f"{name}: mean ± sample standard deviation over slides."))
    return tuple(one for one in found if one.rows)


def summary_table(comparison: Comparison) -> Table:
    """Mean ± SD over seeds of every class's F1 and of macro F1, a row per experiment."""
    table = comparison.summary.set_index(["experiment", "class"])
    rows = []
    for experiment in dict.fromkeys(comparison.summary["experiment"]):
        cells = [Cell(experiment), Cell(str(int(table.loc[(experiment, MACRO), "seeds"])), number=True)]
        for name in (*comparison.names, MACRO):
            cells.append(
                mean_sd(*(float(table.loc[(experiment, name), one]) for one in ("f1_mean", "f1_sd")))
            )
        rows.append(tuple(cells))
    heads = ("Experiment", "Seeds", *comparison.names, "macro F1")
    return Table(heads, tuple(rows), "F1, mean ± sample standard deviation over seeds.")


def interval_table(comparison: Comparison) -> Table:
    """Macro F1, then F1 of every class, with its interval over patients, a row per experiment."""
    table = comparison.intervals.set_index(["experiment", "class"])
    rows = []
    for experiment in dict.fromkeys(comparison.intervals["experiment"]):
        found = [table.loc[(experiment, name)] for name in (MACRO, *comparison.names)]
        cells = [
            Cell(with_interval(float(one["f1"]), one), number=True, order=float(one["f1"])) for one in found
        ]
        rows.append((Cell(experiment), *cells))
    patients = int(comparison.intervals["patients"].iloc[0])
    caption = (
        f"F1 with the 95 % interval over {patients} patients (bootstrap; seeds averaged).{too_few(patients)}"
    )
    return Table(("Experiment", "macro F1", *comparison.names), tuple(rows), caption)


def mark_columns(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    """The rows with the best of each column of scores marked."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    marked = [column if at < FIRST_SCORE else mark(column) for at, column in enumerate(columns)]
    return tuple(zip(*marked, strict=True))


def _about(system: ReportSystem | None) -> tuple[Cell, Cell, Cell]:
    if system is None:
        return Cell(NOTHING), Cell(NOTHING), Cell(NOTHING, number=True)
    weight = NOTHING if system.loss_weight is None else f"{system.loss_weight:g}"
    return Cell(system.model), Cell(spacings_text(system.spacings)), Cell(weight, number=True)


def _title(score: str) -> str:
    return {"f1": "F1", "iou": "IoU"}.get(score, score)
