"""Figures of what was varied and how sure it is: intervals, spacings, loss weights, calibration, sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from hooknet.evaluation.calibration import TOP
from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.system import MACRO
from hooknet.report.data import ReportClass, ReportSystem
from hooknet.report.difference_tables import class_text, pair_text, shown_pairs
from hooknet.report.score_tables import last_shares
from hooknet.report.style import COLOURS, GREY, INK, blank, dress, legend_below, line_of, literal, panels

MARKERS = "osD^vP*X"
SPREAD = 0.62  # of the room of a class that the systems' intervals take beside each other
# Bins with less of the pixels are not drawn: what a handful of them shows is chance.
LEAST_OF_PIXELS = 1e-4


def score_intervals(comparison: Comparison) -> Figure:
    """F1 of every experiment with its 95 % interval: macro F1 first, then each class."""
    table = comparison.intervals
    experiments = list(dict.fromkeys(table["experiment"]))
    names = [MACRO, *comparison.names]
    figure, (axes,) = panels(1, min(10.5, 2.2 + 0.42 * len(names) * max(2, len(experiments)) ** 0.8), 4.0)
    for number, experiment in enumerate(experiments):
        rows = table[table["experiment"] == experiment].set_index("class").loc[names]
        f1, low, high = (rows[one].to_numpy(float) for one in ("f1", "low", "high"))
        shift = ((number + 0.5) / len(experiments) - 0.5) * SPREAD
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        # The score of the slides at hand may lie outside the interval of drawn cohorts, though hardly ever.
        reach = np.abs(np.vstack([np.minimum(low - f1, 0), np.maximum(high - f1, 0)]))
        axes.errorbar(
            np.arange(len(names)) + shift, f1, reach, fmt=marker, color=colour, ms=5, lw=1.6, capsize=2.5,
            label=literal(experiment),
        )  # fmt: skip
    axes.axvline(0.5, color=GREY, lw=0.8)
    slanted: Any = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), [literal(class_text(one)) for one in names], fontsize=9, **slanted)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel("F1")
    legend_below(figure, axes)
    return figure


def difference_intervals(comparison: Comparison) -> Figure:
    """Difference of macro F1 of each pair shown, with its 95 % interval, about the line of no difference."""
    table = shown_pairs(comparison, comparison.differences)
    table = table[table["class"] == MACRO]
    figure, axes = blank(6.2, 0.6 + 0.34 * len(table))
    dress(axes)
    places = np.arange(len(table))[::-1]
    for place, (_, row) in zip(places, table.iterrows(), strict=True):
        sure = row["low"] > 0 or row["high"] < 0
        shade = COLOURS[0] if sure else GREY
        axes.plot([row["low"], row["high"]], [place, place], "-", color=shade, lw=2)
        axes.plot(row["difference"], place, "o", color=shade, ms=6, mfc=shade if sure else "white")
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(places, [literal_pair(row) for _, row in table.iterrows()], fontsize=9)
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("difference of macro F1 (right of 0: the first scores higher)")
    return figure


def literal_pair(row: pd.Series[str]) -> str:
    """A pair's name that matplotlib takes as it is."""
    return pair_text(row.map(lambda one: literal(one) if isinstance(one, str) else one))


def spacing_curves(
    systems: Sequence[ReportSystem], comparison: Comparison, classes: Sequence[ReportClass]
) -> Figure | None:
    """F1 of each class against the spacing of systems that see one; None unless there are two spacings or more."""
    places = {one.name: one.spacings[0] for one in systems if len(one.spacings) == 1}
    if len(set(places.values())) < 2:
        return None
    figure = _against(comparison, places, classes)
    axes = figure.axes[0]
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sorted(set(places.values())))
    axes.set_xlabel("spacing (µm/px)")
    return figure


def weight_curves(
    systems: Sequence[ReportSystem], comparison: Comparison, classes: Sequence[ReportClass]
) -> Figure | None:
    """F1 of each class against λ, of the spacings tried with most weights; None unless there are two of them."""
    groups: dict[tuple[float, ...], dict[str, float]] = {}
    for one in systems:
        if one.loss_weight is not None:
            groups.setdefault(one.spacings, {})[one.name] = one.loss_weight
    most = max(groups.values(), key=lambda places: len(set(places.values())), default={})
    if len(set(most.values())) < 2:
        return None
    figure = _against(comparison, most, classes)
    figure.axes[0].set_xlabel("λ, the weight of the target's loss")
    return figure


def _against(comparison: Comparison, places: dict[str, float], classes: Sequence[ReportClass]) -> Figure:
    """F1 by a number that each system has: a line of means over seeds, a mark for each seed."""
    figure, (axes,) = panels(1, 6.6, 4.2)
    table = comparison.scores[comparison.scores["system"].isin(list(places))]
    table = table.assign(place=table["system"].map(places))
    colours = {one.name: one.colour for one in classes} | {MACRO: INK}
    for number, name in enumerate((*comparison.names, MACRO)):
        rows = table[table["class"] == name].sort_values("place")
        means = rows.groupby("place")["f1"].mean()
        width = 2.6 if name == MACRO else 1.4
        look: Any = {"color": colours[name], "marker": MARKERS[number % len(MARKERS)], "ms": 5}
        axes.plot(rows["place"], rows["f1"], linestyle="none", alpha=0.45, mec=GREY, mew=0.5, **look)
        axes.plot(means.index, means, lw=width, mec=INK, mew=0.5, label=literal(class_text(name)), **look)
    axes.set_ylabel("F1")
    axes.set_ylim(-0.02, 1.02)
    legend_below(figure, axes)
    return figure


#: A share of px that is too small to draw an error of.
LEAST_KEPT = 0.01


def reliability(table: pd.DataFrame, calibration: pd.DataFrame) -> Figure:
    """How often the top class is right, against its probability, a line per system (``(top)`` rows of the tables)."""
    figure, (axes,) = panels(1, 4.8, 5.0)
    axes.plot([0, 1], [0, 1], "-", color=GREY, lw=1, label="_")
    error = calibration[calibration["class"] == TOP].set_index("system")["ece"]
    top = table[table["class"] == TOP]
    for number, system in enumerate(dict.fromkeys(top["system"])):
        rows = top[top["system"] == system]
        rows = rows[rows["pixels"] > LEAST_OF_PIXELS * rows["pixels"].sum()]
        size = 20 + 160 * rows["pixels"] / rows["pixels"].sum()
        name = f"{literal(system)}: ECE {float(error[system]):.3f}"
        axes.plot(rows["confidence"], rows["accuracy"], lw=1.4, label=name, **line_of(number))
        axes.scatter(
            rows["confidence"], rows["accuracy"], s=size, color=line_of(number)["color"], alpha=0.6, lw=0
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("probability of the class with the highest")
    axes.set_ylabel("share that is right")
    legend_below(figure, axes, 2)
    return figure


def risk_curves(table: pd.DataFrame) -> Figure:
    """Wrong px against px that are kept, a line per system (see ``CURVE`` of :mod:`hooknet.evaluation.calibration`)."""
    figure, (axes,) = panels(1, 4.8, 4.0)
    for number, (system, of) in enumerate(table.groupby("system", sort=False)):
        of = of[of["kept"] >= LEAST_KEPT]
        axes.plot(of["kept"], of["error"], lw=1.4, label=literal(str(system)), **line_of(number))
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of pixels that is kept, the surest")
    axes.set_ylabel("share of them that is wrong")
    legend_below(figure, axes, 2)
    return figure


def shown_shares(systems: Sequence[ReportSystem], classes: Sequence[ReportClass]) -> Figure | None:
    """What each training was shown: a bar per training, a piece per class; None where it was not recorded."""
    found = [
        (system.name if fold == "–" else f"{system.name}, fold {fold}", shares)
        for system in systems
        for fold, shares in last_shares(system, [one.name for one in classes])
    ]
    if not found:
        return None
    figure, axes = blank(6.6, 0.5 + 0.3 * len(found))
    dress(axes)
    places = np.arange(len(found))[::-1]
    starts = np.zeros(len(found))
    for number, one in enumerate(classes):
        lengths = np.array([shares[number] for _, shares in found])
        axes.barh(
            places,
            lengths,
            0.7,
            starts,
            color=one.colour,
            edgecolor="white",
            lw=0.8,
            label=literal(one.name),
        )
        starts += lengths
    for border in np.arange(1, len(classes)) / len(classes):
        axes.axvline(border, color=INK, lw=0.8, ls=":")
    axes.set_yticks(places, [literal(name) for name, _ in found], fontsize=9)
    axes.set_xlim(0, 1)
    axes.grid(visible=False)
    axes.set_xlabel("share of the annotated pixels shown (dotted: equal shares)")
    # Half an inch below the axes, clear of their label.
    below = (0.5, -0.55 / figure.get_size_inches()[1])
    axes.legend(loc="upper center", bbox_to_anchor=below, ncols=len(classes), frameon=False, fontsize=8)
    return figure
