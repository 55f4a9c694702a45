"""Scores of volumes in 3D, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hooknet.evaluation.system import MACRO
from hooknet.report.data import Extras
from hooknet.report.files import Files, Picture
from hooknet.report.style import COLOURS, INK, legend_below, literal, panels
from hooknet.report.tables import NOTHING, Cell, Table, count, mean_sd, share

#: Of the room of a class that the systems take beside each other, and half the width of a median's bar in a system's.
SPREAD, BAR = 0.7, 0.35
HEADS = ("System", "Class", "Volumes", "Dice (F1)", "IoU", "Precision", "Recall", "HD95 (mm)", "Volumes with HD95",
         "Not predicted on")  # fmt: skip


@dataclass(frozen=True)
class Volumes:
    """What is shown of volumes."""

    table: Table
    figure: Picture


def volumes(extras: Extras, files: Files) -> Volumes | None:
    """The table and the figure of the volumes' scores; None where no slides make up volumes."""
    if extras.volumes.empty:
        return None
    macro = extras.volumes[extras.volumes["class"] == MACRO]
    told = ", ".join(f"{one['system']} {share(float(one['dice_mean']))}" for _, one in macro.iterrows())
    alt = f"3D Dice of every volume, by class and system. Mean over volumes of the macro Dice: {told}."
    return Volumes(_table(extras.volumes), files.figure(draw(extras.volume_scores), "volume_dice", alt))


def _table(table: pd.DataFrame) -> Table:
    """A row per system and class; no class without truth in any volume."""
    rows = []
    for _, one in table[table["n"] > 0].iterrows():
        scores = [_mean_sd(one, name) for name in ("dice", "iou", "precision", "recall")]
        distance = _millimetres(float(one["hd95_mm_mean"]), float(one["hd95_mm_sd"]))
        counts = (count(one["hd95_n"]), count(one["unpredicted"]))
        rows.append(
            (
                Cell(str(one["system"])),
                Cell(str(one["class"])),
                count(one["n"]),
                *scores,
                distance,
                *counts,
            )
        )
    return Table(HEADS, tuple(rows), "In 3D: mean ± sample standard deviation over volumes.")


def _mean_sd(row: pd.Series[Any], name: str) -> Cell:
    return mean_sd(float(row[f"{name}_mean"]), float(row[f"{name}_sd"]))


def _millimetres(mean: float, deviation: float) -> Cell:
    """Two decimals: voxels are some tenths of a mm at least."""
    if isnan(mean):
        return Cell(NOTHING, number=True, order=mean)
    text = f"{mean:.2f}" if isnan(deviation) else f"{mean:.2f} ± {deviation:.2f}"
    return Cell(text, number=True, order=mean)


def draw(scores: pd.DataFrame) -> Figure:
    """3D Dice of every volume: a dot each, systems side by side in each class, macro first; medians marked."""
    present = scores[scores["present"].astype(bool)]
    names = [MACRO, *(name for name in dict.fromkeys(present["class"]) if name != MACRO)]
    systems = list(dict.fromkeys(scores["system"]))
    figure, (axes,) = panels(1, min(10.5, 2.2 + 0.42 * len(names) * max(2, len(systems)) ** 0.8), 4.0)
    room = SPREAD / len(systems)
    for number, system in enumerate(systems):
        of = present[present["system"] == system]
        shade, label = COLOURS[number % len(COLOURS)], literal(system)
        for place, name in enumerate(names):
            values = of.loc[of["class"] == name, "dice"].to_numpy(float)
            middle = place + ((number + 0.5) / len(systems) - 0.5) * SPREAD
            axes.plot(
                np.full(len(values), middle), values, "o", color=shade, ms=4.5, alpha=0.75, mew=0, label=label
            )
            label = "_"
            if len(values):
                ends = [middle - BAR * room, middle + BAR * room]
                axes.plot(ends, [np.median(values)] * 2, "-", color=INK, lw=2, zorder=3)
    slanted: Any = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), [literal(one) for one in names], fontsize=9, **slanted)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("Dice of the volume, in 3D")
    legend_below(figure, axes)
    return figure
