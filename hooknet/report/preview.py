"""The picture of what a network sees in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from hooknet.coordinates import PatchSpec
from hooknet.io.atomic import atomic
from hooknet.report.data import ReportClass, Rgb
from hooknet.report.overlays import Palette, blend, length_text
from hooknet.report.style import FIXED, GREY, INK
from hooknet.training.preview import Preview, Sample

# In inches.  A panel has about as many dots as a patch of the paper has pixels.
PANEL, GAP, BETWEEN = 1.9, 0.06, 0.34
LEFT, TOP, BOTTOM, EDGE = 1.15, 0.86, 0.42, 0.1
DPI = 150
HALO = (Stroke(linewidth=3.2, foreground="white"), Normal())
TARGET, OUTPUT = "-", (0, (2.2, 1.4))


def panels(sample: Sample, spec: PatchSpec, palette: Palette) -> list[Rgb]:
    """The pictures of one half of a row: the target, the square that is scored with its labels, the contexts."""
    target = sample.views[0]
    first = (spec.size - spec.output_size) // 2
    square = target[first : first + spec.output_size, first : first + spec.output_size]
    return [target, blend(square, sample.labels, palette), *sample.views[1:]]


def frames(spec: PatchSpec) -> list[tuple[float, float, str] | None]:
    """For each panel: (left = top, side) in px of what another panel shows of it, and whose that is; None for none."""
    scored = ((spec.size - spec.output_size) / 2, float(spec.output_size), "output")
    sides = [spec.size * spec.target_spacing / one for one in spec.spacings[1:]]
    return [scored, None, *(((spec.size - side) / 2, side, "target") for side in sides)]


def titles(spec: PatchSpec, shuffled: bool = False) -> list[str]:
    """A line for what a panel shows, a line for its spacing and field of view."""
    context = "context of another" if shuffled else "context"
    shown = [
        ("target", spec.size, spec.target_spacing),
        ("labels", spec.output_size, spec.target_spacing),
        *((context, spec.size, one) for one in spec.spacings[1:]),
    ]
    return [f"{name}\n{one:g} µm/px, {length_text(size * one)}" for name, size, one in shown]


@dataclass(frozen=True)
class _Sheet:
    """Where things stand, in inches from the lower left."""

    columns: int
    rows: int

    @property
    def half(self) -> float:
        return self.columns * (PANEL + GAP) - GAP

    @property
    def size(self) -> tuple[float, float]:
        return LEFT + 2 * self.half + BETWEEN + EDGE, TOP + self.rows * (PANEL + GAP) + BOTTOM

    def left(self, half: int, column: float = 0) -> float:
        return LEFT + half * (self.half + BETWEEN) + column * (PANEL + GAP)

    def bottom(self, row: int) -> float:
        return self.size[1] - TOP - (row + 1) * (PANEL + GAP) + GAP

    def panel(self, figure: Figure, row: int, half: int, column: int) -> Axes:
        width, height = self.size
        place = (self.left(half, column) / width, self.bottom(row) / height, PANEL / width, PANEL / height)
        return figure.add_axes(place)

    def write(self, figure: Figure, x: float, y: float, text: str, **how: Any) -> None:
        # A name is not mathematics.
        literal = text.replace("$", r"\$")
        figure.text(x / self.size[0], y / self.size[1], literal, color=INK, va="center", **how)


def draw(preview: Preview, classes: Sequence[ReportClass]) -> Figure:
    """A row per patch: all panels as they are on the slide, then the same as augmented."""
    spec, palette = preview.spec, {one.value: one.rgb for one in classes}
    named, framed = titles(spec, preview.shuffled), frames(spec)
    sheet = _Sheet(len(named), len(preview.patches))
    figure = Figure(figsize=sheet.size, facecolor="white")
    FigureCanvasAgg(figure)
    for row, patch in enumerate(preview.patches):
        where = f"{patch.slide}\n{patch.centre_class}\n({patch.x:.0f}, {patch.y:.0f})"
        middle = sheet.bottom(row) + PANEL / 2
        sheet.write(figure, LEFT - EDGE, middle, where, ha="right", fontsize=8, linespacing=1.5)
        for half, sample in enumerate((patch.plain, patch.augmented)):
            for column, picture in enumerate(panels(sample, spec, palette)):
                axes = sheet.panel(figure, row, half, column)
                _fill(axes, picture, framed[column])
                if row == 0:
                    axes.set_title(named[column], fontsize=7.5, color=INK, pad=4, linespacing=1.35)
    head = sheet.size[1] - 0.24
    sheet.write(figure, EDGE, head, preview.run, fontsize=10)
    for half, name in enumerate(("as on the slide", "augmented")):
        centre = sheet.left(half) + sheet.half / 2
        sheet.write(figure, centre, head, name, ha="center", fontsize=10, weight="bold")
    _legend(figure, classes, len(spec.spacings) > 1)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the PNG; the same picture gives the same file."""
    with atomic(path) as partial, mpl.rc_context(FIXED):
        figure.savefig(partial, format="png", dpi=DPI, metadata={"Software": None})


def _fill(axes: Axes, picture: Rgb, frame: tuple[float, float, str] | None) -> None:
    axes.imshow(picture, interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GREY)
    axes.spines[:].set_linewidth(0.6)
    if frame is not None:
        first, side, whose = frame
        # imshow puts pixel centres at integers.
        square = Rectangle(
            (first - 0.5, first - 0.5), side, side, fill=False, ec=INK, lw=1.4,
            ls=TARGET if whose == "target" else OUTPUT, path_effects=HALO,
        )  # fmt: skip
        axes.add_patch(square)


def _legend(figure: Figure, classes: Sequence[ReportClass], contexts: bool) -> None:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=one.colour, edgecolor=INK, lw=0.5, label=one.name.replace("$", r"\$"))
        for one in classes
    ]
    if contexts:
        handles.append(Line2D([], [], color=INK, ls=TARGET, lw=1.4, label="what the target shows"))
    handles.append(Line2D([], [], color=INK, ls=OUTPUT, lw=1.4, label="what is labelled and scored"))
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8, borderaxespad=0.5
    )
