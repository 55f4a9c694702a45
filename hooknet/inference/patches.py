"""Patches about the cells of a heat map, read in rectangles of neighbouring cells: each px once, whatever overlaps.

Cell (i, j) is px (i, j) of the heat map: px [i * cell, (i + 1) * cell) at the spacing of the patches.  Its patch has
the same centre, exactly: where one side is odd and the other even, patches start at half a px.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid
from hooknet.inference.ahead import in_order
from hooknet.inference.dense import DECODERS
from hooknet.inference.regions import Pixels
from hooknet.inference.stages import Stages
from hooknet.io.slides import Image, Slide

#: Px of a pyramid level that are read at once: width and height.  Tall, as what a tile of the file has above or below
#: is decoded again, what it has to the left is still kept; and small enough for memory that is used again.
READ_SIZE = (1024, 4096)


@dataclass(frozen=True)
class PatchLayout:
    """Square patches of ``size`` px at ``spacing`` µm/px, one for every cell of ``cell`` px."""

    size: int
    cell: int
    spacing: float

    def heat_grid(self, slide: Slide) -> RasterGrid:
        """The raster whose px are the cells."""
        return slide.grid(self.cell * self.spacing)

    def cells_at_once(self, slide: Slide) -> tuple[int, int]:
        """How many columns and rows of cells are read at once: within :data:`READ_SIZE`, but one at least."""
        level = slide.levels[slide.level_of(self.spacing)]
        steps = self.spacing / slide.spacing.x / level.step_x, self.spacing / slide.spacing.y / level.step_y
        columns, rows = (
            max(1, int((length / step - self.size) // self.cell) + 1)
            for length, step in zip(READ_SIZE, steps, strict=True)
        )
        return columns, rows


@dataclass(frozen=True)
class Rectangle:
    """Neighbouring cells: the first ``column`` and ``row``, how many ``columns`` and ``rows``."""

    column: int
    row: int
    columns: int
    rows: int


def rectangles(wanted: Pixels, most: tuple[int, int]) -> Iterator[Rectangle]:
    """The wanted cells (rows, columns), each in one rectangle of at ``most`` so many columns and rows.

    Blocks of that size one after the other, from left to right, row by row.
    """
    width, height = most
    for top in range(0, wanted.shape[0], height):
        for left in range(0, wanted.shape[1], width):
            yield from _in_block(wanted[top : top + height, left : left + width], left, top)


def _in_block(wanted: Pixels, left: int, top: int) -> Iterator[Rectangle]:
    """Runs of each row, as one with those of the rows above that start and end where they do."""
    begun: dict[tuple[int, int], int] = {}  # first and one-past-last column -> first row
    for row in range(len(wanted) + 1):
        runs = _runs(wanted[row]) if row < len(wanted) else []
        for run in [one for one in begun if one not in runs]:
            first = begun.pop(run)
            yield Rectangle(left + run[0], top + first, run[1] - run[0], row - first)
        for run in runs:
            begun.setdefault(run, row)


def _runs(wanted: Pixels) -> list[tuple[int, int]]:
    """First and one-past-last index of each run of true values."""
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]


@dataclass(frozen=True)
class Batch:
    """Patches (N, size, size, 3) uint8, and the cells (N, 2) that they lie on: row, column."""

    cells: NDArray[np.int64]
    patches: NDArray[np.uint8]

    @property
    def index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cells as rows and columns, to index an array with."""
        return self.cells[:, 0], self.cells[:, 1]


class PatchReader:
    """Reads the patches of wanted cells, batch after batch, ahead of who asks for them.

    Memory: a few images of :data:`READ_SIZE` px of a level, and a few batches.
    """

    def __init__(self, slide: Slide, layout: PatchLayout, batch: int, stages: Stages) -> None:
        """``batch`` patches at a time; ``stages`` is told how long was read."""
        self._slide = slide
        self._layout = layout
        self._grid = slide.grid(layout.spacing)
        self._batch = batch
        self._stages = stages

    def batches(self, wanted: Pixels) -> Generator[Batch]:
        """All wanted cells (rows, columns), full batches but for the last."""
        size = self._layout.size
        places: list[tuple[int, int]] = []
        patches = np.empty((self._batch, size, size, 3), np.uint8)
        for row, column, patch in self._patches(wanted):
            patches[len(places)] = patch
            places.append((row, column))
            if len(places) == self._batch:
                yield Batch(np.array(places), patches)
                places, patches = [], np.empty_like(patches)
        if places:
            yield Batch(np.array(places), patches[: len(places)])

    def spread(self, wanted: Pixels) -> NDArray[np.uint8]:
        """As many patches as a batch has from all over the slide, one more than once where there are fewer."""
        cells = np.argwhere(wanted)
        chosen = cells[np.linspace(0, len(cells) - 1, self._batch).round().astype(int)]
        return np.stack([self._timed(Rectangle(int(column), int(row), 1, 1)) for row, column in chosen])

    def _patches(self, wanted: Pixels) -> Iterator[tuple[int, int, Image]]:
        """Row and column of a cell, and its patch."""
        places = list(rectangles(wanted, self._layout.cells_at_once(self._slide)))
        with ThreadPoolExecutor(DECODERS) as decoders:
            images = in_order(decoders, self._timed, places, DECODERS)
            for place, image in zip(places, images, strict=True):
                yield from self._cut(place, image)

    def _timed(self, place: Rectangle) -> Image:
        with self._stages.at("read"):
            return self._read(place)

    def _read(self, place: Rectangle) -> Image:
        """The px of all patches of a rectangle."""
        size, cell = self._layout.size, self._layout.cell
        before = (size - cell) / 2  # may be half a px
        width, height = ((count - 1) * cell + size for count in (place.columns, place.rows))
        window = self._grid.window(place.column * cell - before, place.row * cell - before, width, height)
        return self._slide.read(window, (width, height))

    def _cut(self, place: Rectangle, image: Image) -> Iterator[tuple[int, int, Image]]:
        size, cell = self._layout.size, self._layout.cell
        for down in range(place.rows):
            for across in range(place.columns):
                x, y = across * cell, down * cell
                yield place.row + down, place.column + across, image[y : y + size, x : x + size]
