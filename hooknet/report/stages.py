"""Slides through the stages of a system: what the refiner saw, and what it made of it, beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.run import RefinerRun, Run
from hooknet.config.sides import Side
from hooknet.coordinates import RasterGrid
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.io.slides import Slide
from hooknet.report.data import Labels, ReportClass, ReportStages, StagedSlide
from hooknet.report.overlays import colour, lay_over
from hooknet.report.style import INK, literal

#: Slides shown of a system, and the longest side of a picture in px.
MAX_SLIDES = 3
LONGEST_SIDE = 400
#: Width of a picture in a figure, in inches.
WIDTH = 1.9
HEAT = "magma"


def stages(
    runs: Sequence[Run], assigned: Mapping[str, Side], slides: Path, runs_folder: Path
) -> list[ReportStages]:
    """Of each refiner that stands on heat maps, some test slides, evenly picked; of several seeds the first."""
    found: dict[str, ReportStages] = {}
    for run in runs:
        if not isinstance(run, RefinerRun) or run.parent is None or run.experiment in found:
            continue
        tested = run.slides("test", assigned)
        chosen = tested[:: max(1, ceil(len(tested) / MAX_SLIDES))]
        value = run.foreground[0]
        found[run.experiment] = ReportStages(
            run.system,
            run.parent.system,
            run.dataset.label_map.names[value - 1],
            tuple(_slide(run, one, value, slides, runs_folder) for one in chosen),
        )
    return list(found.values())


def _slide(run: RefinerRun, slide: SlideSettings, value: int, slides: Path, runs_folder: Path) -> StagedSlide:
    assert run.parent is not None
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        size_um = max(opened.size[0] * opened.spacing.x, opened.size[1] * opened.spacing.y)
        grid = opened.grid(max(size_um / LONGEST_SIDE, opened.spacing.x, opened.spacing.y))
        image = opened.read_rgb(grid.window(0, 0, grid.width, grid.height), (grid.width, grid.height))
    parent = runs_folder / run.parent.name
    with Probabilities.open(parent / "probabilities" / f"{slide.id}.tif") as heat:
        shares = heat.read_as(grid, 0, 0, grid.width, grid.height)[value - 1]
    roles = roles_of(slide)
    return StagedSlide(
        slide.id,
        image,
        shares,
        _labels(parent / "maps" / f"{slide.id}.tif", grid),
        _labels(runs_folder / run.name / "maps" / f"{slide.id}.tif", grid),
        _labels(slides / slide.id / f"{roles[-1]}.tif", grid) if roles else None,
    )


def _labels(path: Path, grid: RasterGrid) -> Labels:
    with Mask.open(path) as mask:
        return mask.read_as(grid, 0, 0, grid.width, grid.height)


def draw(found: ReportStages, classes: Sequence[ReportClass]) -> Figure:
    """A row a slide: the slide, its heat map, the patch-wise map, the refined one, the truth."""
    palette = {one.value: one.rgb for one in classes}
    titles = ["slide", f"heat map of {found.heat_class}", found.parent, found.system, "truth"]
    heights = [WIDTH * one.image.shape[0] / one.image.shape[1] for one in found.slides]
    figure = Figure(figsize=(WIDTH * len(titles), sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    every = figure.subplots(len(found.slides), len(titles), squeeze=False, height_ratios=heights)
    for row, one in zip(every, found.slides, strict=True):
        white = np.full_like(one.image, 255)
        maps = (one.patchwise, one.refined, one.truth)
        shown = [None if labels is None else lay_over(white, colour(labels, palette)) for labels in maps]
        pictures = [one.image, one.heat, *shown]
        for place, (axes, picture) in enumerate(zip(row, pictures, strict=True)):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_color("#d9d9e0")
            if picture is not None:
                axes.imshow(
                    picture, cmap=HEAT if place == 1 else None, vmin=0, vmax=255, interpolation="nearest"
                )
        row[0].set_ylabel(literal(one.slide), fontsize=8, color=INK)
    for axes, title in zip(every[0], titles, strict=True):
        axes.set_title(literal(title), fontsize=9, color=INK)
    return figure
