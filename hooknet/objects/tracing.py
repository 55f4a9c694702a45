"""The outlines of regions, traced from their runs.

Each run has two sides: its right one is walked down, its left one up, so that a region lies to the right of its
outline as one looks along it (with y down).  Where two px of a region touch at a corner only, the walk turns around
each px, whatever the region does elsewhere; :func:`parted` makes valid rings of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hooknet.objects.runs import Numbers
from hooknet.objects.sweep import Band

# Corners, (N, 2) int64 of (x, y) in raster px; an outline under construction is a tree of them in a list.
Points = NDArray[np.int64]
Rope = list[Any]


@dataclass(frozen=True)
class Walks:
    """The sides of a band's runs in the order of their outlines, one outline after the other.

    ``side``: number of a run, or of runs + a run for its left side.  ``next``: the side after it, -1 where the walk
    leaves the band.  ``begin``: where each outline begins in ``side``, and the end of all.
    """

    side: Numbers
    next: Numbers
    begin: list[int]


@dataclass
class Front:
    """The walks that go on below: for each run of the last row the way from its left side to a right one."""

    exits: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    ropes: list[Rope] = field(default_factory=list)


def walks(band: Band, front: Front, background: bool) -> Walks:
    """The outlines of a band, those that stay open below first; of value 0 only with ``background``."""
    runs = band.runs
    count = len(runs)
    after = _after(band, front)
    wanted = np.ones(count, np.bool_) if background else runs.value > 0
    bottom = np.zeros(count, np.bool_) if band.last or not count else runs.row == runs.row[-1]
    entries = count + np.flatnonzero(bottom & wanted)
    sides = np.flatnonzero(np.concatenate([wanted, wanted]))
    order, begin = _followed(after.tolist(), entries.tolist(), sides.tolist())
    side = np.array(order, np.int64)
    return Walks(side, after[side], begin)


def _after(band: Band, front: Front) -> Numbers:
    """The side that is walked after each; -1 where that is not known yet."""
    runs, upper, lower = band.runs, band.upper, band.lower
    count, pairs = len(runs), band.upper.size
    right, left = np.arange(count), np.arange(count, 2 * count)
    after = np.concatenate([left, right])  # nothing below: around the run
    if pairs:
        new_upper, new_lower = np.diff(upper, prepend=-1) != 0, np.diff(lower, prepend=-1) != 0
        # Down a right side: past the last run below, unless that reaches under another run of the row.
        last = np.flatnonzero(np.append(new_upper[1:], True))
        following = np.minimum(last + 1, pairs - 1)
        hangs = (last + 1 < pairs) & ~new_lower[following]
        after[upper[last]] = np.where(hangs, count + upper[following], lower[last])
        # Up a left side: the same, turned around.
        first = np.flatnonzero(new_lower)
        before = np.maximum(first - 1, 0)
        stands = (first > 0) & ~new_upper[first]
        after[count + lower[first]] = np.where(stands, lower[before], count + upper[first])
    after[count : count + band.front] = front.exits
    if not band.last:
        after[:count][runs.row == runs.row[-1]] = -1
    return after


def _followed(after: list[int], entries: list[int], sides: list[int]) -> tuple[list[int], list[int]]:
    """All sides, each outline from one of the ``entries`` or anywhere on it; where each begins."""
    seen = bytearray(len(after))
    order: list[int] = []
    begin = []
    take = order.append
    for start in (*entries, *sides):
        if seen[start]:
            continue
        begin.append(len(order))
        at = start
        while at >= 0 and not seen[at]:
            seen[at] = 1
            take(at)
            at = after[at]
    begin.append(len(order))
    return order, begin


def corners(band: Band, walked: Walks) -> tuple[Points, Numbers]:
    """The corners of all walks one after the other, and how many each side gives (0 or 2).

    A side gives the two ends of what is walked between its end and the next side, nothing where it goes straight on.
    """
    at, then = places(band, walked.side), places(band, walked.next)
    turns = (walked.next >= 0) & (at[:, 0] != then[:, 0])
    turns &= ~is_carried(band, walked.side)
    points = np.empty((2 * int(turns.sum()), 2), np.int64)
    points[::2] = at[turns]
    points[1::2, 0], points[1::2, 1] = then[turns, 0], at[turns, 1]
    return points, 2 * turns.astype(np.int64)


def is_carried(band: Band, side: Numbers) -> NDArray[np.bool_]:
    """Which are left sides of the front: their walk on was walked in the bands before."""
    count = len(band.runs)
    return (side >= count) & (side < count + band.front)


def places(band: Band, side: Numbers) -> Points:
    """Where the walk along each side ends: the foot of a right one, the head of a left one."""
    runs = band.runs
    count = len(runs)
    run = side % max(count, 1)
    left = side >= count
    return np.stack([np.where(left, runs.start[run], runs.end[run]), runs.row[run] + ~left], axis=1)


def ropes(
    band: Band, walked: Walks, points: Points, given: Numbers, front: Front
) -> Iterator[tuple[int, int, Rope]]:
    """First and last side of each walk, and its corners: pieces of ``points`` and what was walked before."""
    place = np.concatenate([[0], np.cumsum(given)])
    carried = np.flatnonzero(is_carried(band, walked.side))
    count, side = len(band.runs), walked.side
    bounds = np.searchsorted(carried, walked.begin).tolist()
    for number, (begin, end) in enumerate(zip(walked.begin[:-1], walked.begin[1:], strict=True)):
        rope: Rope = []
        at = begin
        for stop in carried[bounds[number] : bounds[number + 1]].tolist():
            rope += [points[place[at] : place[stop + 1]], front.ropes[int(side[stop]) - count]]
            at = stop + 1
        rope.append(points[place[at] : place[end]])
        yield int(side[begin]), int(side[end - 1]), rope


def points_of(rope: Rope) -> Points:
    """All corners of an outline in order, none twice in a row."""
    flat: list[Points] = []
    waiting: list[Any] = [rope]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(reversed(one))
        elif len(one):
            flat.append(one)
    points = np.concatenate(flat)
    kept: Points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    return kept


def doubled_area(ring: Points) -> int:
    """Twice the area inside a ring of corners; negative around a hole."""
    x, y = ring[:, 0], ring[:, 1]
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def parted(ring: Points) -> list[Points]:
    """A ring that meets itself at corners as rings that do not."""
    key = ring[:, 0] * (2**32) + ring[:, 1]
    if len(ring) < 6 or np.unique(key).size == len(ring):
        return [ring]
    found: list[Numbers] = []
    kept: list[int] = []
    seen: dict[int, int] = {}
    names = key.tolist()
    for place, name in enumerate(names):
        if name in seen:
            first = seen[name]
            found.append(np.array(kept[first:]))
            for gone in kept[first + 1 :]:
                del seen[names[gone]]
            del kept[first + 1 :]
        else:
            seen[name] = len(kept)
            kept.append(place)
    return [ring[one] for one in (*found, np.array(kept))]
