"""One walk down a label raster, band by band, that knows which runs belong to one region.

Regions are connected through the sides of their px (4-connected), not through corners: so is the inside of a
polygon.  What goes from one band to the next is the front: the last row, and what is known of the regions that
reach it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hooknet.objects.runs import BAND, Numbers, Runs, Source, Weights, no_runs, read_runs

# Columns of a table of regions.  SUM_X, SUM_Y: twice the sum of the px centres' coordinates, which is whole.
VALUE, LEFT, TOP, RIGHT, BOTTOM, HIGHEST, PIXELS, SUM_X, SUM_Y, TOTAL = range(10)
# How two parts of a region make one: columns before this one by minimum or maximum, the others add up.
_FIRST_SUM = PIXELS


@dataclass(frozen=True)
class Band:
    """Some rows, the last of the band before ahead of them, and the regions that are known by then.

    ``upper``, ``lower``: places of runs of one value that share a side, one below the other, sorted by row, value
    and column.  ``label``: the region of each run.  ``carried``: the region now of each that was open before.
    ``table``: what is known of each region so far.  ``open``: whether it reaches the last row, and may go on.
    ``front``: so many of the runs are of the band before.  ``last``: the raster has ended.
    """

    runs: Runs
    front: int
    upper: Numbers
    lower: Numbers
    label: Numbers
    carried: Numbers
    table: Numbers
    open: NDArray[np.bool_]
    last: bool

    @property
    def names(self) -> Numbers:
        """Region -> its number in ``carried`` of the next band; -1 once it is finished."""
        return np.where(self.open, np.cumsum(self.open) - 1, -1)


def sweep(source: Source, weights: Weights | None = None, rows: int = BAND) -> Iterator[Band]:
    """The bands of a raster, ``rows`` high, from the top; the last has no rows of its own, and finishes all."""
    height, width = source.grid.height, source.grid.width
    front, front_label = no_runs(), np.zeros(0, np.int64)
    table = np.zeros((0, 10), np.int64)
    for row in range(0, height + rows, rows):
        count = min(rows, height - row)
        last = count <= 0
        new = no_runs() if last else read_runs(source, row, count, weights)
        runs = Runs.joined(front, new)
        upper, lower = _pairs(runs, width)
        label, regions = _labels(len(runs), upper, lower, front_label)
        carried = np.zeros(len(table), np.int64)
        carried[front_label] = label[: len(front)]
        table = _grouped(
            np.concatenate([table, _rows_of(new)]), np.concatenate([carried, label[len(front) :]])
        )
        bottom = np.flatnonzero(runs.row == height - 1 if last else runs.row == row + count - 1)
        alive = np.zeros(regions, np.bool_)
        alive[label[bottom]] = not last
        band = Band(runs, len(front), upper, lower, label, carried, table, alive, last)
        yield band
        if last:
            return
        front, front_label, table = runs.part(bottom), band.names[label[bottom]], table[alive]


def _pairs(runs: Runs, width: int) -> tuple[Numbers, Numbers]:
    """Places of runs of one value that share a side, one below the other."""
    if not len(runs):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    key = runs.row * width + runs.start
    # Two runs begin to share where one of both begins.
    above = np.flatnonzero(runs.row < runs.row[-1])
    below = np.flatnonzero(runs.row > runs.row[0])
    under = np.searchsorted(key, key[above] + width, side="right") - 1
    over = np.searchsorted(key, key[below] - width, side="right") - 1
    fresh = runs.start[over] != runs.start[below]
    upper = np.concatenate([above, over[fresh]])
    lower = np.concatenate([under, below[fresh]])
    same = runs.value[upper] == runs.value[lower]
    upper, lower = upper[same], lower[same]
    column = np.maximum(runs.start[upper], runs.start[lower])
    order = np.argsort((runs.row[upper] * 256 + runs.value[upper]) * width + column, kind="stable")
    return upper[order], lower[order]


def _labels(count: int, upper: Numbers, lower: Numbers, front: Numbers) -> tuple[Numbers, int]:
    """The region of each run, and how many there are; ``front``: what the first runs are known to be."""
    order = np.argsort(front, kind="stable")
    same = front[order[1:]] == front[order[:-1]]
    one, other = np.append(upper, order[1:][same]), np.append(lower, order[:-1][same])
    graph = coo_array((np.ones(one.size, np.bool_), (one, other)), shape=(count, count))
    regions, label = connected_components(graph, directed=False)
    return label.astype(np.int64), int(regions)


def _rows_of(runs: Runs) -> Numbers:
    """A table with one row a run."""
    length = runs.end - runs.start
    columns = (
        runs.value,
        -runs.start,  # negative: the largest is the first
        -runs.row,
        runs.end,
        runs.row + 1,
        runs.highest,
        length,
        (runs.start + runs.end) * length,
        (2 * runs.row + 1) * length,
        runs.total,
    )
    return np.stack(columns, axis=1)


def _grouped(table: Numbers, label: Numbers) -> Numbers:
    """Rows of one label as one, label 0 first; every label has a row."""
    if not label.size:
        return table
    order = np.argsort(label, kind="stable")
    begins = np.flatnonzero(np.diff(label[order], prepend=-1))
    rows = table[order]
    most = np.maximum.reduceat(rows[:, :_FIRST_SUM], begins)
    sums = np.add.reduceat(rows[:, _FIRST_SUM:], begins)
    return np.concatenate([most, sums], axis=1)
