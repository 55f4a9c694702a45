"""Borders simplified band by band, once for both sides.

A border between two regions runs from node to node: corners at which three regions meet, or two twice, and where it
crosses into another band.  Nodes stay.  GEOS simplifies all borders of a band together (Douglas and Peucker's rule,
within the tolerance, refusing what would make two lines meet or put one on another's wrong side); which corners it
keeps is then read off for each outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from hooknet.objects.runs import Numbers
from hooknet.objects.sweep import Band
from hooknet.objects.tracing import Points, Walks, is_carried, places

Flags = NDArray[np.bool_]
# Beyond the raster's edges, as the value of a neighbour.
OUTSIDE = -1


@dataclass(frozen=True)
class _Path:
    """The points of all walks one after the other.

    ``given``: how many each side gives.  ``side``: which is walked up or down from a point on, -1 where the way goes
    on along a row.  ``end``: the last point of a walk that leaves the band there, or closes.
    """

    points: Points
    given: Numbers
    side: Numbers
    end: Flags


def simplified(band: Band, walked: Walks, width: int, tolerance: float) -> tuple[Points, Numbers]:
    """As ``tracing.corners``: of the corners those that a simplification within ``tolerance`` px keeps, and nodes.

    ``width``: of the raster.
    """
    if not walked.side.size:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    nodes = _nodes(band, width)
    path = _path(band, walked, nodes)
    key = _key(path.points)
    fixed = _is_in(key, nodes) | path.end
    starts = _starts(path, walked)
    fixed |= _is_in(key, np.unique(key[starts]))
    kept = fixed | _is_in(key, _kept(_borders(band, path, walked, fixed), tolerance))
    place = np.concatenate([[0], np.cumsum(path.given)])
    left = np.concatenate([[0], np.cumsum(kept)])[place]
    return path.points[kept], np.diff(left)


def _key(points: Points) -> Numbers:
    key: Numbers = points[:, 1] * 2**32 + points[:, 0]
    return key


def _is_in(key: Numbers, among: Numbers) -> Flags:
    """Which keys are among sorted others."""
    if not among.size:
        return np.zeros(key.size, np.bool_)
    found: Flags = among[np.minimum(np.searchsorted(among, key), among.size - 1)] == key
    return found


def _nodes(band: Band, width: int) -> Numbers:
    """Keys of the nodes of a band, sorted: every corner on its upper seam, and within it where more than two meet."""
    runs = band.runs
    first, last = int(runs.row[0]), int(runs.row[-1])
    seam = first + 1 if band.front else first
    key = runs.row * 2**32 + runs.start
    found = [_key(np.stack([runs.start, np.full(len(runs), seam)], axis=1))[runs.row <= seam]]
    found.append(np.array([seam * 2**32 + width]))
    # A corner at the head of a run: against the row above; against the row below.
    for down in (-1, 1):
        met = np.flatnonzero((runs.row > first) if down < 0 else (runs.row < last))
        other = np.searchsorted(key, key[met] + down * 2**32, side="right") - 1
        y = runs.row[met] + (down > 0)
        edge = runs.start[met] == 0
        right = runs.value[other]
        same = runs.start[other] == runs.start[met]
        left = np.where(same, runs.value[other - 1], right)
        mine, before = runs.value[met], runs.value[met - 1]
        straight = (left == before) & (right == mine)
        regular = (left == right) & ((left == before) | (left == mine))
        node = np.where(edge, right != mine, ~(straight | regular))
        found.append((y * 2**32 + runs.start[met])[node])
        if down < 0:  # the raster's right edge, by the last run of each row
            tail = met[np.diff(runs.row[met], append=-1) != 0]
            above = runs.value[np.searchsorted(key, runs.row[tail] * 2**32, side="left") - 1]
            found.append((runs.row[tail] * 2**32 + width)[above != runs.value[tail]])
    return np.unique(np.concatenate(found))


def _path(band: Band, walked: Walks, nodes: Numbers) -> _Path:
    """Every point at which a walk turns, and every node that it passes."""
    side, then = walked.side, walked.next
    here, there = places(band, side), places(band, then)
    carried = is_carried(band, side)
    here[carried, 1] += 1  # where the walk goes up into the band above
    leaves = (then < 0) | carried
    straight = ~leaves & (here[:, 0] == there[:, 0])
    turns = ~leaves & ~straight
    # Nodes passed along a row, strictly between the two ends.
    base = here[:, 1] * 2**32
    low, high = np.minimum(here[:, 0], there[:, 0]), np.maximum(here[:, 0], there[:, 0])
    first = np.searchsorted(nodes, base + low, side="right")
    passed = np.where(turns, np.searchsorted(nodes, base + high, side="left") - first, 0)
    marked = leaves | (straight & _is_in(_key(here), nodes))
    entry = np.zeros(side.size, np.bool_)
    begins = np.array(walked.begin[:-1])
    entry[begins] = _is_entry(band, side[begins])
    given = np.where(turns, 2 + passed, marked) + entry
    place = np.cumsum(given) - given
    points = np.empty((int(given.sum()), 2), np.int64)
    vertical = np.full(len(points), -1, np.int64)
    foot = place[entry]
    points[foot] = here[entry] + (0, 1)
    vertical[foot] = side[entry]
    at = place + entry
    points[at[marked | turns]] = here[marked | turns]
    vertical[at[straight & marked]] = then[straight & marked]
    _pass(points, (at, passed, first), nodes, backwards=there[:, 0] < here[:, 0])
    far = (at + 1 + passed)[turns]
    points[far, 0], points[far, 1] = there[turns, 0], here[turns, 1]
    vertical[far] = then[turns]
    end = np.zeros(len(points), np.bool_)
    end[at[leaves]] = True
    return _Path(points, given, vertical, end)


def _pass(points: Points, found: tuple[Numbers, Numbers, Numbers], nodes: Numbers, backwards: Flags) -> None:
    """Put the nodes that are passed behind the first point of their side."""
    at, passed, first = found
    which = np.repeat(np.arange(at.size), passed)
    step = np.arange(which.size) - np.repeat(np.cumsum(passed) - passed, passed)
    taken = nodes[first[which] + np.where(backwards[which], passed[which] - 1 - step, step)]
    points[at[which] + 1 + step] = np.stack([taken % 2**32, taken // 2**32], axis=1)


def _is_entry(band: Band, side: Numbers) -> Flags:
    """Which sides come from below the band: left ones of its last row."""
    runs = band.runs
    if band.last:
        return np.zeros(side.size, np.bool_)
    entry: Flags = (side >= len(runs)) & (runs.row[side % len(runs)] == runs.row[-1])
    return entry


def _starts(path: _Path, walked: Walks) -> Numbers:
    """The first point of each walk; also of those that close, which so have a node at least."""
    place = np.cumsum(path.given) - path.given
    begin, end = np.array(walked.begin[:-1]), np.array(walked.begin[1:])
    starts: Numbers = place[begin]
    some: Numbers = starts[starts < place[end - 1] + path.given[end - 1]]
    return some


def _borders(band: Band, path: _Path, walked: Walks, fixed: Flags) -> NDArray[np.object_]:
    """Each border of the band once, as a line; in groups that have nothing to do with each other."""
    order, own, goes_on = _closed(band, path, walked)
    points, side = path.points[order], path.side[order]
    first = np.flatnonzero(goes_on)
    behind = first + 1
    begins = fixed[order][first]
    begins[1:] |= first[1:] != first[:-1] + 1
    begins[:1] = True
    border = np.cumsum(begins) - 1
    head = np.flatnonzero(begins)
    # What is on the other side, by the first part of the border that is walked up or down.
    steep = np.flatnonzero(side[first] >= 0)
    other = np.full(head.size, own.max(initial=0) + 1)
    known, place = np.unique(border[steep], return_index=True)
    other[known] = _beside(band, side[first[steep[place]]])
    # The side of the higher value is taken; parts of one row have no such side, and two of them are one.
    level = np.ones(head.size, np.bool_)
    level[known] = False
    ends = np.sort(np.stack([_key(points[first[head]]), _key(points[behind[head]])]), axis=0)
    level &= np.isin(np.arange(head.size), _first_of_each(ends, level))
    taken = (own[first[head]] > other) | level
    lines = taken[border]
    tail = np.append(begins[1:], True)
    size = lines.astype(np.int64) + (lines & tail)
    coordinates = np.repeat(points[first], size, axis=0)
    coordinates[np.cumsum(size)[lines & tail] - 1] = points[behind[lines & tail]]
    owner = np.repeat(border, size)
    single = shapely.linestrings(coordinates, indices=np.unique(owner, return_inverse=True)[1])
    return _grouped(np.concatenate([single, *_seams(band)]))


def _grouped(lines: NDArray[np.object_]) -> NDArray[np.object_]:
    """Lines in groups that lie side by side with room between: GEOS takes a time that grows with their square.

    A straight line does not change; it goes into every group that it passes.
    """
    left, _, right, _ = shapely.bounds(lines).T
    bent = np.flatnonzero(shapely.get_num_coordinates(lines) > 2)
    bent = bent[np.argsort(left[bent], kind="stable")]
    if not bent.size:
        return lines[:0]
    reach = np.maximum.accumulate(right[bent])
    begins = np.ones(bent.size, np.bool_)
    begins[1:] = left[bent[1:]] > reach[:-1]
    group = np.cumsum(begins) - 1
    low, high = left[bent[begins]], reach[np.diff(group, append=-1) != 0]
    straight = np.flatnonzero(shapely.get_num_coordinates(lines) <= 2)
    first = np.searchsorted(high, left[straight])
    count = np.maximum(np.searchsorted(low, right[straight], side="right") - first, 0)
    member = np.repeat(first, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    owner = np.concatenate([group, member])
    order = np.argsort(owner, kind="stable")
    which = np.concatenate([bent, np.repeat(straight, count)])[order]
    grouped: NDArray[np.object_] = shapely.multilinestrings(lines[which], indices=owner[order])
    return grouped


def _seams(band: Band) -> list[NDArray[np.object_]]:
    """The lines on which a band meets its neighbours, in parts: no border may come to lie on them."""
    runs = band.runs
    found: list[NDArray[np.object_]] = []
    for row in {int(runs.row[0]), int(runs.row[-1])}:
        part = runs.row == row
        ends = np.stack([runs.start[part], runs.end[part]], axis=1)
        found.append(np.asarray(shapely.linestrings(np.stack([ends, np.full_like(ends, row + 1)], axis=2))))
    return found


def _first_of_each(ends: Numbers, level: Flags) -> Numbers:
    """Places of different pairs of ends among those that are ``level``."""
    which = np.flatnonzero(level)
    found: Numbers = which[np.unique(ends[:, which], axis=1, return_index=True)[1]]
    return found


def _closed(band: Band, path: _Path, walked: Walks) -> tuple[Numbers, Numbers, Flags]:
    """Places of the points in the order of the walks, the first of a closed one once more at its end.

    Also the value of the region that each walk goes around, and whether the way goes on to the next point.
    """
    place = np.concatenate([[0], np.cumsum(path.given)])
    begin, end = np.array(walked.begin[:-1]), np.array(walked.begin[1:])
    first, behind = place[begin], place[end]
    some = behind > first
    begin, end, first, behind = begin[some], end[some], first[some], behind[some]
    closes = ~path.end[behind - 1]
    order = np.insert(np.arange(len(path.points)), behind[closes], first[closes])
    length = behind - first + closes
    own = np.repeat(band.runs.value[walked.side[begin] % len(band.runs)], length)
    goes_on = ~path.end[order]
    goes_on[np.cumsum(length) - 1] = False
    key = _key(path.points[order])
    goes_on[:-1] &= key[1:] != key[:-1]
    return order, own, goes_on


def _beside(band: Band, side: Numbers) -> Numbers:
    """The value on the other side of each."""
    runs = band.runs
    count = len(runs)
    run = side % count
    other = np.where(side < count, run + 1, run - 1)
    inside = (other >= 0) & (other < count)
    other = np.where(inside, other, 0)
    inside &= runs.row[other] == runs.row[run]
    return np.where(inside, runs.value[other], OUTSIDE)


def _kept(borders: NDArray[np.object_], tolerance: float) -> Numbers:
    """Keys of the points that are left, sorted."""
    lines = shapely.simplify(borders, tolerance, preserve_topology=True)
    return np.unique(_key(shapely.get_coordinates(lines).astype(np.int64)))
