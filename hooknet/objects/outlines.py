"""Connected regions as valid polygons, each given out as soon as its last row is read.

Rings of a region that is not finished wait; nothing else does.  With a tolerance, borders are simplified where they
are traced (``objects.simplification``), once for both sides: neighbours still share them, islands stay in their holes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from hooknet.objects.connected import Region, region_of
from hooknet.objects.runs import BAND, Numbers, Source, Weights
from hooknet.objects.simplification import simplified
from hooknet.objects.sweep import BOTTOM, LEFT, PIXELS, RIGHT, TOP, VALUE, Band, sweep
from hooknet.objects.tracing import (
    Front,
    Points,
    Rope,
    corners,
    doubled_area,
    parted,
    points_of,
    ropes,
    walks,
)

# Rows at once where borders are simplified: fewer borders at once take less time each.
SIMPLIFIED_BAND = 64


@dataclass(frozen=True)
class Outline:
    """A connected region and its polygon in level-0 px of the slide, with its holes."""

    region: Region
    polygon: Polygon


@dataclass(frozen=True)
class Tracing:
    """How regions become polygons.

    ``tolerance``: how far, in px of the raster, an outline may be from the px; 0 follows their sides exactly.
    ``smallest``: regions of fewer px are left out.  ``background``: value 0 too, its regions that do not touch the
    raster's edge, filled: without it what lies in a hole is not told.
    """

    tolerance: float = 0.0
    smallest: float = 0.0
    background: bool = False


def outlines(
    source: Source, tracing: Tracing | None = None, weights: Weights | None = None, rows: int = 0
) -> Iterator[Outline]:
    """The regions of a raster with their polygons, in the order in which they end.

    Polygons are valid; no two overlap.  With a tolerance they lie within it (Hausdorff distance) and there is an
    extra point where a border crosses one band of rows into the next; without they do not depend on
    ``rows`` (0: as many as are best).
    """
    tracing = tracing or Tracing()
    waiting: list[list[Points]] = []
    front = Front()
    for band in sweep(source, weights, rows or (SIMPLIFIED_BAND if tracing.tolerance else BAND)):
        found: list[list[Points]] = [[] for _ in band.table]
        for label, rings in zip(band.carried.tolist(), waiting, strict=True):
            found[label] += rings
        front = _trace(band, front, tracing, found, source.grid.width)
        done = np.flatnonzero(~band.open & _wanted(band, source, tracing))
        yield from _outlines(band, done, found, source)
        waiting = [found[label] for label in np.flatnonzero(band.open)]


def _trace(band: Band, front: Front, tracing: Tracing, found: list[list[Points]], width: int) -> Front:
    """Put the rings that close in a band where their regions are; the walks that go on."""
    walked = walks(band, front, tracing.background)
    points, given = corners(band, walked)
    if tracing.tolerance > 0:
        points, given = simplified(band, walked, width, tracing.tolerance)
    count = len(band.runs)
    bottom = (
        np.flatnonzero(band.runs.row == band.runs.row[-1])
        if count and not band.last
        else np.zeros(0, np.int64)
    )
    first = int(bottom[0]) if bottom.size else count
    exits = np.full(bottom.size, -1, np.int64)
    kept: list[Rope] = [[] for _ in bottom]
    for start, end, rope in ropes(band, walked, points, given, front):
        if not band.last and end < count and end >= first:
            exits[start - count - first], kept[start - count - first] = end - first, rope
            continue
        label = int(band.label[start % count])
        ring = points_of(rope)
        if band.table[label, VALUE] > 0 or doubled_area(ring) > 0:
            found[label].append(ring)
    return Front(exits, kept)


def _wanted(band: Band, source: Source, tracing: Tracing) -> NDArray[np.bool_]:
    """Which regions are large enough, and of which value."""
    table = band.table
    large: NDArray[np.bool_] = table[:, PIXELS] >= tracing.smallest
    if not tracing.background:
        return large & (table[:, VALUE] > 0)
    grid = source.grid
    inside = (table[:, LEFT] < 0) & (table[:, TOP] < 0)
    inside &= (table[:, RIGHT] < grid.width) & (table[:, BOTTOM] < grid.height)
    return large & (inside | (table[:, VALUE] > 0))


def _outlines(band: Band, labels: Numbers, found: list[list[Points]], source: Source) -> Iterator[Outline]:
    """Finished regions with their polygons."""
    if not labels.size:
        return
    rings: list[Points] = []
    shells, holes = [], []
    for label in labels.tolist():
        parts = [part for ring in found[label] for part in parted(ring)]
        shell = max(parts, key=doubled_area)
        others = [one for one in parts if one is not shell] if band.table[label, VALUE] > 0 else []
        shells.append(len(rings))
        holes.append(len(others))
        rings += [shell, *others]
    step = np.array([source.grid.step_x, source.grid.step_y])
    owner = np.repeat(np.arange(len(rings)), [len(one) for one in rings])
    lines = shapely.linearrings(np.concatenate(rings) * step, indices=owner)
    for label, first, count in zip(labels.tolist(), shells, holes, strict=True):
        inner = lines[first + 1 : first + 1 + count]
        yield Outline(region_of(band.table[label]), shapely.polygons(lines[first], inner if count else None))
