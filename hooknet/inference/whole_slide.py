"""One slide through one trained network."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import Run
from hooknet.coordinates import RasterGrid
from hooknet.errors import CheckpointError, MaskError
from hooknet.inference.canvas import Canvas, Piece
from hooknet.inference.choice import Job, choose
from hooknet.inference.dense import Canvases, Segmenting, segment, views_of
from hooknet.inference.memory import OutOfMemory, fits, network_budget, tile_bytes
from hooknet.inference.plan import Plan, make_plan, plan_of
from hooknet.inference.regions import Wanted
from hooknet.inference.stages import Stages
from hooknet.io.masks import Mask, MaskWriter, create_mask
from hooknet.io.memory import keep_freed_memory
from hooknet.io.probabilities import create_probabilities
from hooknet.io.rasters import LabelRaster, open_raster
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import Checkpoint, load_checkpoint, restore
from hooknet.models.network import Network
from hooknet.models.table import build_model

logger = logging.getLogger(__name__)

#: The largest target view in px of a run of shuffled contexts, where its settings name none.
SHUFFLED_TILE = 1244


@dataclass(frozen=True)
class MapFiles:
    """The map and probabilities to write; the tissue mask and the label masks to cover."""

    output: Path
    probabilities: Path | None
    tissue: Path | None
    labels: tuple[Path, ...]


def load_network(run: Run, path: Path, slide: str) -> Network:
    """The trained network in eval mode on the device that is there; CheckpointError unless it is this run's."""
    checkpoint = load_checkpoint(path)
    _check_fits(run, checkpoint, path)
    if checkpoint.spec.get("dataset") == run.dataset_name and slide in checkpoint.spec.get("slides", []):
        logger.warning(
            "%s: %s was trained or chosen on slide %s; a score on it means nothing", slide, path, slide
        )
    network = build_model(run.settings.model, run.network)
    restore(network, checkpoint.state_dict, path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def infer(
    run: Run, slide: SlideSettings, checkpoint: Path, files: MapFiles, memory: int | None = None
) -> Stages:
    """Write the map of a slide (and its probabilities), over what the experiment says and all ``files.labels``.

    ``memory``: bytes that the process may hold, None for half of what is free (of a GPU most of what is free
    there).  Where it does not suffice all the same, smaller tiles are tried; MaskError where there are none.
    """
    settings = run.settings
    torch.set_num_threads(settings.train.threads)
    torch.backends.cudnn.allow_tf32 = False  # fp32 is what all else is compared with
    keep_freed_memory()
    network = load_network(run, checkpoint, slide.id)
    budget = network_budget(next(network.parameters()).device, memory)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Slide(str(slide.slide), slide.spacing_override))
        masks = [stack.enter_context(Mask.open(path)) for path in files.labels]
        inside = _inside(run, slide, opened, files)
        if inside is not None:
            stack.enter_context(inside)
        wanted = Wanted(inside, tuple(masks))
        while True:
            plan = _plan(run, network, opened.grid(settings.spacings[0]), wanted, budget)
            work = Segmenting(opened, settings.spacings, wanted, plan, settings.shuffle_context)
            try:
                return _write_map(run, slide.id, network, work, files)
            except OutOfMemory as error:
                budget = min(budget, tile_bytes(network.shape, plan.tile)) / 2
                if plan == _plan(run, network, opened.grid(settings.spacings[0]), wanted, budget):
                    raise MaskError(
                        f"{files.output}: out of memory with the smallest tile, {plan.tile.sizes[0]} px ({error}); "
                        "free memory, lower infer.tile of a run of shuffled contexts, or use fewer filters"
                    ) from error
                logger.warning(
                    "%s: out of memory with tiles of %d px; trying smaller ones", slide.id, plan.tile.sizes[0]
                )


def _plan(run: Run, network: Network, grid: RasterGrid, wanted: Wanted, budget: float) -> Plan:
    """Where tiles lie, of a size that the budget (bytes) allows; told where it is not so."""
    options, shape = run.settings.infer, network.shape
    allowed = fits(shape, budget)
    if run.settings.shuffle_context:
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


def _write_map(run: Run, slide: str, network: Network, work: Segmenting, files: MapFiles) -> Stages:
    """Predict a slide by a plan; nothing is left behind where that fails."""
    options, label_map, grid = run.settings.infer, run.dataset.label_map, work.grid
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
        writer = stack.enter_context(create_mask(files.output, grid, label_map.names, label_map.palette()))
        canvas = Canvas(grid.width, grid.height, 1, _writes(writer, seen))
        shares = None
        if files.probabilities is not None:
            # In place before the map is, which says that all is done.
            bands = create_probabilities(files.probabilities, grid, label_map.names)
            shares = Canvas(grid.width, grid.height, len(label_map), stack.enter_context(bands).write)
        stages = Stages()
        if work.plan.places:
            views = views_of(work, work.plan.places[work.plan.fullest])
            job = Job(tile, len(work.plan.places), run.settings.train.threads, shares is not None)
            engine = choose(network, job, options, views)
            progress = stack.enter_context(_progress(slide))
            stages = segment(work, engine, Canvases(canvas, shares), progress)
    logger.info("%s: views of %s px every %d px; %s", slide, tile.sizes, tile.stride, stages)
    _tell(slide, label_map.names, seen, stages.pixels)
    return stages


def _writes(writer: MaskWriter, seen: np.ndarray) -> Callable[[int, int, Piece], None]:
    def write(column: int, row: int, block: Piece) -> None:
        seen[:] += np.bincount(block.ravel(), minlength=len(seen))
        writer.write(column, row, block[0])

    return write


def _inside(run: Run, slide: SlideSettings, opened: Slide, files: MapFiles) -> LabelRaster | None:
    """The mask to predict within; None for everything."""
    over = run.settings.infer.over
    if over == "everything":
        return None
    if over == "mask":
        return open_raster(str(slide.infer_mask), opened.size)
    if files.tissue is None:
        raise MaskError(
            f"run {run.name}: infers over tissue, found no tissue mask; give --tissue (see detect-tissue)"
        )
    return Mask.open(files.tissue)


def _check_fits(run: Run, checkpoint: Checkpoint, path: Path) -> None:
    """CheckpointError unless the weights were trained for the run's classes, spacings and network."""
    settings = run.settings.model_dump(mode="json")
    trained = checkpoint.spec.get("settings", {})
    classes = [one["name"] for one in checkpoint.spec.get("classes", [])]
    pairs = [("classes", classes, list(run.dataset.label_map.names))]
    pairs += [
        (key, trained.get(key), settings[key]) for key in ("model", "spacings", "patch_size", "network")
    ]
    pairs.append(("shuffle_context", trained.get("shuffle_context", False), settings["shuffle_context"]))
    for key, found, wanted in pairs:
        if found != wanted:
            raise CheckpointError(
                f"{path}: trained with {key} {found}, run {run.name} has {wanted}; train the run again or "
                "use the experiment the weights come from"
            )


@contextlib.contextmanager
def _progress(slide: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line for every tenth elsewhere; told (tiles done, tiles)."""
    if sys.stderr.isatty():
        with Progress() as bars:
            task = bars.add_task(f"predict {slide}", total=None)
            yield lambda done, tiles: bars.update(task, completed=done, total=tiles)
    else:

        def tell(done: int, tiles: int) -> None:
            if done * 10 // tiles > (done - 1) * 10 // tiles:
                logger.info("%s: %d of %d tiles", slide, done, tiles)

        yield tell


def _tell(slide: str, names: tuple[str, ...], seen: np.ndarray, pixels: int) -> None:
    """A line on what the map holds, and a warning where it looks like a failure."""
    if pixels == 0:
        logger.warning("%s: nothing was to be predicted, the map is empty; look at the tissue mask", slide)
        return
    shares = ", ".join(f"{name} {number / pixels:.1%}" for name, number in zip(names, seen[1:], strict=True))
    logger.info("%s: predicted %d px: %s", slide, pixels, shares)
    if np.count_nonzero(seen[1:]) == 1 and len(names) > 1:
        logger.warning(
            "%s: the whole map is one class; check the spacing, the stain and the training curves", slide
        )
