"""From weights and a slide to a map: read, predict, paste, each while the others are at work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid, centred_window
from hooknet.inference.ahead import in_order
from hooknet.inference.canvas import Canvas
from hooknet.inference.engines import Engine, Predicted
from hooknet.inference.kept import KeptTiles
from hooknet.inference.plan import Plan
from hooknet.inference.regions import Pixels, Wanted
from hooknet.inference.stages import Stages
from hooknet.io.damage import Damage
from hooknet.io.slides import Slide
from hooknet.io.supertiles import Square, SuperTiles

#: Tiles read ahead of the network, and tiles predicted ahead of the writer.
AHEAD = 2
#: Threads that decode a slide: few where the network takes the cores, beside a GPU all that it can be fed by.
DECODERS = min(16 if torch.cuda.is_available() else 4, len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Canvases:
    """Where predictions go: one band of labels, a band per class of probabilities where they are kept.

    ``kept``: the tiles that are there already, and where those that come are kept too.
    """

    labels: Canvas
    probabilities: Canvas | None = None
    kept: KeptTiles | None = None

    def expect(self, plan: Plan) -> None:
        """Say which tiles will come, and add those that are kept."""
        squares = [] if self.kept is None else self.kept.squares
        for one in self._all():
            one.expect(plan.places, plan.tile.stride)
            for place, side in squares:
                one.expect([place], side)
        if self.kept is not None:
            self.kept.paste(self.labels, self.probabilities)

    def paste(self, place: tuple[int, int], wanted: Pixels, predicted: Predicted) -> None:
        """Add what is wanted of a tile whose kept square starts at a (column, row)."""
        labels, shares = (predicted.labels * wanted)[None], None
        self.labels.paste(*place, labels)
        if self.probabilities is not None:
            assert predicted.shares is not None
            shares = predicted.shares * wanted
            self.probabilities.paste(*place, shares)
        if self.kept is not None:
            self.kept.keep(place, labels, shares)

    def finish(self) -> None:
        """Write what is left."""
        for one in self._all():
            one.finish()

    def _all(self) -> list[Canvas]:
        return [one for one in (self.labels, self.probabilities) if one is not None]


@dataclass(frozen=True)
class Segmenting:
    """What is predicted: a slide at ``spacings`` (target first), where a ``plan`` lays tiles, and which pixels.

    ``shuffle_context`` shows each tile contexts from elsewhere (see :func:`elsewhere`).
    ``damage``: where the slide cannot be read, as it turns out; no px there is predicted.
    """

    slide: Slide
    spacings: tuple[float, ...]
    wanted: Wanted
    plan: Plan
    shuffle_context: bool = False
    damage: Damage | None = None

    @property
    def grid(self) -> RasterGrid:
        """The map's raster."""
        return self.slide.grid(self.spacings[0])


def segment(
    work: Segmenting,
    engine: Engine,
    canvases: Canvases,
    progress: Callable[[int, int], None] = lambda done, tiles: None,
) -> Stages:
    """Predict all wanted pixels onto the canvases; how many there were and how long it took come back.

    ``engine`` was made for the plan's tile.  ``progress`` is told (tiles done, tiles).
    Memory: a few tiles, what :class:`SuperTiles` and :class:`Canvas` keep, and the engine's own.
    """
    stages = Stages()
    with stages.at("write"):
        canvases.expect(work.plan)
    places = work.plan.places
    with (
        ThreadPoolExecutor(DECODERS) as decoders,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
    ):
        started: deque[tuple[Pixels, Callable[[], Predicted]]] = deque()
        written: deque[Future[None]] = deque()

        def hand_over() -> None:
            """Wait for the tile that was started first and give it to the writer."""
            wanted, result = started.popleft()
            with stages.at("network"):
                predicted = result()
            place = places[stages.tiles]
            stages.tiles += 1
            written.append(writer.submit(_write, canvases, place, wanted, predicted, stages))
            if len(written) > AHEAD:
                written.popleft().result()
            progress(stages.tiles, len(places))

        try:
            for wanted, views in _read_ahead(work, decoders, reader, stages):
                with stages.at("network"):
                    started.append((wanted, engine.start(views)))
                if len(started) > 1:  # a GPU is given the next tile before it is asked for the last
                    hand_over()
            while started:
                hand_over()
            for one in written:
                one.result()
        finally:
            # After an error nobody wants what waits to be read; the reader would wait for the regions of its tile.
            decoders.shutdown(cancel_futures=True)
            reader.shutdown(cancel_futures=True)
        with stages.at("write"):
            canvases.finish()
    return stages


def views_of(work: Segmenting, place: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """The views of one tile, read by themselves."""
    with ThreadPoolExecutor(DECODERS) as decoders:
        return SuperTiles(work.slide, work.spacings, [squares_of(work, place)], decoders).read(0)


def _write(
    canvases: Canvases, place: tuple[int, int], wanted: Pixels, predicted: Predicted, stages: Stages
) -> None:
    with stages.at("write"):
        canvases.paste(place, wanted, predicted)
        stages.pixels += int(np.count_nonzero(wanted))


def _read_ahead(
    work: Segmenting, decoders: ThreadPoolExecutor, reader: ThreadPoolExecutor, stages: Stages
) -> Iterator[tuple[Pixels, Sequence[NDArray[np.uint8]]]]:
    """Tiles in order: which pixels are wanted, and the views, read while those before are predicted."""
    read = _reader(work, decoders)
    stride, places = work.plan.tile.stride, work.plan.places

    def one(number: int) -> tuple[Pixels, Sequence[NDArray[np.uint8]]]:
        with stages.at("read"):
            wanted, views = work.wanted.pixels(work.grid, *places[number], stride, stride), read(number)
            if work.damage is not None:
                wanted &= ~work.damage.pixels(work.grid, *places[number], stride, stride)
            return wanted, views

    return in_order(reader, one, range(len(places)), AHEAD)


def _reader(work: Segmenting, decoders: ThreadPoolExecutor) -> Callable[[int], Sequence[NDArray[np.uint8]]]:
    """What reads the views of a tile by its number, in order."""
    squares = [squares_of(work, place) for place in work.plan.places]
    if not work.shuffle_context:
        return SuperTiles(work.slide, work.spacings, squares, decoders).read
    targets = SuperTiles(work.slide, work.spacings[:1], [one[:1] for one in squares], decoders)
    return lambda number: [*targets.read(number), *_contexts_from_elsewhere(work, work.plan.places[number])]


def squares_of(work: Segmenting, place: tuple[int, int]) -> list[Square]:
    """The views of a tile in px of each spacing: their centres are whole px of all of them."""
    tile = work.plan.tile
    found = []
    for size, spacing in zip(tile.sizes, work.spacings, strict=True):
        ratio = spacing / work.spacings[0]
        column, row = (round((start + tile.stride // 2) / ratio) - size // 2 for start in place)
        found.append((column, row, size))
    return found


def _contexts_from_elsewhere(work: Segmenting, place: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """A tile's contexts around another place of the slide."""
    grid, tile = work.grid, work.plan.tile
    steps = (grid.step_x, grid.step_y)
    x, y = (
        elsewhere((start + tile.stride / 2) * step, length, tile.stride * step)
        for start, step, length in zip(place, steps, work.slide.size, strict=True)
    )
    return [
        work.slide.read(centred_window(x, y, size, spacing, work.slide.spacing), (size, size))
        for size, spacing in list(zip(tile.sizes, work.spacings, strict=True))[1:]
    ]


def elsewhere(place: float, length: float, kept: float) -> float:
    """The centre half a slide away along one axis, moved inwards where what is kept of a tile would leave the slide.

    For the control of a study: contexts of such a place have nothing to do with the target, and yet show
    tissue rather than what lies beside the slide.  All in level-0 px; ``kept`` is the side of what is kept.
    """
    if length <= kept:
        return length / 2
    return min(max((place + length / 2) % length, kept / 2), length - kept / 2)
