"""Which px centres lie inside polygons, as runs along the rows of a raster.

A centre exactly on an edge belongs to the polygon on the edge's right (below a horizontal one), so polygons that
share an edge share no pixel and leave no gap.  (GDAL's polygon fill has the opposite rule in x, and on horizontal
edges one that depends on the direction of drawing.)  Edges are cut with the rows in raster px of the whole slide,
the same numbers whatever part is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """Px side by side in one row and one polygon: the polygon's number, row, first and one-past-last column.

    Sorted by polygon, then row, then column.
    """

    polygon: Numbers
    row: Numbers
    start: Numbers
    end: Numbers

    def within(self, column: int, width: int) -> Runs:
        """What lies in some columns, counted from the first of them."""
        kept = np.flatnonzero((self.start < column + width) & (self.end > column))
        start, end = (np.clip(one[kept] - column, 0, width) for one in (self.start, self.end))
        return Runs(self.polygon[kept], self.row[kept], start, end)

    def by_polygon(self) -> Iterator[tuple[int, Runs]]:
        """Each polygon's number and its runs."""
        ends = np.flatnonzero(np.diff(self.polygon, append=-1)) + 1
        for first, behind in pairwise([0, *ends]):
            part = slice(first, behind)
            runs = Runs(self.polygon[part], self.row[part], self.start[part], self.end[part])
            yield int(self.polygon[first]), runs

    @property
    def pixels(self) -> int:
        """How many px these are."""
        return int((self.end - self.start).sum())

    def fill(self, into: NDArray[Any], value: int) -> None:
        """Raise px of one polygon to ``value`` where they hold less; rows and columns count from the array's first."""
        if not self.row.size:
            return
        top, left = int(self.row.min()), int(self.start.min())
        target = into[top : int(self.row.max()) + 1, left : int(self.end.max())]
        # Row after row as one line: so far outside, so far inside, in turns.
        line = (self.row - top) * target.shape[1] - left
        turns = np.stack([line + self.start, line + self.end], axis=1).ravel()
        values = np.zeros(turns.size + 1, into.dtype)
        values[1::2] = value
        inside = np.repeat(values, np.diff(turns, prepend=0, append=target.size))
        np.maximum(target, inside.reshape(target.shape), out=target)


class Scanlines:
    """The edges of valid (multi)polygons in raster px, cut with the centre lines of rows where asked."""

    def __init__(self, polygons: Sequence[shapely.Geometry]) -> None:
        parts, owner = shapely.get_parts(np.array(polygons, dtype=object), return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        points, ring = shapely.get_coordinates(rings, return_index=True)
        same = ring[1:] == ring[:-1]
        start, end = points[:-1][same], points[1:][same]
        # Always from the upper end (small y): two polygons cut the edge that they share at the very same place.
        up = (start[:, 1] > end[:, 1])[:, None]
        upper, lower = np.where(up, end, start), np.where(up, start, end)
        # The rows an edge is cut with: its upper end included, its lower excluded.
        first, behind = (np.ceil(one[:, 1] - 0.5).astype(np.int64) for one in (upper, lower))
        order = np.flatnonzero(behind > first)
        order = order[np.argsort(first[order], kind="stable")]
        self._upper, self._lower = upper[order], lower[order]
        self._first, self._behind = first[order], behind[order]
        self._polygon = owner[part[ring[1:][same]]][order].astype(np.int64)

    def runs(self, row: int, height: int) -> Runs:
        """All px inside in ``height`` rows; the rows count from the first of them.

        Sorted along a row, the cuts of a polygon's edges enter and leave it in turns.
        """
        below = np.searchsorted(self._first, row + height)  # sorted: no edge after it starts in time
        edge = np.flatnonzero(self._behind[:below] > row)
        begin = np.maximum(self._first[edge], row)
        count = np.minimum(self._behind[edge], row + height) - begin
        rows = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(count.sum())
        edge = np.repeat(edge, count)
        (x1, y1), (x2, y2) = self._upper[edge].T, self._lower[edge].T
        x = (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1) + x1
        order = np.lexsort((x, rows, self._polygon[edge]))
        columns = np.ceil(x[order] - 0.5).astype(np.int64)
        start, end = columns[::2], columns[1::2]
        some = end > start
        enter, start, end = order[::2][some], start[some], end[some]
        return Runs(self._polygon[edge[enter]], rows[enter] - row, start, end)
