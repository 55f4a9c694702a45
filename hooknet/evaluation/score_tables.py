"""Scores of systems as tables: all slides pooled, and slide by slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from hooknet.evaluation.system import MACRO, MICRO, System
from hooknet.metrics.confusion import Counts, merge
from hooknet.metrics.scores import scores

SLIDE = ("system", "experiment", "slide", "patient")
MACRO_F1 = "macro_f1"


def f1_column(name: str) -> str:
    """The column of :func:`slide_scores` with the F1 of a class."""
    return f"f1 {name}"


def pooled_scores(system: System, names: Sequence[str]) -> pd.DataFrame:
    """A row per class, then ``macro`` and ``micro``, of all slides' counts added up."""
    counts = merge(system.slides.values(), len(names))
    table = _by_class(counts, names)
    total = int(counts.sum())
    whole = 1.0 if total else float("nan")
    table["prevalence"] = [*scores(counts).prevalence, whole, whole]
    table.insert(0, "system", system.name)
    table.insert(1, "experiment", system.experiment)
    table.insert(2, "seed", pd.Series([system.seed] * len(table), dtype="Int64"))
    return table


def slide_scores(
    systems: Sequence[System], names: Sequence[str], patients: Mapping[str, str]
) -> pd.DataFrame:
    """A row per system and slide: annotated px, macro F1, and F1 of every class in a column of its own."""
    rows = []
    for one in systems:
        for slide, counts in one.slides.items():
            found = scores(counts)
            row: dict[str, str | float] = dict(_about(one, slide, patients))
            row |= {"support": int(found.support.sum()), MACRO_F1: found.macro_f1}
            rows.append(row | {f1_column(name): f1 for name, f1 in zip(names, found.f1, strict=True)})
    return pd.DataFrame(rows, columns=[*SLIDE, "support", MACRO_F1, *map(f1_column, names)])


def slide_class_scores(
    systems: Sequence[System], names: Sequence[str], patients: Mapping[str, str]
) -> pd.DataFrame:
    """A row per system, slide and class, then ``macro`` and ``micro``.

    All scores are nan where the class has no truth on the slide: precision too, which would be 0 after one px.
    """
    tables = []
    for one in systems:
        for slide, counts in one.slides.items():
            table = _by_class(counts, names)
            table["present"] = table["support"] > 0
            table.loc[~table["present"], "precision"] = float("nan")
            for place, (column, value) in enumerate(_about(one, slide, patients).items()):
                table.insert(place, column, value)
            tables.append(table)
    columns = [*SLIDE, "class", "precision", "recall", "f1", "iou", "support", "present"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _about(system: System, slide: str, patients: Mapping[str, str]) -> dict[str, str]:
    return dict(zip(SLIDE, (system.name, system.experiment, slide, patients.get(slide, slide)), strict=True))


def _by_class(counts: Counts, names: Sequence[str]) -> pd.DataFrame:
    found = scores(counts)
    total = int(found.support.sum())
    return pd.DataFrame(
        {
            "class": [*names, MACRO, MICRO],
            "precision": [*found.precision, found.macro_precision, found.micro_precision],
            "recall": [*found.recall, found.macro_recall, found.micro_recall],
            "f1": [*found.f1, found.macro_f1, found.micro_f1],
            "iou": [*found.iou, found.macro_iou, found.micro_iou],
            "support": [*found.support, total, total],
        }
    )
