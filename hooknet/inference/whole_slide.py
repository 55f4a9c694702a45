"""One slide through one trained network."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import DenseRun
from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.inference.bands import Band
from hooknet.inference.canvas import Canvas, Piece
from hooknet.inference.choice import Job, choose
from hooknet.inference.dense import Canvases, Segmenting, segment, views_of
from hooknet.inference.made import made_of
from hooknet.inference.memory import OutOfMemory, fits, network_budget
from hooknet.inference.plan import Plan, make_plan, plan_of
from hooknet.inference.regions import Wanted, open_inside
from hooknet.inference.stages import Stages
from hooknet.inference.telling import progress, tell_classes, tell_damage
from hooknet.inference.weights import fitting_checkpoint, ready
from hooknet.io.masks import Mask, MaskWriter, create_mask
from hooknet.io.memory import keep_freed_memory
from hooknet.io.probabilities import create_probabilities
from hooknet.io.slides import Slide
from hooknet.models.network import Network
from hooknet.models.table import build_model
from hooknet.shapes.memory import tile_bytes

logger = logging.getLogger(__name__)

#: The largest target view in px of a run of shuffled contexts, where its settings name none.
SHUFFLED_TILE = 1244


@dataclass(frozen=True)
class MapFiles:
    """The map and probabilities to write; the tissue mask and the label masks to cover.

    ``band``: which rows of the map to predict, where several jobs share a slide.
    ``made``: what the map is made of (:func:`hooknet.inference.made.made_of`).
    """

    output: Path
    probabilities: Path | None
    tissue: Path | None
    labels: tuple[Path, ...]
    band: Band | None = None
    made: Mapping[str, str] = field(default_factory=dict)


def load_network(run: DenseRun, path: Path, *slides: str) -> Network:
    """The trained network in eval mode on the device that is there; CheckpointError unless it is this run's."""
    checkpoint = fitting_checkpoint(run, path, slides, run.settings.read_as())
    return ready(build_model(run.settings.model, run.network), checkpoint, path)


def infer(
    run: DenseRun, slide: SlideSettings, checkpoint: Path, files: MapFiles, memory: int | None = None
) -> Stages:
    """Write the map of a slide (and its probabilities), over what the experiment says and all ``files.labels``.

    ``memory``: bytes that the process may hold, None for half of what is free (of a GPU most of what is free
    there).  Where it does not suffice all the same, smaller tiles are tried; MaskError where there are none.
    """
    network = prepared(run, checkpoint, slide.id)
    return predict(run, slide, network, replace(files, made=made_of(run, checkpoint)), memory)


def prepared(run: DenseRun, checkpoint: Path, *slides: str) -> Network:
    """The network, and the process as inference wants it: once, however many slides follow."""
    torch.set_num_threads(run.settings.train.threads)
    keep_freed_memory()
    return load_network(run, checkpoint, *slides)


def predict(
    run: DenseRun, slide: SlideSettings, network: Network, files: MapFiles, memory: int | None = None
) -> Stages:
    """As :func:`infer`, by a network that :func:`prepared` loaded."""
    settings = run.settings
    budget = network_budget(next(network.parameters()).device, memory)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Slide(str(slide.slide), slide.spacing_override))
        opened.require_channels(network.settings.channels)
        masks = [stack.enter_context(Mask.open(path)) for path in files.labels]
        inside = open_inside(run.settings.infer.over, slide, opened.size, files.tissue, run.name)
        if inside is not None:
            stack.enter_context(inside)
        wanted = Wanted(inside, tuple(masks))
        while True:
            plan = _plan(run, network, opened.grid(settings.spacings[0]), wanted, budget)
            damage = opened.tolerate(settings.infer.unreadable)
            work = Segmenting(opened, settings.spacings, wanted, plan, settings.shuffles_context, damage)
            try:
                return _write_map(run, slide.id, network, work, files)
            except OutOfMemory as error:
                budget = min(budget, tile_bytes(network.shape, plan.tile)) / 2
                if plan == _plan(run, network, opened.grid(settings.spacings[0]), wanted, budget):
                    raise MaskError(
                        f"{files.output}: out of memory with the smallest tile, {plan.tile.sizes[0]} px ({error}); "
                        "free memory, lower infer.tile of a run of shuffled contexts, or use a smaller network"
                    ) from error
                logger.warning(
                    "%s: out of memory with tiles of %d px; trying smaller ones", slide.id, plan.tile.sizes[0]
                )


def _plan(run: DenseRun, network: Network, grid: RasterGrid, wanted: Wanted, budget: float) -> Plan:
    """Where tiles lie, of a size that the budget (bytes) allows; told where it is not so."""
    options, shape = run.settings.infer, network.shape
    allowed = fits(shape, budget)
    if run.settings.shuffles_context:
        # Whose contexts a tile is shown depends on its place: it must not depend on the machine's memory.
        fixed = shape.tile(options.tile or SHUFFLED_TILE, options.rim)
        plan = plan_of(fixed, grid, wanted)
    else:
        plan = make_plan(shape, grid, wanted, allowed, options.tile, options.rim)
    if not allowed(plan.tile):
        logger.warning(
            "tiles of %d px may take %.0f MB more than there is: no smaller ones; give more memory",
            plan.tile.sizes[0],
            (tile_bytes(shape, plan.tile) - budget) / 1e6,
        )
    return plan


def _write_map(run: DenseRun, slide: str, network: Network, work: Segmenting, files: MapFiles) -> Stages:
    """Predict a slide by a plan; nothing is left behind where that fails."""
    options, label_map, grid = run.settings.infer, run.dataset.label_map, work.grid
    made = {**files.made, "slide": slide}
    tile = work.plan.tile
    if options.tile is not None and tile.sizes[0] > options.tile:
        logger.warning(
            "%s: tiles of %d px, more than infer.tile %d: the smallest without seams",
            slide,
            tile.sizes[0],
            options.tile,
        )
    seen = np.zeros(len(label_map) + 1, np.int64)
    with contextlib.ExitStack() as stack:
        names, palette = label_map.names, label_map.palette()
        writer = stack.enter_context(create_mask(files.output, grid, names, palette, made))
        canvas = Canvas(grid.width, grid.height, 1, _writes(writer, seen))
        shares = None
        if files.probabilities is not None:
            # In place before the map is, which says that all is done.
            bands = create_probabilities(files.probabilities, grid, names, made)
            shares = Canvas(grid.width, grid.height, len(label_map), stack.enter_context(bands).write)
        stages = Stages()
        here = work if files.band is None else _in_band(work, files.band)
        if here.plan.places:
            # Chosen for the whole slide, so that all bands of it are computed alike.
            views = views_of(work, work.plan.places[work.plan.fullest])
            job = Job(tile, len(work.plan.places), run.settings.train.threads, shares is not None)
            engine = choose(network, job, options, views)
            tell = stack.enter_context(progress(slide, "tiles"))
            stages = segment(here, engine, Canvases(canvas, shares), tell)
    logger.info("%s: views of %s px every %d px; %s", slide, tile.sizes, tile.stride, stages)
    tell_damage(slide, work.damage)
    if files.band is None:  # of bands the joined map is told
        tell_classes(slide, label_map.names, seen)
    return stages


def _in_band(work: Segmenting, band: Band) -> Segmenting:
    """The part of the work that lies in a band, with tiles where they are for the whole slide."""
    wanted = replace(work.wanted, rows=band.rows(work.grid.height))
    return replace(work, wanted=wanted, plan=plan_of(work.plan.tile, work.grid, wanted))


def _writes(writer: MaskWriter, seen: np.ndarray) -> Callable[[int, int, Piece], None]:
    def write(column: int, row: int, block: Piece) -> None:
        seen[:] += np.bincount(block.ravel(), minlength=len(seen))
        writer.write(column, row, block[0])

    return write
