"""What of a slide is predicted: tissue, everything, or a mask of the user's; and all that is annotated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hooknet.config.datasets import SlideSettings
from hooknet.coordinates import EPSILON, RasterGrid, nearest_index
from hooknet.errors import MaskError
from hooknet.io.masks import Mask
from hooknet.io.rasters import STRIP_PIXELS, LabelRaster, open_raster

Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Wanted:
    """``inside`` None wants everything; ``annotated`` (a label mask) adds its pixels, so that none goes unscored.

    ``rows``: of the grid that is asked for, from one to before another; None for all.  Decided pixel by pixel, so it
    does not depend on how a slide is cut into tiles.
    """

    inside: LabelRaster | None
    annotated: tuple[LabelRaster, ...] = ()
    rows: tuple[int, int] | None = None

    def pixels(self, grid: RasterGrid, column: int, row: int, width: int, height: int) -> Pixels:
        """Which of a block of ``grid``'s pixels (height, width) are wanted; none outside the slide."""
        wanted = np.zeros((height, width), bool)
        left, top = max(0, -column), max(0, -row)
        right, bottom = min(width, grid.width - column), min(height, grid.height - row)
        if self.rows is not None:
            top, bottom = max(top, self.rows[0] - row), min(bottom, self.rows[1] - row)
        if left >= right or top >= bottom:
            return wanted
        place = (column + left, row + top, right - left, bottom - top)
        found = np.full((place[3], place[2]), self.inside is None)
        if self.inside is not None:
            found |= self.inside.read_as(grid, *place) > 0
        for mask in self.annotated:
            found |= covered(mask, grid, *place)
        wanted[top:bottom, left:right] = found
        return wanted

    def cells(self, grid: RasterGrid, side: int) -> Pixels:
        """Which cells of ``side`` px of the grid hold a wanted pixel: (rows, columns), the first cell at the origin.

        Memory: a strip of cells.
        """
        rows, columns = -(-grid.height // side), -(-grid.width // side)
        if self.inside is None and self.rows is None:
            return np.ones((rows, columns), bool)
        found = np.zeros((rows, columns), bool)
        at_once = max(1, STRIP_PIXELS // (columns * side * side))  # rows of cells
        for first in range(0, rows, at_once):
            count = min(at_once, rows - first)
            strip = self.pixels(grid, 0, first * side, columns * side, count * side)
            found[first : first + count] = strip.reshape(count, side, columns, side).any(axis=(1, 3))
        return found

    def whole(self, grid: RasterGrid, least: float) -> Pixels:
        """Which px of a coarse ``grid`` (height, width) are wanted: ``least`` of their area is, or an annotated px.

        What lies beyond the slide counts as not wanted, also of the area.
        """
        if self.inside is None:
            return np.ones((grid.height, grid.width), bool)
        wanted: Pixels = share_of(self.inside, grid) >= least - EPSILON
        for mask in self.annotated:
            wanted |= covered(mask, grid, 0, 0, grid.width, grid.height)
        return wanted


def open_inside(
    over: str, slide: SlideSettings, size: tuple[int, int], tissue: Path | None, run: str
) -> LabelRaster | None:
    """The mask to predict within; None for everything.  ``size`` of the slide in level-0 px.

    MaskError where the tissue mask that ``run`` needs is not given.
    """
    if over == "everything":
        return None
    if over == "mask":
        return open_raster(str(slide.infer_mask), size)
    if tissue is None:
        raise MaskError(
            f"run {run}: infers over tissue, found no tissue mask; give --tissue (see detect-tissue)"
        )
    return Mask.open(tissue)


def share_of(mask: LabelRaster, grid: RasterGrid) -> NDArray[np.float64]:
    """How much of the area of each px of ``grid`` (height, width) lies in mask px above 0: 0..1.

    MaskError when the two cannot lie over one slide.  Memory: a strip of the mask.
    """
    mask.check_same_slide(grid)
    rows = _overlaps(grid.height, grid.step_y / mask.grid.step_y, mask.grid.height)
    columns = _overlaps(grid.width, grid.step_x / mask.grid.step_x, mask.grid.width)
    found = np.zeros((grid.height, grid.width))
    strip = max(1, STRIP_PIXELS // mask.grid.width)
    for top in range(0, mask.grid.height, strip):
        count = min(strip, mask.grid.height - top)
        inside = mask.read(0, top, mask.grid.width, count) > 0
        if inside.any():
            found += rows[:, top : top + count] @ (columns @ inside.T.astype(np.float32)).T
    return found


def _overlaps(count: int, ratio: float, length: int) -> sparse.csc_matrix:
    """(count, length): the share of each of ``count`` px, ``ratio`` source px long, that lies in a source px."""
    edges = np.arange(count + 1) * ratio
    first, last = np.floor(edges[:-1] + EPSILON).astype(int), np.ceil(edges[1:] - EPSILON).astype(int)
    lengths = np.minimum(last, length) - np.minimum(first, length)
    target = np.repeat(np.arange(count), lengths)
    source = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[target]
    overlap = np.minimum(source + 1, edges[target + 1]) - np.maximum(source, edges[target])
    return sparse.csc_matrix((overlap / ratio, (target, source)), shape=(count, length))


def covered(mask: LabelRaster, grid: RasterGrid, column: int, row: int, width: int, height: int) -> Pixels:
    """Which of a block of ``grid``'s pixels hold the centre of a mask pixel above 0.

    MaskError when the two cannot lie over one slide.
    """
    mask.check_same_slide(grid)
    ratio = mask.grid.spacing / grid.spacing
    if ratio > 1:
        return mask.read_as(grid, column, row, width, height) > 0
    # Mask px whose centres fall into the block.
    first_column, last_column = _centres_within(column, width, ratio)
    first_row, last_row = _centres_within(row, height, ratio)
    to_column = nearest_index(first_column, last_column - first_column, ratio) - column
    to_row = nearest_index(first_row, last_row - first_row, ratio) - row
    starts = np.searchsorted(
        to_column, np.arange(width)
    )  # where the mask px of each column of the block begin
    found = np.zeros((height, width), bool)
    strip = max(1, STRIP_PIXELS // max(1, len(to_column)))
    for first in range(0, len(to_row), strip):
        part = to_row[first : first + strip]
        labels = mask.read(first_column, first_row + first, len(to_column), len(part)) > 0
        if labels.any():
            np.logical_or.at(found, part, np.logical_or.reduceat(labels, starts, axis=1))
    return found


def _centres_within(start: int, count: int, ratio: float) -> tuple[int, int]:
    """First and one-past-last index whose pixel centre, times ``ratio``, falls into [start, start + count)."""
    low, high = ((one - EPSILON) / ratio - 0.5 for one in (start, start + count))
    return int(np.ceil(low)), int(np.ceil(high))
