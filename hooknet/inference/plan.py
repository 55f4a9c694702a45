"""Where tiles lie on a slide: their size, of those that memory allows, and the places that hold something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, takewhile

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid
from hooknet.inference.regions import Wanted
from hooknet.shapes.dense import DenseShape
from hooknet.shapes.tiles import Tile

# Strides are tried in steps of at least so many px: what is wanted is looked up in cells of half a step.
STEP = 256
# HookNet(0.5, 8.0) is within 5 % of the least work there is by then (995 of 949 kMAC per px at F = 64).
LONGEST_STRIDE = 3072


@dataclass(frozen=True)
class Plan:
    """One ``tile`` for all ``places``: (column, row) of the kept squares in map px, which may be negative.

    Row by row, each row from left to right; squares without a wanted pixel are left out.  ``fullest``: the number
    of a place that holds as much as any.
    """

    tile: Tile
    places: tuple[tuple[int, int], ...]
    fullest: int = 0


def make_plan(
    shape: DenseShape,
    grid: RasterGrid,
    wanted: Wanted,
    fits: Callable[[Tile], bool],
    at_most: int | None = None,
    rim: int | None = None,
) -> Plan:
    """The plan of least work (see :meth:`DenseShape.tile_work`).

    ``fits``: whether there is memory for a tile; the smallest tile is taken where it fits none.  ``at_most``: the
    largest target view in px.  ``rim``: px of an output to drop, None for what padding shows in.
    """
    tiles = _candidates(shape, grid, fits, at_most, rim)
    side = min(tile.stride for tile in tiles) // 2
    cells = wanted.cells(grid, side)
    plans = [_laid(tile, cells, side) for tile in tiles]
    return min(plans, key=lambda plan: len(plan.places) * shape.tile_work(plan.tile))


def plan_of(tile: Tile, grid: RasterGrid, wanted: Wanted) -> Plan:
    """The places of a given tile."""
    side = tile.stride // 2
    return _laid(tile, wanted.cells(grid, side), side)


def _candidates(
    shape: DenseShape, grid: RasterGrid, fits: Callable[[Tile], bool], at_most: int | None, rim: int | None
) -> list[Tile]:
    """Tiles whose strides are multiples of the first one's, smallest first."""
    longest = min(LONGEST_STRIDE, 2 * max(grid.width, grid.height))
    fitting: list[Tile] = list(
        takewhile(
            lambda one: fits(one) and one.stride <= longest and (at_most is None or one.sizes[0] <= at_most),
            shape.tiles(rim),
        )
    ) or list(islice(shape.tiles(rim), 1))
    unit = fitting[0].stride
    step = unit * -(-STEP // unit)
    return [one for one in fitting if one.stride % step == 0] or fitting[-1:]


def _laid(tile: Tile, cells: NDArray[np.bool_], side: int) -> Plan:
    """The squares about multiples of the tile's stride that touch a cell (``side`` px) that is true."""
    half = tile.stride // 2 // side
    rows, columns = (-(-(length + half) // (2 * half)) for length in cells.shape)
    padded = np.zeros((rows * 2 * half, columns * 2 * half), bool)
    padded[half : half + cells.shape[0], half : half + cells.shape[1]] = cells
    held = padded.reshape(rows, 2 * half, columns, 2 * half).sum(axis=(1, 3))
    found = np.argwhere(held)
    starts = found[:, ::-1] * tile.stride - tile.stride // 2
    places = tuple((int(column), int(row)) for column, row in starts)
    return Plan(tile, places, int(np.argmax(held[tuple(found.T)])) if places else 0)
