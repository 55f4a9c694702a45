"""A label mask seen through a coarser grid, in a time that does not grow with the slide."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from hooknet.coordinates import EPSILON, RasterGrid, Spacing, nearest_index
from hooknet.errors import MaskError
from hooknet.io.masks import Mask
from hooknet.io.rasters import Indices, Labels, quiet
from hooknet.io.tiles import number_of_overviews
from hooknet.viewer.pyramid import Tile

# Of rasters one is opened at a time: rasterio warns of each, and Python silences warnings for all threads at once.
_OPENING = threading.Lock()

Floats = NDArray[np.floating[Any]]


def open_mask(path: Path) -> Mask:
    """The mask in a file, with its handle open; for several threads at once."""
    with _OPENING:
        mask = Mask.open(path)
        mask.is_empty(0, 0, 1, 1)
    return mask


class PyramidMask:
    """A label mask of a slide, for tiles of any level; not for several threads at once.

    A px of a tile has the value under its centre.  Where a tile's px is four of the mask's or more, that is read
    from one of the mask's overviews, whose px are samples of the mask: of those the one nearest to the centre, which
    is less than 0.4 tile px away from it.
    """

    def __init__(self, path: Path, slide_size: tuple[int, int], slide_spacing: Spacing) -> None:
        """MaskError where the file is no mask, or not one of this slide."""
        self.mask = open_mask(path)
        self.mask.check_same_slide(RasterGrid.over(slide_size, slide_spacing, slide_spacing.x))
        self._coarser = number_of_overviews(self.mask.grid.width, self.mask.grid.height)
        self._handles: dict[int, Any] = {}
        self._samples: dict[int, tuple[Indices, Indices]] = {}

    def close(self) -> None:
        """Give the file handles back."""
        self.mask.close()
        for handle in self._handles.values():
            handle.close()
        self._handles.clear()

    def read(self, tile: Tile) -> Labels:
        """Values (height, width) uint8 of a tile; 0 outside the mask."""
        grid = self.mask.grid
        ratio = tile.step / max(grid.step_x, grid.step_y)
        number = 0
        while number < self._coarser and 2 ** (number + 2) <= ratio:
            number += 1
        across = nearest_index(tile.column, tile.width, tile.step / grid.step_x)
        down = nearest_index(tile.row, tile.height, tile.step / grid.step_y)
        inside = np.ix_((down >= 0) & (down < grid.height), (across >= 0) & (across < grid.width))
        values = np.zeros((tile.height, tile.width), np.uint8)
        if number == 0:
            columns, rows = across, down
        else:
            columns, rows = self._nearest(number, tile)
        columns, rows = columns[inside[1][0]], rows[inside[0][:, 0]]
        if columns.size and rows.size:
            values[inside] = self._take(number, columns, rows)
        return values

    def _nearest(self, number: int, tile: Tile) -> tuple[Indices, Indices]:
        """Columns and rows of an overview whose samples are nearest to the centres of a tile's px."""
        if number not in self._samples:
            self._samples[number] = (
                sampled(self.mask.grid.width, number),
                sampled(self.mask.grid.height, number),
            )
        columns, rows = self._samples[number]
        grid = self.mask.grid
        across = (tile.column + np.arange(tile.width) + 0.5) * (tile.step / grid.step_x)
        down = (tile.row + np.arange(tile.height) + 0.5) * (tile.step / grid.step_y)
        return _nearest_of(columns, across), _nearest_of(rows, down)

    def _take(self, number: int, columns: Indices, rows: Indices) -> Labels:
        """Values at the crossings of ascending columns and rows of the mask (0) or an overview."""
        left, top = int(columns[0]), int(rows[0])
        width, height = int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
        if number == 0:
            block = self.mask.read(left, top, width, height)
        else:
            block = self._overview(number, left, top, width, height)
        return block[np.ix_(rows - top, columns - left)]

    def _overview(self, number: int, left: int, top: int, width: int, height: int) -> Labels:
        try:
            if number not in self._handles:
                with _OPENING, quiet():
                    self._handles[number] = rasterio.open(self.mask.path, overview_level=number - 1)
            block: Labels = self._handles[number].read(1, window=RasterWindow(left, top, width, height))
        except RasterioError:
            raise MaskError(
                f"{self.mask.path}: cannot read overview {number} at column {left}, row {top}; "
                "the file is damaged, make it again"
            ) from None
        return block


def sampled(size: int, number: int) -> Indices:
    """Which px of a mask's ``size`` columns (or rows) its overview ``number`` (1 is half the size) shows.

    As ``hooknet.io.tiles.overviews`` takes them: px i of each is px floor(i · size / half + 0.5) of the one before.
    """
    places = np.arange(size)
    for _ in range(number):
        half = -(-places.size // 2)
        starts = np.floor(np.arange(half) * (places.size / half) + 0.5).astype(np.int64)
        places = places[np.minimum(starts, places.size - 1)]
    return places


def _nearest_of(places: Indices, wanted: Floats) -> Indices:
    """Index of the sampled px whose centre is nearest to each of ascending positions (in px of the mask)."""
    between = (places[1:] + places[:-1] + 1) / 2
    return np.searchsorted(between, wanted + EPSILON).astype(np.int64)
