"""Which pixels of a map are predicted: tissue, everything, or a mask of the user's; and all annotated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import EPSILON, RasterGrid, nearest_index
from hooknet.io.rasters import STRIP_PIXELS, LabelRaster

Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Wanted:
    """``inside`` None wants everything; ``annotated`` (a label mask) adds its pixels, so that none goes unscored.

    Decided pixel by pixel, so it does not depend on how a slide is cut into tiles.
    """

    inside: LabelRaster | None
    annotated: tuple[LabelRaster, ...] = ()

    def pixels(self, grid: RasterGrid, column: int, row: int, width: int, height: int) -> Pixels:
        """Which of a block of ``grid``'s pixels (height, width) are wanted; none outside the slide."""
        wanted = np.zeros((height, width), bool)
        left, top = max(0, -column), max(0, -row)
        right, bottom = min(width, grid.width - column), min(height, grid.height - row)
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
        if self.inside is None:
            return np.ones((rows, columns), bool)
        found = np.zeros((rows, columns), bool)
        at_once = max(1, STRIP_PIXELS // (columns * side * side))  # rows of cells
        for first in range(0, rows, at_once):
            count = min(at_once, rows - first)
            strip = self.pixels(grid, 0, first * side, columns * side, count * side)
            found[first : first + count] = strip.reshape(count, side, columns, side).any(axis=(1, 3))
        return found


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
