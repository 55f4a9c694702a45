"""A new slide before it is predicted: is it usable, is it like those of training, what will it take?"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hooknet.config.document import build
from hooknet.config.slides import SlideSettings
from hooknet.config.steps import TissueSettings
from hooknet.coordinates import RasterGrid, blocks
from hooknet.errors import HookNetError, SlideError
from hooknet.groundtruth.stain import beyond, measure_slide
from hooknet.groundtruth.tissue import detect_tissue
from hooknet.inference.dense import Segmenting
from hooknet.inference.estimate import Speed, Work, measure_speed, work_of
from hooknet.inference.regions import Wanted
from hooknet.inference.whole_slide import budget_of, plan_for
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide
from hooknet.models.network import Network
from hooknet.prediction.model import Model, tissue_of
from hooknet.prediction.places import claim

logger = logging.getLogger(__name__)

BLOCK = 1024


@dataclass(frozen=True)
class Ready:
    """A slide that can be predicted.

    ``size`` in level-0 px; ``grid``: of its map; ``tissue``: its mask, None where everything is predicted and no
    tissue was found; ``area_mm2``: to be predicted; ``warnings``: why its map may be worse than others.
    """

    slide: SlideSettings
    size: tuple[int, int]
    grid: RasterGrid
    tissue: Path | None
    area_mm2: float
    warnings: tuple[str, ...]
    work: Work

    @property
    def told(self) -> str:
        """What there is of it, in a line."""
        width, height = self.size
        spacing = self.grid.spacing / self.grid.step_x
        return f"{width} x {height} px at {spacing:.4g} µm/px, {self.area_mm2:.3g} mm² to predict"


def settings_of(name: str, path: Path, spacing: float | None) -> SlideSettings:
    """A new slide as a row of a sheet would give it; ConfigError for what could be none."""
    row = {"id": name, "slide": str(path), "split": "test", "spacing": spacing}
    return build(SlideSettings, row, path, "")


def ready(
    model: Model, networks: Sequence[Network], slide: SlideSettings, tissue: Path, memory: int | None
) -> Ready:
    """Look at a slide, and write its ``tissue`` mask unless a whole one of it is there, in the folder of its results.

    HookNetError where the slide cannot be read, is too coarse or, where tissue is predicted, has none.
    """
    settings, how, network = model.run.settings, tissue_of(model), networks[0]
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Slide(str(slide.slide), slide.spacing_override))
        opened.require_channels(network.settings.channels)
        grid = opened.grid(settings.spacings[0])
        claim(tissue.parent, Path(str(slide.slide)), how)
        found = _tissue(opened, how, tissue, settings.infer.over == "tissue")
        mask = None if found is None else stack.enter_context(Mask.open(found))
        inside = mask if settings.infer.over == "tissue" else None
        area = opened.size[0] * opened.size[1] * opened.spacing.x * opened.spacing.y
        area = area if inside is None else _area(inside)
        plan = plan_for(model.run, network, grid, Wanted(inside), budget_of(networks, memory))
        work = work_of(network.shape, plan, area / grid.spacing**2, model.run.passes)
        warnings = _warnings(model, slide, opened)
        return Ready(slide, opened.size, grid, found, area / 1e6, warnings, work)


def speed_on(model: Model, networks: Sequence[Network], one: Ready, memory: int | None) -> Speed:
    """How fast this machine predicts, tried on a slide that has tiles; SlideError where it cannot be read there."""
    settings = model.run.settings
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Slide(str(one.slide.slide), one.slide.spacing_override))
        inside = None
        if settings.infer.over == "tissue" and one.tissue is not None:
            inside = stack.enter_context(Mask.open(one.tissue))
        opened.tolerate(settings.infer.unreadable)
        wanted = Wanted(inside)
        plan = plan_for(model.run, networks[0], one.grid, wanted, budget_of(networks, memory))
        return measure_speed(model.run, networks, Segmenting(opened, settings.spacings, wanted, plan))


def is_newer(path: Path, *sources: str | Path) -> bool:
    """Whether a file is there and not older than what it was made of."""
    if not path.is_file():
        return False
    return all(path.stat().st_mtime_ns >= Path(one).stat().st_mtime_ns for one in sources)


def _tissue(slide: Slide, how: TissueSettings, path: Path, needed: bool) -> Path | None:
    """The mask of a slide's tissue: what is there of this very slide stays, since tiles that are kept depend on it."""
    grid = slide.grid(max(how.spacing, slide.spacing.x, slide.spacing.y))
    if is_newer(path, slide.path):
        with contextlib.suppress(HookNetError), Mask.open(path) as mask:
            if mask.grid == grid:
                return path
    try:
        detect_tissue(slide, **how.model_dump(), path=path)
    except SlideError:
        if needed:
            raise
        return None
    return path


def _area(mask: Mask) -> float:
    """µm² of a mask's px above 0."""
    grid = mask.grid
    count = sum(int(np.count_nonzero(mask.read(*one))) for one in blocks(grid.width, grid.height, BLOCK))
    return count * grid.spacing**2


def _warnings(model: Model, slide: SlideSettings, opened: Slide) -> tuple[str, ...]:
    found, cohorts = [], model.cohorts
    # Most cohorts tell tissue alike, and to measure a slide is to read all of it.
    measured: dict[TissueSettings, dict[str, float]] = {}
    for number, one in cohorts.items():
        if one.ranges is not None:
            of, how = f" (weights {number})" if len(cohorts) > 1 else "", tissue_of(one)
            if how not in measured:
                measured[how] = measure_slide(opened, how)
            found += [f"{told}{of}" for told in beyond(measured[how], one.ranges)]
    if slide.id in model.seen:
        found.append("a slide of this name was trained on, or chosen with")
    interpolated = opened.require_all(model.run.settings.spacings)
    if interpolated:
        told = ", ".join(f"{one:g}" for one in interpolated)
        found.append(f"its pixels are coarser than the {told} µm/px that is wanted, and are interpolated")
    return tuple(found)


def warned(model: Model, slide: SlideSettings) -> tuple[str, ...]:
    """Why the map of a slide may be worse than others; HookNetError where the slide cannot be read."""
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        return _warnings(model, slide, opened)


def tell_warnings(name: str, warnings: Sequence[str]) -> None:
    """One line a slide."""
    if warnings:
        logger.warning("%s: %s", name, "; ".join(warnings))


def estimated(speed: Speed | None, slides: Sequence[Ready]) -> tuple[float, float]:
    """Seconds and bytes of some slides; without tiles to predict there was no speed to measure."""
    if speed is None:
        return 0.0, 0.0
    return sum(speed.seconds(one.work) for one in slides), sum(speed.size(one.work) for one in slides)
