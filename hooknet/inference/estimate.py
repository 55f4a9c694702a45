"""What maps will cost, before they are begun: by the plan's own work, and by a few tiles of a slide that are tried."""

from __future__ import annotations

import logging
import statistics
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hooknet.config.dense import InferOptions
from hooknet.config.run import DenseRun
from hooknet.inference.averaging import engine_of, laid, uncertainty_bands
from hooknet.inference.choice import Job, candidates
from hooknet.inference.dense import Segmenting, views_of
from hooknet.inference.engines import Engine, Predicted
from hooknet.inference.plan import Plan, plan_of
from hooknet.io.tiles import pack
from hooknet.models.network import Network
from hooknet.shapes.dense import DenseShape
from hooknet.shapes.tiles import Tile

logger = logging.getLogger(__name__)

#: Multiply-accumulates of a tile that is tried at most, however often it is predicted, unless the smallest has more: a
#: second or so of two cores.
TRIED: Final = 2e10
#: Where in a plan tiles are tried; the first once more before them, unmeasured.
PLACES: Final = (0.25, 0.5, 0.75)
#: Bytes of GeoJSON for each side between two px of different class, and for each region besides; seconds for each side
#: to trace and write it.  Measured on maps of three real fields with outlines within half a px (docs/predict.md).
BORDER_BYTES: Final = 45.0
REGION_BYTES: Final = 320.0
BORDER_SECONDS: Final = 1e-5
#: A map's overviews, as a share of it.
OVERVIEWS: Final = 1 / 3
#: Seconds for whatever else a slide takes: tissue, areas, page.
BESIDES: Final = 1.0


@dataclass(frozen=True)
class Work:
    """What a slide's map asks for: ``tiles``, px to read and px of the map to predict.

    ``operations``: multiply-accumulates of all tiles, of a mean those of all its predictions.
    """

    tiles: int
    operations: float
    read: float
    pixels: float


@dataclass(frozen=True)
class Speed:
    """How fast this machine is: multiply-accumulates and px read a second; seconds to start with a slide.

    ``map_bytes``: of the file for each px that is predicted, ``band_bytes``: of probabilities and uncertainty where
    they are kept; ``borders`` and ``regions``: how many there are of each.  ``engine``: what computes.
    """

    engine: str
    operations: float
    read: float
    start: float
    map_bytes: float
    borders: float
    regions: float
    band_bytes: float = 0.0

    def seconds(self, work: Work) -> float:
        """For a slide."""
        if not work.tiles:
            return BESIDES
        network = self.start + work.operations / self.operations + work.read / self.read
        return BESIDES + network + work.pixels * self.borders * BORDER_SECONDS

    def size(self, work: Work) -> float:
        """Bytes of a slide's map and outlines, and of its probabilities and uncertainty where they are kept."""
        outlines = self.borders * BORDER_BYTES + self.regions * REGION_BYTES
        return work.pixels * (self.map_bytes + self.band_bytes + outlines)


def work_of(shape: DenseShape, plan: Plan, pixels: float, passes: int = 1) -> Work:
    """The work of a plan; ``pixels``: of the map that are to be predicted; ``passes``: how often each tile is."""
    count = len(plan.places)
    return Work(count, count * passes * shape.tile_work(plan.tile), count * plan.tile.sizes[0] ** 2, pixels)


def measure_speed(run: DenseRun, networks: Sequence[Network], work: Segmenting) -> Speed:
    """Try a few tiles of a slide (whose plan has places) with the engine that its map would be computed by.

    Of a mean all its predictions are tried.  The tiles may be smaller than the plan's.  CheckpointError where the
    engine that is asked for is not there.
    """
    shape, plan, options = networks[0].shape, work.plan, run.settings.infer
    passes = len(networks) * len(laid(options))
    tile = _tried(shape, plan.tile, options.rim, passes)
    all_work = shape.tile_work(plan.tile) * len(plan.places)
    tiles = max(1, round(all_work / shape.tile_work(tile)))
    before = time.perf_counter()
    job = Job(tile, tiles, run.settings.train.threads, options.probabilities)
    bands = uncertainty_bands(options, len(networks))
    engine = engine_of(networks, job, options, bands, _first_possible(options))
    start = time.perf_counter() - before
    own = Segmenting(work.slide, work.spacings, work.wanted, plan_of(tile, work.grid, work.wanted))
    places = [own.plan.places[int(share * len(own.plan.places))] for share in PLACES]
    _timed(engine, own, places[0])
    found = [_timed(engine, own, place) for place in places]
    inside = [own.wanted.pixels(own.grid, *place, tile.stride, tile.stride) for place in places]
    labels = [one.labels * wanted for (_, _, one), wanted in zip(found, inside, strict=True)]
    predicted = max(1, sum(int(np.count_nonzero(one)) for one in labels))
    return Speed(
        f"{engine.name}, {engine.precision}",
        passes * shape.tile_work(tile) / statistics.median(seconds for seconds, _, _ in found),
        tile.sizes[0] ** 2 / statistics.median(seconds for _, seconds, _ in found),
        start,
        sum(len(zlib.compress(one.tobytes())) for one in labels) * (1 + OVERVIEWS) / predicted,
        sum(borders(one) for one in labels) / predicted,
        sum(regions(one) for one in labels) / predicted,
        sum(_band_bytes(one, wanted) for (_, _, one), wanted in zip(found, inside, strict=True)) / predicted,
    )


def _band_bytes(one: Predicted, wanted: NDArray[np.bool_]) -> int:
    """Of what is kept of a tile besides its classes."""
    return 0 if one.shares is None else sum(len(pack(band * wanted, smooth=True)) for band in one.shares)


def _tried(shape: DenseShape, planned: Tile, rim: int | None, passes: int = 1) -> Tile:
    """The largest tile of little work that is not larger than the planned one; the smallest where none is so small."""
    tiles: Iterable[Tile] = takewhile(lambda one: one.stride <= planned.stride, shape.tiles(rim))
    small = list(takewhile(lambda one: passes * shape.tile_work(one) <= TRIED, tiles))
    return small[-1] if small else next(iter(shape.tiles(rim)))


def _first_possible(options: InferOptions) -> Callable[[Network, Job], Engine]:
    """What makes the first engine that can be; whether it agrees is looked at when a map is made."""

    def make(network: Network, job: Job) -> Engine:
        failed: Exception | None = None
        for one in candidates(network, job, options):
            try:
                return one.make()
            except (RuntimeError, ImportError) as error:
                logger.warning("%s in %s failed; trying the next engine", one.name, one.precision)
                failed = error
        assert failed is not None
        raise failed

    return make


def _timed(engine: Engine, work: Segmenting, place: tuple[int, int]) -> tuple[float, float, Predicted]:
    """Seconds of the network and of reading the target's view, and what is predicted of a tile."""
    views = views_of(work, place)
    before = time.perf_counter()
    predicted = engine.start(views)()
    after = time.perf_counter()
    tile, grid = work.plan.tile, work.grid
    margin, side = (tile.sizes[0] - tile.stride) // 2, tile.sizes[0]
    work.slide.read(grid.window(place[0] - margin, place[1] - margin, side, side), (side, side))
    return after - before, time.perf_counter() - after, predicted


def borders(labels: NDArray[np.uint8]) -> int:
    """Sides between two px (height, width) of different value."""
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    return int(np.count_nonzero(down) + np.count_nonzero(across))


def regions(labels: NDArray[np.uint8]) -> int:
    """Connected parts of one value above 0."""
    return sum(ndimage.label(labels == value)[1] for value in np.unique(labels[labels > 0]))
