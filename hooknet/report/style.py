"""How figures look: colours, names, axes, files; drawn without a screen and without matplotlib's global state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hooknet.io.atomic import atomic

INK, GREY, RULE = "#1b1b24", "#6a6a78", "#d9d9e0"
# Colours that stay apart for colour-blind readers (Okabe and Ito); line styles tell further systems apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1b1b24")
STYLES = ("-", "--", ":", "-.")
LONGEST_NAME = 30
# The same data gives the same file: no date in it, and ids that do not change from run to run.
FIXED: Any = {"svg.hashsalt": "hooknet", "svg.fonttype": "path"}


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``name``.png and ``name``.svg into ``folder``; the path of the SVG."""
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        with atomic(folder / f"{name}.{suffix}") as partial, mpl.rc_context(FIXED):
            figure.savefig(partial, format=suffix, dpi=160, metadata=metadata, bbox_inches="tight")
    return folder / f"{name}.svg"


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """One pair of axes of exactly this size in inches; what stands around them is added when saved."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, figure.add_axes((0, 0, 1, 1))


def panels(columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A row of dressed axes in a figure of this size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    every = list(figure.subplots(1, columns, squeeze=False)[0])
    for axes in every:
        dress(axes)
    return figure, every


def dress(axes: Axes) -> None:
    """Two plain spines and a quiet grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8.5)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """One legend for all axes of the figure, of what ``axes`` show."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        across = min(columns, len(labels))
        figure.legend(handles, labels, loc="outside lower center", ncols=across, frameon=False, fontsize=8)


def line_of(number: int) -> dict[str, Any]:
    """Colour and line style of the system of that number."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": STYLES[number // len(COLOURS) % len(STYLES)],
    }


def literal(text: str) -> str:
    """Text that matplotlib does not take for mathematics and that leaves room for the drawing."""
    short = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
    return short.replace("$", r"\$")


def wrapped(name: str, width: int = 14) -> str:
    """The name in lines of about ``width`` characters, broken at spaces."""
    lines = [""]
    for word in name.split():
        fits = len(lines[-1]) + len(word) < width
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if fits else [*lines, word]
    return "\n".join(one for one in lines if one)
