"""Read what the report shows of slides: whole ones, and the parts where the best system does worst and best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np

from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.run import DenseRun, Run
from hooknet.config.sides import Side
from hooknet.coordinates import RasterGrid
from hooknet.evaluation.windows import SIDE, Rated, best, read_windows, worst
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide
from hooknet.io.uncertainty import read_entropy
from hooknet.report.data import ReportOverlay, ReportRegion

MAX_OVERLAYS = 8
LONGEST_SIDE = 1200
# Regions of each kind, and how many of them one slide may have.
MAX_REGIONS = 4
MAX_OF_SLIDE = 2
KINDS = {"worst": worst, "best": best}


def overlays(
    runs: Sequence[Run], assigned: Mapping[str, Side], slides: Path, runs_folder: Path
) -> list[ReportOverlay]:
    """Test slides, evenly picked where there are many, with the map of every system that tested them.

    And with its uncertainty, where its experiment asks for that.
    """
    tested: dict[str, dict[str, Run]] = {}
    for run in runs:
        for slide in run.slides("test", assigned):
            tested.setdefault(slide.id, {})[run.system] = run
    chosen = list(tested)[:: max(1, ceil(len(tested) / MAX_OVERLAYS))]
    return [_overlay(runs[0].dataset.slide(one), tested[one], slides, runs_folder) for one in chosen]


def _overlay(slide: SlideSettings, by: Mapping[str, Run], folder: Path, runs_folder: Path) -> ReportOverlay:
    file = f"{slide.id}.tif"
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        size_um = max(opened.size[0] * opened.spacing.x, opened.size[1] * opened.spacing.y)
        grid = opened.grid(max(size_um / LONGEST_SIDE, opened.spacing.x, opened.spacing.y))
        image = opened.read_rgb(grid.window(0, 0, grid.width, grid.height), (grid.width, grid.height))
    layers = {role: _read(folder / slide.id / f"{role}.tif", grid) for role in roles_of(slide)}
    return ReportOverlay(
        slide=slide.id,
        image=image,
        spacing=grid.spacing,
        annotation=layers.get("labels"),
        truth=layers.get("truth"),
        predictions={
            system: _read(runs_folder / run.name / "maps" / file, grid) for system, run in by.items()
        },
        unsure={
            system: read_entropy(runs_folder / run.name / "uncertainty" / file, grid)
            for system, run in by.items()
            if isinstance(run, DenseRun) and run.settings.keeps_uncertainty
        },
    )


def _read(path: Path, grid: RasterGrid) -> np.ndarray:
    with Mask.open(path) as mask:
        return mask.read_as(grid, 0, 0, grid.width, grid.height)


def regions(
    runs: Sequence[Run], role: str, assigned: Mapping[str, Side], slides: Path, runs_folder: Path
) -> list[ReportRegion]:
    """Where the runs of one system agree least and most with ``role``, first the worst; over all test slides."""
    rated: dict[tuple[str, str], list[Rated]] = {}
    for run in runs:
        for slide in run.slides("test", assigned):
            if role in roles_of(slide):
                path = runs_folder / run.name / "windows" / role / f"{slide.id}.csv"
                rated[run.name, slide.id] = read_windows(path)
    by_name = {run.name: run for run in runs}
    found: list[ReportRegion] = []
    for kind in KINDS:
        for (run_name, slide_id), window in chosen(rated, kind):
            truth = slides / slide_id / f"{role}.tif"
            prediction = runs_folder / run_name / "maps" / f"{slide_id}.tif"
            slide = by_name[run_name].dataset.slide(slide_id)
            found.append(_region(slide, by_name[run_name].system, kind, window, (truth, prediction)))
    return found


def chosen(
    rated: Mapping[tuple[str, str], Sequence[Rated]], kind: str
) -> list[tuple[tuple[str, str], Rated]]:
    """The windows to show of (run, slide) -> windows, at most ``MAX_OF_SLIDE`` of a slide.

    Of the best none that is among the worst: a single window would be both.
    """
    order = KINDS[kind]
    taken = {id(one) for _, one in chosen(rated, "worst")} if kind == "best" else set()
    few = [
        (key, one)
        for key, windows in rated.items()
        for one in order((one for one in windows if id(one) not in taken), MAX_OF_SLIDE)
    ]
    ranked = order((one for _, one in few), MAX_REGIONS)
    whose = {id(one): key for key, one in few}
    return [(whose[id(one)], one) for one in ranked]


def _region(
    slide: SlideSettings, system: str, kind: str, window: Rated, rasters: tuple[Path, Path]
) -> ReportRegion:
    with Mask.open(rasters[0]) as mask, Mask.open(rasters[1]) as found:
        width = min(SIDE, mask.grid.width - window.column)
        height = min(SIDE, mask.grid.height - window.row)
        place = (window.column, window.row, width, height)
        where = mask.grid.window(*place)
        labels, predicted = mask.read(*place), found.read_as(mask.grid, *place)
        spacing = mask.grid.spacing
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        image = opened.read_rgb(where, (width, height))
    return ReportRegion(
        slide.id, system, kind, where.x, where.y, window.f1, image, spacing, labels, predicted
    )
