"""Drawn polygons that cross themselves, or whose holes lie elsewhere, made valid."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

# To repair a shape takes time and memory for every crossing: of so many a minute and 1 GB, and a drawing has few.
MOST_CROSSINGS = 200_000
# Sides of a ring that are looked at to tell how many crossings it has.
_SAMPLE = 64


def crossings(polygon: Polygon) -> float:
    """About how often the outer ring crosses itself, told from some of its sides."""
    ring = shapely.get_coordinates(polygon.exterior)
    count = len(ring) - 1
    sides = np.random.default_rng(0).choice(count, min(count, _SAMPLE), replace=False)
    found = sum(_crossings_of(ring, int(side)) for side in sides)
    return found / len(sides) * count / 2


def _crossings_of(ring: np.ndarray[tuple[int, int], np.dtype[np.float64]], side: int) -> int:
    """How many sides one side crosses; neighbours, which it touches, are none of them."""
    start, steps = ring[:-1], np.diff(ring, axis=0)
    begin, end = ring[side], ring[side + 1]
    there = np.sign(_cross(steps, begin - start)) * np.sign(_cross(steps, end - start))
    ends = np.sign(_cross(end - begin, ring - begin))
    return int(np.count_nonzero((there < 0) & (ends[:-1] * ends[1:] < 0)))


def _cross(
    one: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    other: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    product: np.ndarray[tuple[int], np.dtype[np.float64]] = (
        one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    )
    return product


def repaired(polygon: Polygon) -> list[Polygon]:
    """The valid parts of a polygon: what its outer ring goes round, by the non-zero rule, less its holes.

    Less, not "and": GEOS makes a region of a hole that lies outside.
    """
    outer = _filled(polygon.exterior.coords[:-1])
    if polygon.interiors and outer:
        holes = [part for hole in polygon.interiors for part in _filled(hole.coords[:-1])]
        outer = _polygons(shapely.difference(shapely.union_all(outer), shapely.union_all(holes)))
    return outer


def _filled(ring: list[tuple[float, ...]]) -> list[Polygon]:
    """What a ring goes round.

    GEOS (3.14) finds nothing where a ring goes to its second vertex and straight back, so it is begun elsewhere then.
    """
    for start in range(min(len(ring), 4)):
        begun = Polygon(ring[start:] + ring[:start])
        valid = shapely.make_valid(begun, method="structure", keep_collapsed=False)
        parts = _polygons(valid)
        if parts:
            return parts
    return []


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    return [one for one in shapely.get_parts(geometry) if isinstance(one, Polygon) and one.area > 0]
