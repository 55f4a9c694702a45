"""Figures of scores and of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.slides import NO_PREDICTION
from hooknet.report.data import ReportSystem
from hooknet.report.style import (
    COLOURS,
    GREY,
    INK,
    STYLES,
    blank,
    dress,
    legend_below,
    literal,
    panels,
    wrapped,
)

CELL = 0.52  # of a confusion matrix, in inches
LEGEND_COLUMNS = 4
LEVEL_NAMES = 7  # of systems that fit side by side below a plot
SHARES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#c9c4e4", "#7f74b8", "#3b2f6b"])


def confusion(comparison: Comparison, system: str) -> Figure:
    """The system's row-normalised confusion matrix as a heat map, in per cent of each truth class.

    The column of annotated pixels without a prediction is there only if any system left some, then for all.
    """
    table = comparison.confusion[comparison.confusion["system"] == system]
    shares = table.pivot(index="truth", columns="predicted", values="share")
    whole = comparison.confusion
    missed = whole.loc[whole["predicted"] == NO_PREDICTION, "pixels"].sum() > 0
    columns = [*comparison.names, *([NO_PREDICTION] if missed else [])]
    values = 100 * shares.loc[list(comparison.names), columns].to_numpy(float)
    figure, axes = blank(CELL * len(columns), CELL * len(comparison.names))
    axes.imshow(values, cmap=SHARES, vmin=0, vmax=100, aspect="equal")
    for (row, column), value in np.ndenumerate(values):
        shade = "white" if value > 45 else INK
        axes.text(column, row, _per_cent(value), ha="center", va="center", color=shade, fontsize=9)
    rows = [literal(one) for one in comparison.names]
    labels = [*rows, *(["no prediction"] if missed else [])]
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("predicted")
    axes.set_ylabel("annotated")
    axes.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(comparison.names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure


def curves(systems: Sequence[ReportSystem]) -> Figure:
    """Training loss and validation macro F1 by epoch, a colour per system, a line per fold.

    A dot marks each line's highest macro F1: the epoch whose weights are kept.
    """
    trained = sum(one.curves is not None for one in systems)
    figure, (left, right) = panels(2, 10, 3.4 + 0.18 * -(-trained // LEGEND_COLUMNS))
    for axes, label in ((left, "training loss"), (right, "validation macro F1")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
    for number, system in enumerate(systems):
        if system.curves is not None:
            _draw_curves(left, right, system, number)
    legend_below(figure, left, LEGEND_COLUMNS)
    return figure


def _draw_curves(left: Axes, right: Axes, system: ReportSystem, number: int) -> None:
    assert system.curves is not None
    table = system.curves
    folds = [rows for _, rows in table.groupby("fold")] if "fold" in table else [table]
    shade, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
    alpha = 1.0 if len(folds) == 1 else 0.65
    for fold, rows in enumerate(folds):
        name = literal(system.name) if fold == 0 else "_"
        left.plot(rows["epoch"], rows["loss"], style, color=shade, alpha=alpha, lw=1.3, label=name)
        scored = rows.dropna(subset=["validation_macro_f1"])
        right.plot(scored["epoch"], scored["validation_macro_f1"], style, color=shade, alpha=alpha, lw=1.3)
        if len(scored):
            best = [int(scored["validation_macro_f1"].to_numpy(float).argmax())]
            kept = scored.iloc[best]
            right.plot(kept["epoch"], kept["validation_macro_f1"], "o", color=shade, ms=5)


def slide_scores(comparison: Comparison) -> Figure:
    """Macro F1 of every slide by system: a dot each, a line through the dots of one slide, medians marked."""
    table = comparison.slide_scores
    systems = list(dict.fromkeys(table["system"]))
    wide = table.pivot(index="slide", columns="system", values="macro_f1")[systems]
    figure, axes = blank(min(9.6, max(5.5, 1.8 + 1.5 * len(systems))), 4.2)
    dress(axes)
    places = np.arange(len(systems))
    for values in wide.to_numpy(float):
        axes.plot(places, values, "-", color=GREY, lw=0.7, alpha=0.45, zorder=1)
    for place, system in enumerate(systems):
        values = wide[system].dropna().to_numpy(float)
        shade = COLOURS[place % len(COLOURS)]
        axes.plot(np.full(len(values), place), values, "o", color=shade, ms=5, alpha=0.8, mew=0, zorder=2)
        if len(values):
            axes.plot([place - 0.22, place + 0.22], [np.median(values)] * 2, "-", color=INK, lw=2.2, zorder=3)
    lowest = float(np.nanmin(wide.to_numpy(float))) if wide.notna().to_numpy().any() else 0.0
    axes.set_ylim(max(-0.02, np.floor(lowest * 10 - 0.5) / 10), 1.02)
    axes.set_xlim(-0.5, len(systems) - 0.5)
    if len(systems) <= LEVEL_NAMES:
        axes.set_xticks(places, [wrapped(literal(one)) for one in systems], fontsize=9)
    else:
        slanted: Any = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, [literal(one) for one in systems], fontsize=8, **slanted)
    axes.set_ylabel("macro F1 of the slide")
    return figure


def curves_table(systems: Sequence[ReportSystem]) -> pd.DataFrame:
    """All systems' curves below each other, with a first column ``system``."""
    tables = [one.curves.assign(system=one.name) for one in systems if one.curves is not None]
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables, ignore_index=True)
    return table[["system", *(one for one in table.columns if one != "system")]]


def _per_cent(value: float) -> str:
    """Whole per cent; what is there but rounds to nothing is not shown as 0."""
    return "–" if np.isnan(value) else "<1" if 0 < value < 0.5 else f"{value:.0f}"
