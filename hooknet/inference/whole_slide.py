"""One slide through one trained network."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from hooknet.config.datasets import SlideSettings
from hooknet.config.dense import InferOptions
from hooknet.config.run import DenseRun
from hooknet.coordinates import RasterGrid
from hooknet.errors import ConfigError, MaskError
from hooknet.inference.averaging import engine_of, uncertainty_bands
from hooknet.inference.bands import Band
from hooknet.inference.canvas import Canvas, Piece
from hooknet.inference.choice import Job, choose
from hooknet.inference.dense import Canvases, Segmenting, segment, views_of
from hooknet.inference.engines import Engine, Views
from hooknet.inference.kept import KeptTiles, journal_beside
from hooknet.inference.made import made_of
from hooknet.inference.memory import (
    MOST_VALUES,
    OutOfMemory,
    fits,
    free_memory,
    network_budget,
    noticing_out_of_memory,
)
from hooknet.inference.plan import Plan, make_plan, plan_of
from hooknet.inference.regions import Wanted, open_inside
from hooknet.inference.resuming import depends, left_to_do, within
from hooknet.inference.stages import Stages
from hooknet.inference.telling import progress, tell_classes, tell_damage
from hooknet.inference.weights import fitting_checkpoint, ready
from hooknet.io.journal import Journal
from hooknet.io.masks import Mask, MaskWriter, create_mask
from hooknet.io.memory import keep_freed_memory
from hooknet.io.probabilities import create_probabilities
from hooknet.io.slides import Slide
from hooknet.io.uncertainty import create_uncertainty
from hooknet.models.network import Network
from hooknet.models.table import build_model
from hooknet.shapes.dense import DenseShape
from hooknet.shapes.memory import tile_bytes
from hooknet.shapes.tiles import Tile

logger = logging.getLogger(__name__)

#: The largest target view in px of a run of shuffled contexts, where its settings name none.
SHUFFLED_TILE = 1244


@dataclass(frozen=True)
class MapFiles:
    """The map, probabilities and uncertainty to write; the tissue mask and the label masks to cover.

    ``band``: which rows of the map to predict, where several jobs share a slide.
    ``made``: what the map is made of (:func:`hooknet.inference.made.made_of`).  ``journal``: where its tiles are kept
    while it is made, so that a process after a killed one goes on; None to keep none.
    """

    output: Path
    probabilities: Path | None
    tissue: Path | None
    labels: tuple[Path, ...]
    band: Band | None = None
    made: Mapping[str, str] = field(default_factory=dict)
    journal: Path | None = None
    uncertainty: Path | None = None


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
    Interrupted, it goes on where it was when it is called again (:mod:`hooknet.inference.resuming`).
    """
    networks, journal = prepared(run, checkpoint, slide.id), journal_beside(files.output)
    files = replace(files, made=made_of(run, checkpoint), journal=journal)
    stages = predict(run, slide, networks, files, memory)
    journal.unlink(missing_ok=True)
    return stages


def prepared(run: DenseRun, checkpoint: Path, *slides: str) -> tuple[Network, ...]:
    """The network, and the process as inference wants it: once, however many slides follow.

    Of an ensemble those of all members, ``checkpoint`` being that of the first.
    """
    torch.set_num_threads(run.settings.train.threads)
    keep_freed_memory()
    return tuple(load_network(run, path, *slides) for path in (checkpoint, *run.members[1:]))


def predict(
    run: DenseRun,
    slide: SlideSettings,
    networks: Sequence[Network],
    files: MapFiles,
    memory: int | None = None,
) -> Stages:
    """As :func:`infer`, by networks that :func:`prepared` loaded."""
    settings, network = run.settings, networks[0]
    budget = budget_of(networks, memory)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Slide(str(slide.slide), slide.spacing_override))
        opened.require_channels(network.settings.channels)
        masks = [stack.enter_context(Mask.open(path)) for path in files.labels]
        inside = open_inside(run.settings.infer.over, slide, opened.size, files.tissue, run.name)
        if inside is not None:
            stack.enter_context(inside)
        wanted = Wanted(inside, tuple(masks))
        plan = plan_for(run, network, opened.grid(settings.spacings[0]), wanted, budget)
        while True:
            damage = opened.tolerate(settings.infer.unreadable)
            work = Segmenting(opened, settings.spacings, wanted, plan, settings.shuffles_context, damage)
            try:
                with noticing_out_of_memory():
                    return _write_map(run, slide, networks, work, files)
            except OutOfMemory as error:
                told = f"out of memory with tiles of {plan.tile.sizes[0]} px ({error})"
            # Here, where nothing holds the frames any more that held the tile.
            free_memory()
            smaller = plan_for(run, network, work.grid, wanted, _between(network.shape, plan.tile, run))
            if smaller.tile == plan.tile:
                raise MaskError(
                    f"{files.output}: {told}, and there are no smaller ones; free memory, lower infer.tile of a run of "
                    "shuffled contexts, or use a smaller network"
                )
            plan = smaller
            logger.warning("%s: %s; trying %d px", slide.id, told, plan.tile.sizes[0])


def _between(shape: DenseShape, tile: Tile, run: DenseRun) -> float:
    """Bytes halfway from a tile to the smallest."""
    least = next(iter(shape.tiles(run.settings.infer.rim)))
    return (tile_bytes(shape, tile) + tile_bytes(shape, least)) / 2


def budget_of(networks: Sequence[Network], memory: int | None) -> float:
    """Bytes for the feature maps of each network (:func:`hooknet.inference.memory.network_budget`)."""
    # An engine may keep what its network's maps take, and each has one of its own.
    return network_budget(next(networks[0].parameters()).device, memory) / len(networks)


def plan_for(run: DenseRun, network: Network, grid: RasterGrid, wanted: Wanted, budget: float) -> Plan:
    """Where tiles lie, of a size that the budget (bytes) allows; told where it is not so.

    ConfigError where settings leave only tiles that nothing computes.
    """
    options, shape = run.settings.infer, network.shape
    allowed = fits(shape, budget)
    if run.settings.shuffles_context:
        # Whose contexts a tile is shown depends on its place: it must not depend on the machine's memory.
        fixed = shape.tile(options.tile or SHUFFLED_TILE, options.rim)
        plan = plan_of(fixed, grid, wanted)
    else:
        plan = make_plan(shape, grid, wanted, allowed, options.tile, options.rim)
    if shape.largest_values(plan.tile) >= MOST_VALUES:
        raise ConfigError(_beyond(run, plan.tile))
    if not allowed(plan.tile):
        logger.warning(
            "tiles of %d px may take %.0f MB more than there is: no smaller ones; give more memory",
            plan.tile.sizes[0],
            (tile_bytes(shape, plan.tile) - budget) / 1e6,
        )
    return plan


def _beyond(run: DenseRun, tile: Tile) -> str:
    """What to say of tiles that nothing computes: where they come from, and what to do."""
    options = run.settings.infer
    # Else infer.tile only says how large a tile may be.
    at_fault = {"rim": options.rim, "tile": options.tile if run.settings.shuffles_context else None}
    given = [f"infer.{name} {value}" for name, value in at_fault.items() if value is not None]
    by = f" by {' and '.join(given)}" if given else ""
    remedy = "lower that, or leave it out" if given else "use a smaller network"
    return f"run {run.name}: tiles have {tile.sizes[0]} px a side{by}, more than can be computed at once; {remedy}"


def _write_map(
    run: DenseRun, slide: SlideSettings, networks: Sequence[Network], work: Segmenting, files: MapFiles
) -> Stages:
    """Predict a slide by a plan; where that fails nothing is left behind but the journal."""
    options, label_map, grid = run.settings.infer, run.dataset.label_map, work.grid
    made = {**files.made, "slide": slide.id}
    tile = work.plan.tile
    if options.tile is not None and tile.sizes[0] > options.tile:
        logger.warning(
            "%s: tiles of %d px, more than infer.tile %d: the smallest without seams",
            slide.id,
            tile.sizes[0],
            options.tile,
        )
    seen = np.zeros(len(label_map) + 1, np.int64)
    with contextlib.ExitStack() as stack:
        names, palette = label_map.names, label_map.palette()
        writer = stack.enter_context(create_mask(files.output, grid, names, palette, made))
        canvas = Canvas(grid.width, grid.height, 1, _writes(writer, seen))
        shares: Canvas | None = None
        measures = () if files.uncertainty is None else uncertainty_bands(options, len(networks))
        if files.probabilities is not None:
            # In place before the map is, which says that all is done.
            likely = stack.enter_context(create_probabilities(files.probabilities, grid, names, made))
            write: Callable[[int, int, Piece], None] = likely.write
            if files.uncertainty is not None:
                unsure = stack.enter_context(create_uncertainty(files.uncertainty, grid, measures, made))
                write = _writes_both(write, unsure.write, len(label_map))
            shares = Canvas(grid.width, grid.height, len(label_map) + len(measures), write)
        stages = Stages()
        rows = (0, grid.height) if files.band is None else files.band.rows(grid.height)
        if within(work, rows).plan.places:
            # Chosen for the whole slide, so that all bands of it are computed alike.
            views = views_of(work, work.plan.places[work.plan.fullest])
            job = Job(tile, len(work.plan.places), run.settings.train.threads, shares is not None)
            engine = engine_of(networks, job, options, measures, _agreeing(options, views))
            kept = None
            if files.journal is not None:
                on = depends(made, work, engine, _read_for(slide, files))
                journal = stack.enter_context(Journal(files.journal, on))
                kept = KeptTiles(journal, 0 if shares is None else shares.bands, work.damage)
            left = left_to_do(slide.id, work, rows, kept)
            tell = stack.enter_context(progress(slide.id, "tiles"))
            stages = segment(left, engine, Canvases(canvas, shares, kept), tell)
    sizes = " and ".join(map(str, tile.sizes))
    logger.info("%s: views of %s px every %d px; %s", slide.id, sizes, tile.stride, stages)
    tell_damage(slide.id, work.damage)
    if files.band is None:  # of bands the joined map is told
        tell_classes(slide.id, label_map.names, seen)
    return stages


def _agreeing(options: InferOptions, views: Views) -> Callable[[Network, Job], Engine]:
    """What makes the engine of a network: the first that agrees with it on a tile's views."""

    def make(network: Network, job: Job) -> Engine:
        return choose(network, job, options, views)

    return make


def _read_for(slide: SlideSettings, files: MapFiles) -> list[str | Path]:
    """The files that decide what a map shows and where, besides the weights."""
    some = (slide.slide, slide.infer_mask, files.tissue, *files.labels)
    return [one for one in some if one is not None]


def _writes_both(
    shares: Callable[[int, int, Piece], None], unsure: Callable[[int, int, Piece], None], classes: int
) -> Callable[[int, int, Piece], None]:
    def write(column: int, row: int, block: Piece) -> None:
        shares(column, row, block[:classes])
        unsure(column, row, block[classes:])

    return write


def _writes(writer: MaskWriter, seen: np.ndarray) -> Callable[[int, int, Piece], None]:
    def write(column: int, row: int, block: Piece) -> None:
        seen[:] += np.bincount(block.ravel(), minlength=len(seen))
        writer.write(column, row, block[0])

    return write
