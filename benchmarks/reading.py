"""Concentric patches from a JPEG pyramid: ours beside the plain loop of two read_region calls and two resizes."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import openslide
import torch
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.made import draw_slide, index_of
from benchmarks.networks import paper_network
from benchmarks.table import Table, growth, in_turn, measured, ratio
from hooknet.coordinates import PatchSpec
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.inference.dense import Segmenting, squares_of
from hooknet.inference.plan import plan_of
from hooknet.inference.regions import Wanted
from hooknet.io import supertiles
from hooknet.io.blocks import BlockCache
from hooknet.io.memory import keep_freed_memory
from hooknet.io.patches import read_views
from hooknet.io.slides import Slide
from hooknet.training.batches import reading

SPEC = PatchSpec(284, 70, (0.5, 8.0))
PATCHES = 72
ROUNDS = 3
MIB = 2**20
SIDES_UM = (512.0, 1024.0, 2048.0)
CACHE_MIB = 32  # of the growth: less than a slide
BATCH = 12


def plain(handle: openslide.OpenSlide, x: float, y: float) -> np.ndarray:
    """What one writes first: the nearest finer level of each spacing, resized by PIL."""
    views = []
    for spacing in SPEC.spacings:
        step = spacing / 0.5
        level = handle.get_best_level_for_downsample(step + 0.01)
        side = round(SPEC.size * step / handle.level_downsamples[level])
        corner = (round(x - SPEC.size * step / 2), round(y - SPEC.size * step / 2))
        region = handle.read_region(corner, level, (side, side)).convert("RGB")
        views.append(np.asarray(region.resize((SPEC.size, SPEC.size), Image.Resampling.BOX)))
    return np.stack(views)


def draw_places(count: int, side: float, seed: int = 0) -> np.ndarray:
    """Centres (count, 2) all over a slide."""
    return np.random.default_rng(seed).integers(0, round(side), (count, 2)).astype(float)


def per_second(read: Callable[[float, float], np.ndarray], places: np.ndarray) -> float:
    """Patches a second of processor time: what one core can do, whoever else is at work."""
    start = time.process_time()
    for x, y in places:
        read(x, y)
    return len(places) / (time.process_time() - start)


def one_process(path: Path) -> Table:
    """The steps of the way, each beside the plain loop in turn."""
    places = draw_places(PATCHES, Slide(path).size[0])
    handle = openslide.OpenSlide(path)

    def ours(limit: int | None, passes: int = 1) -> Callable[[], float]:
        slide = Slide(path, None, None if limit is None else BlockCache(limit))
        for _ in range(passes - 1):
            per_second(lambda x, y: read_views(slide, x, y, SPEC), places)
        return lambda: per_second(lambda x, y: read_views(slide, x, y, SPEC), places)

    rows = {
        "plain loop": lambda: per_second(lambda x, y: plain(handle, x, y), places),
        "ours, no cache": ours(None),
        "blocks, none kept yet": lambda: ours(1 << 30)(),
        "blocks, an eighth of them fits": ours(round(_touched(path, places) / 8), 2),
        "blocks, all kept": ours(1 << 30, 2),
    }
    found = dict(zip(rows, in_turn(ROUNDS, *rows.values()), strict=True))
    return Table(
        f"{PATCHES} patches, two views of {SPEC.size} px at {SPEC.spacings} µm/px, one core",
        ("reading", "patches/s", "to the plain loop"),
        [(name, median(one), ratio(one, found["plain loop"])) for name, one in found.items()],
        (
            "Seconds of processor time. Places are drawn evenly over the slide; a training's lie on its annotations.",
        ),
    )


def _touched(path: Path, places: np.ndarray) -> int:
    """Bytes of all blocks that the places take."""
    blocks = BlockCache(1 << 30)
    with Slide(path, None, blocks) as slide:
        for x, y in places:
            read_views(slide, x, y, SPEC)
    return blocks.bytes


def workers(path: Path) -> Table:
    """The loader of training, with labels and random numbers, by several processes."""
    index = index_of([path], SPEC)
    rows = np.random.default_rng(1).integers(0, len(index.table), 40 * BATCH)
    batches = [[(int(row), int(row)) for row in part] for part in np.split(rows, len(rows) // BATCH)]

    def loader(count: int) -> Callable[[], float]:
        dataset = PatchDataset(index, SPEC, LabelSpec((0,), (SPEC.output_size,)), None, 1, 256 * MIB)
        patches = DataLoader(dataset, batch_sampler=batches, **reading(count))
        _exhaust(iter(patches))

        def measure() -> float:
            start = time.perf_counter()
            _exhaust(iter(patches))
            return len(rows) / (time.perf_counter() - start)

        return measure

    counts = (0, 1, 2, 4)
    found = in_turn(ROUNDS, *(loader(count) for count in counts))
    return Table(
        f"The loader of training, mini-batches of {BATCH}, blocks kept",
        ("workers", "patches/s", "to none"),
        [(count, median(one), ratio(one, found[0])) for count, one in zip(counts, found, strict=True)],
        (
            "Wall time of whole passes, their start among it; with labels and with copies to the parent process.",
        ),
    )


def _exhaust(patches: Iterator[object]) -> None:
    for _ in patches:
        pass


def ahead(path: Path) -> Table:
    """The views of all tiles of a slide: those of the next tiles begun too, beside one tile after the other."""
    spacings, tile = SPEC.spacings, paper_network(8).shape.tile(732)
    with Slide(path) as slide:
        everywhere = Wanted(None)
        plan = plan_of(tile, slide.grid(spacings[0]), everywhere)
        work = Segmenting(slide, spacings, everywhere, plan)
        squares = [squares_of(work, place) for place in plan.places]

        def reads(threads: int, tiles: int) -> Callable[[], float]:
            def measure() -> float:
                with mock.patch.object(supertiles, "AHEAD", tiles), ThreadPoolExecutor(threads) as decoders:
                    start = time.perf_counter()
                    views = supertiles.SuperTiles(slide, spacings, squares, decoders)
                    for number in range(len(squares)):
                        views.read(number)
                    return (time.perf_counter() - start) / len(squares) * 1e3

            return measure

        threads = [one for one in (1, 2, 4, 8, 16) if one <= len(os.sched_getaffinity(0))]
        ways = [(one, tiles) for one in threads for tiles in (0, supertiles.AHEAD)]
        found = dict(zip(ways, in_turn(ROUNDS, *(reads(*one) for one in ways)), strict=True))
    return Table(
        f"Views of {tile.sizes[0]} and {tile.sizes[1]} px of {len(squares)} tiles of {tile.stride} px of a map",
        ("threads", "tiles begun ahead", "ms a tile", "to none ahead", "to one thread, none ahead"),
        [
            (one, tiles, median(taken), ratio(taken, found[one, 0]), ratio(taken, found[1, 0]))
            for (one, tiles), taken in found.items()
        ],
    )


def larger(paths: dict[float, Path]) -> Table:
    """Processes of their own that read ever more patches of ever larger slides."""
    counts = (40, 160, 640)
    runs = [("patches", count, SIDES_UM[-1]) for count in counts]
    runs += [("slide", counts[0], side) for side in SIDES_UM]
    rows, seconds, memory = [], [], []
    for what, count, side in runs:
        child = measured("-m", "benchmarks.reading", str(paths[side]), str(count))
        taken, peak = (float(one) for one in child.printed.split())
        seconds.append(taken)
        memory.append(peak)
        rows.append((what, count, f"{side / 0.5:.0f}²", taken / count * 1e3, peak))
    areas = [side**2 for side in SIDES_UM]
    rows.append(("exponent in patches", "", "", growth(counts, seconds[:3]), growth(counts, memory[:3])))
    rows.append(("exponent in slide area", "", "", growth(areas, seconds[3:]), growth(areas, memory[3:])))
    return Table(
        f"Growth, blocks of {CACHE_MIB} MiB kept",
        ("what grows", "patches", "slide px", "ms a patch", "peak MiB"),
        rows,
        ("Exponents: of the seconds of all patches, and of the peak of the process.",),
    )


def read_alone(path: Path, count: int) -> None:
    """What a process of :func:`larger` does; prints its processor seconds and the most MiB it held."""
    keep_freed_memory()
    with Slide(path, None, BlockCache(CACHE_MIB * MIB)) as slide:
        places = draw_places(count, slide.size[0])
        seconds = count / per_second(lambda x, y: read_views(slide, x, y, SPEC), places)
    # Not ``ru_maxrss``, in which the peak of the process that started this one stays.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(seconds, int(status["VmHWM"].split()[0]) / 1024)


def main() -> None:
    """Print the tables."""
    keep_freed_memory()
    torch.set_num_threads(1)  # as in a reading process: collating is copying
    warnings.filterwarnings("ignore", ".*worker processes in total")  # more than cores, on purpose
    with tempfile.TemporaryDirectory() as folder:
        paths = {side: draw_slide(Path(folder), number, side) for number, side in enumerate(SIDES_UM)}
        largest = paths[SIDES_UM[-1]]
        for table in (one_process(largest), workers(largest), ahead(largest), larger(paths)):
            print(table, flush=True)


if __name__ == "__main__":
    read_alone(Path(sys.argv[1]), int(sys.argv[2]))
