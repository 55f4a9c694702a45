"""Rows of a label raster as runs of equal values: what regions and outlines are made of.

A gigapixel map has a few hundred runs a row.  Everything after this file works on runs, so that its time and memory
go with the borders between classes, not with the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid

# What is asked for being empty, and read, at once: the tiles of a mask.
TILE = 512
# So many rows are read at once.  Regions and exact outlines do not depend on it.
BAND = 512

Labels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


class Source(Protocol):
    """What has values over a slide: a :class:`hooknet.io.masks.Mask`, or one as it looks after some processing."""

    @property
    def grid(self) -> RasterGrid:
        """Size and place of the raster."""

    def read(self, column: int, row: int, width: int, height: int) -> Labels:
        """Values (height, width) uint8 of a window in raster px."""

    def is_empty(self, column: int, row: int, width: int, height: int) -> bool:
        """Whether a window is known to be all 0."""


class Weights(Protocol):
    """A number for every px of the same raster, such as a probability."""

    def read(self, column: int, row: int, width: int, height: int) -> Labels:
        """Values (height, width) uint8 of a window in raster px."""


@dataclass(frozen=True)
class Runs:
    """Px side by side in one row with one value: row, first and one-past-last column, value; (N,) int64 each.

    Sorted by row, then column; every row is covered from its first px to its last, zeros too.  ``total`` and
    ``highest``: sum and maximum of the weights over the px, 0 where there are none.
    """

    row: Numbers
    start: Numbers
    end: Numbers
    value: Numbers
    total: Numbers
    highest: Numbers

    def __len__(self) -> int:
        """How many there are."""
        return int(self.row.size)

    def part(self, which: Any) -> Runs:
        """Some of them."""
        return Runs(*(getattr(self, name)[which] for name in FIELDS))

    @classmethod
    def joined(cls, *several: Runs) -> Runs:
        """All of several, in this order."""
        return cls(*(np.concatenate([getattr(one, name) for one in several]) for name in FIELDS))


FIELDS = ("row", "start", "end", "value", "total", "highest")


def no_runs() -> Runs:
    """None at all."""
    return Runs(*(np.zeros(0, np.int64) for _ in FIELDS))


def read_runs(source: Source, row: int, height: int, weights: Weights | None = None) -> Runs:
    """The runs of some rows of a raster.  What is empty is not read."""
    width = source.grid.width
    parts, column = [], 0
    for start, end in _stored(source, row, height):
        if start > column:
            parts.append(_blank(row, height, column, start))
        labels = source.read(start, row, end - start, height)
        weighed = None if weights is None else weights.read(start, row, end - start, height)
        parts.append(_runs(labels, weighed, start, row))
        column = end
    if column < width:
        parts.append(_blank(row, height, column, width))
    if len(parts) == 1:
        return parts[0]
    runs = Runs.joined(*parts)
    return _merged(runs.part(np.argsort(runs.row * width + runs.start, kind="stable")))


def _stored(source: Source, row: int, height: int) -> list[tuple[int, int]]:
    """First and one-past-last columns between which something may be stored."""
    width = source.grid.width
    spans: list[tuple[int, int]] = []
    for start in range(0, width, TILE):
        end = min(start + TILE, width)
        if source.is_empty(start, row, end - start, height):
            continue
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _blank(row: int, height: int, start: int, end: int) -> Runs:
    """One run of 0 a row."""
    rows = np.arange(row, row + height, dtype=np.int64)
    zero = np.zeros_like(rows)
    return Runs(rows, zero + start, zero + end, zero, zero, zero)


def _runs(labels: Labels, weights: Labels | None, column: int, row: int) -> Runs:
    """The runs of a block whose first px has this column and row."""
    width = labels.shape[1]
    line = np.ascontiguousarray(labels).ravel()
    begins = np.empty(line.size, np.bool_)
    np.not_equal(line[1:], line[:-1], out=begins[1:])
    begins[::width] = True
    first = np.flatnonzero(begins)
    behind = np.append(first[1:], line.size)
    down = first // width
    value = line[first].astype(np.int64)
    total = highest = np.zeros_like(first)
    if weights is not None:
        flat = np.ascontiguousarray(weights).ravel()
        total = np.add.reduceat(flat, first, dtype=np.int64)
        highest = np.maximum.reduceat(flat, first).astype(np.int64)
    left = column - down * width
    return Runs(down + row, first + left, behind + left, value, total, highest)


def _merged(runs: Runs) -> Runs:
    """Neighbours of one value in one row as one run."""
    begins = np.ones(len(runs), np.bool_)
    begins[1:] = (runs.row[1:] != runs.row[:-1]) | (runs.value[1:] != runs.value[:-1])
    first = np.flatnonzero(begins)
    if first.size == len(runs):
        return runs
    last = np.append(first[1:], len(runs)) - 1
    total = np.add.reduceat(runs.total, first)
    highest = np.maximum.reduceat(runs.highest, first)
    return Runs(runs.row[first], runs.start[first], runs.end[last], runs.value[first], total, highest)
