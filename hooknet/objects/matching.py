"""Which object of a map is which of the truth, one to one, and what that says of a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from math import ceil, floor, nan
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from hooknet.config.objects import ObjectSettings
from hooknet.errors import MaskError
from hooknet.io.formats import Format
from hooknet.io.masks import Mask
from hooknet.objects.detection import FoundObject

COLUMNS = ("slide", "class", "tp", "fp", "fn", "not_judged")
FORMAT = Format(COLUMNS, "matched objects", "make it again with match-objects")
# Rows of a mask that are looked at together under one object.
STRIP = 512


@dataclass(frozen=True)
class ObjectCounts:
    """Of one class on one slide: hits, false alarms, misses, and objects of which the truth says nothing."""

    tp: int
    fp: int
    fn: int
    not_judged: int


@dataclass(frozen=True)
class ObjectScore:
    """Of one class and system over all slides; nan where there is nothing to divide by."""

    system: str
    name: str
    tp: int
    fp: int
    fn: int
    not_judged: int
    precision: float
    recall: float
    f1: float


def match(
    truth: Sequence[FoundObject],
    predicted: Sequence[FoundObject],
    rules: Mapping[str, ObjectSettings],
    annotated: Mask | None = None,
) -> dict[str, ObjectCounts]:
    """The counts of each class of ``rules``: of all one-to-one matchings one with the most pairs.

    With ``annotated`` an object without a partner of which more than half lies on px that are 0 there is not judged,
    rather than a false alarm.
    """
    found = {}
    for name, rule in rules.items():
        wanted = [one for one in truth if one.name == name]
        offered = [one for one in predicted if one.name == name]
        partner = _partners(wanted, offered, rule)
        alone = [one for one, other in zip(offered, partner, strict=True) if other < 0]
        unknown = 0 if annotated is None else sum(_annotated_share(one, annotated) < 0.5 for one in alone)
        hits = len(offered) - len(alone)
        found[name] = ObjectCounts(hits, len(alone) - unknown, len(wanted) - hits, unknown)
    return found


def _partners(
    wanted: Sequence[FoundObject], offered: Sequence[FoundObject], rule: ObjectSettings
) -> list[int]:
    """For each offered object the place of its partner, -1 for none."""
    if not wanted or not offered:
        return [-1] * len(offered)
    true = np.array([one.polygon for one in wanted], dtype=object)
    made = np.array([one.polygon for one in offered], dtype=object)
    tree = shapely.STRtree(true)
    if rule.match == "centroid":
        points = shapely.points([one.centroid for one in offered])
        left, right = tree.query(points, predicate="intersects")
    else:
        left, right = tree.query(made, predicate="intersects")
        common = shapely.area(shapely.intersection(made[left], true[right]))
        union = shapely.area(made[left]) + shapely.area(true[right]) - common
        enough = common >= rule.overlap * union
        left, right = left[enough], right[enough]
    graph = coo_array((np.ones(left.size, np.int8), (left, right)), shape=(made.size, true.size)).tocsr()
    partners: list[int] = maximum_bipartite_matching(graph, perm_type="column").tolist()
    return partners


def _annotated_share(one: FoundObject, mask: Mask) -> float:
    """Share of the px under an object that are annotated; 0 where it covers no px centre."""
    grid = mask.grid
    steps = np.array([grid.step_x, grid.step_y])
    shape = shapely.transform(one.polygon, lambda points: points / steps)
    left, top, right, bottom = shape.bounds
    column, width = floor(left), max(1, ceil(right) - floor(left))
    total = known = 0
    for row in range(floor(top), ceil(bottom), STRIP):
        height = min(STRIP, ceil(bottom) - row)
        inside: NDArray[np.uint8] = rasterio.features.rasterize(
            [shape], (height, width), transform=Affine.translation(column, row), dtype="uint8"
        )
        total += int(inside.sum())
        known += int(((mask.read(column, row, width, height) > 0) & (inside > 0)).sum())
    return known / total if total else 0.0


def write_matches(path: str | Path, slides: Mapping[str, Mapping[str, ObjectCounts]]) -> None:
    """Write a row a slide and class."""
    rows = ((slide, name, *astuple(one)) for slide, found in slides.items() for name, one in found.items())
    FORMAT.write(path, rows)


def read_matches(path: str | Path) -> dict[str, dict[str, ObjectCounts]]:
    """Slide -> class -> counts, in the file's order; MaskError when it is no such table."""
    found: dict[str, dict[str, ObjectCounts]] = {}
    for line, (slide, name, *cells) in FORMAT.read(path):
        if not all(cell.isdecimal() for cell in cells):
            raise MaskError(
                f"{path}: line {line} has {','.join(cells)}, wanted whole numbers; make it again with match-objects"
            )
        if name in found.setdefault(slide, {}):
            raise MaskError(
                f"{path}: line {line} has slide {slide}, {name} twice; make it again with match-objects"
            )
        found[slide][name] = ObjectCounts(*map(int, cells))
    return found


def object_scores(
    systems: Mapping[str, Mapping[str, Mapping[str, ObjectCounts]]],
) -> list[ObjectScore]:
    """Scores of each system and class, counts of all its slides added up: system -> slide -> class -> counts."""
    scores = []
    for system, slides in systems.items():
        names = dict.fromkeys(name for found in slides.values() for name in found)
        for name in names:
            counts = [found[name] for found in slides.values() if name in found]
            tp, fp, fn, skipped = (
                sum(getattr(one, key) for one in counts) for key in ("tp", "fp", "fn", "not_judged")
            )
            scores.append(
                ObjectScore(
                    system, name, tp, fp, fn, skipped, _ratio(tp, tp + fp), _ratio(tp, tp + fn),
                    _ratio(2 * tp, 2 * tp + fp + fn),
                )
            )  # fmt: skip
    return scores


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else nan
