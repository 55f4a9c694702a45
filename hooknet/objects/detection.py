"""Objects of a map: its regions after closing, thresholds, filling and a least area.

Everything before the regions is worked out window by window with a margin, so it does not depend on the windows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry import Polygon

from hooknet.config.objects import ObjectSettings
from hooknet.coordinates import RasterGrid
from hooknet.errors import AnnotationError, MaskError
from hooknet.io.geojson import Json, read_features, write_geojson
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.objects.connected import Region
from hooknet.objects.export import feature
from hooknet.objects.outlines import Outline, Tracing, outlines
from hooknet.objects.runs import Labels

Flags = NDArray[np.bool_]
# Distances to candidates are worked out for so many columns at once.
PART = 2048

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundObject:
    """One object: its class, outline and centroid in level-0 px, area, and mean probability (nan if not known)."""

    name: str
    polygon: Polygon
    centroid: tuple[float, float]
    area_um2: float
    probability: float = nan


@dataclass(frozen=True)
class _ClassWeights:
    """The probability of one class (0..255) on the px of a map."""

    probabilities: Probabilities
    grid: RasterGrid
    place: int

    def read(self, column: int, row: int, width: int, height: int) -> Labels:
        shares: Labels = self.probabilities.read_as(self.grid, column, row, width, height)[self.place]
        return shares


@dataclass(frozen=True)
class Candidates:
    """The px that may be an object of one class, as a raster of 0 and 1.

    The map's px of that class, or with ``weights`` those of at least ``low``; then closed with a disc of ``radius``
    px.  Beyond the raster's edges is nothing, and closing takes nothing away at them.
    """

    mask: Mask
    value: int
    radius: float = 0.0
    weights: _ClassWeights | None = None
    low: int = 0

    @property
    def grid(self) -> RasterGrid:
        """The map's."""
        return self.mask.grid

    def is_empty(self, column: int, row: int, width: int, height: int) -> bool:
        """Whether a window is known to have no candidate."""
        far = 2 * int(np.ceil(self.radius))
        window = column - far, row - far, width + 2 * far, height + 2 * far
        # A probability is only predicted where the map is.
        return self.mask.is_empty(*window)

    def read(self, column: int, row: int, width: int, height: int) -> Labels:
        """Values (height, width) of a window in raster px."""
        if not self.radius:
            return self._open(column, row, width, height).astype(np.uint8)
        found = np.zeros((height, width), np.uint8)
        for start in range(0, width, PART):
            end = min(start + PART, width)
            found[:, start:end] = self._closed(column + start, row, end - start, height)
        return found

    def _closed(self, column: int, row: int, width: int, height: int) -> Flags:
        far = 2 * int(np.ceil(self.radius))
        own = np.s_[far : far + height, far : far + width]
        found = self._open(column - far, row - far, width + 2 * far, height + 2 * far)
        if not found.any() or found.all():
            return found[own]
        # Within the radius of a candidate, and further than that from all px that are not.
        grown = ndimage.distance_transform_edt(~found) <= self.radius
        closed = grown if grown.all() else ndimage.distance_transform_edt(grown) > self.radius
        across, down = np.arange(column, column + width), np.arange(row, row + height)
        on_x, on_y = (across >= 0) & (across < self.grid.width), (down >= 0) & (down < self.grid.height)
        inside: Flags = closed[own] & on_y[:, None] & on_x
        return inside

    def _open(self, column: int, row: int, width: int, height: int) -> Flags:
        """Before closing."""
        window = column, row, width, height
        if self.weights is None:
            found: Flags = self.mask.read(*window) == self.value
        else:
            found = self.weights.read(*window) >= max(self.low, 1)
        return found


def detect(
    mask: Mask,
    rules: Mapping[str, ObjectSettings],
    probabilities: Path | None = None,
    thresholds: bool = True,
) -> Iterator[FoundObject]:
    """The objects of a map, class by class.

    With ``probabilities`` they have their mean over the object's px.  MaskError where a class has thresholds
    (``low``, ``high``) but there are none, unless ``thresholds`` is False (a truth); where the map lacks a class; and
    where the probabilities are of other classes or another slide.
    """
    for name, rule in rules.items():
        if name not in mask.names:
            raise MaskError(
                f"{mask.path}: classes are {', '.join(mask.names)}, wanted {name}: give its own map"
            )
        if thresholds and rule.low is not None and probabilities is None:
            raise MaskError(
                f"{mask.path}: class {name} has thresholds low and high, but no probabilities are given; keep them "
                "with infer.probabilities and add --probabilities"
            )
    if probabilities is None:
        for name, rule in rules.items():
            yield from _of_class(mask, name, rule, None)
        return
    with Probabilities.open(probabilities) as shares:
        if shares.names != mask.names:
            raise MaskError(
                f"{shares.path}: classes are {', '.join(shares.names)}, those of {mask.path} are "
                f"{', '.join(mask.names)}: wanted those of one prediction"
            )
        mask.check_same_slide(shares.grid)
        for name, rule in rules.items():
            yield from _of_class(mask, name, rule, _ClassWeights(shares, mask.grid, mask.names.index(name)))


def _of_class(
    mask: Mask, name: str, rule: ObjectSettings, weights: _ClassWeights | None
) -> Iterator[FoundObject]:
    grid = mask.grid
    ruled = weights is not None and rule.low is not None and rule.high is not None
    low, high = (_on_disk(rule.low), _on_disk(rule.high)) if ruled else (0, 0)
    candidates = Candidates(
        mask, mask.names.index(name) + 1, rule.close_um / 2 / grid.spacing, weights if ruled else None, low
    )
    found = (
        _object(name, rule, one, grid, weights is not None)
        for one in outlines(candidates, Tracing(), weights)
        if one.region.highest >= high
    )
    large = [one for one in found if one.area_um2 >= rule.min_area_um2]
    kept = _outermost(large) if rule.fill_holes else large
    logger.info("%s: %d objects of class %s", mask.path, len(kept), name)
    yield from kept


def _on_disk(share: float | None) -> int:
    """The least uint8 that stands for at least this probability."""
    return int(np.ceil((share or 0.0) * 255 - 1e-9))


def _object(name: str, rule: ObjectSettings, one: Outline, grid: RasterGrid, weighed: bool) -> FoundObject:
    polygon = Polygon(one.polygon.exterior) if rule.fill_holes else one.polygon
    area = polygon.area / (grid.step_x * grid.step_y) * grid.spacing**2
    middle = shapely.get_coordinates(polygon.centroid)[0]
    mean = one.region.total / one.region.pixels / 255 if weighed else nan
    return FoundObject(name, polygon, (float(middle[0]), float(middle[1])), area, mean)


def _outermost(objects: list[FoundObject]) -> list[FoundObject]:
    """Without those that lie in the filled hole of another."""
    shapes = np.array([one.polygon for one in objects], dtype=object)
    if not shapes.size:
        return objects
    outer, inner = shapely.STRtree(shapes).query(shapes, predicate="covers")
    areas = shapely.area(shapes)
    hidden = set(inner[areas[outer] > areas[inner]].tolist())
    return [one for place, one in enumerate(objects) if place not in hidden]


def write_objects(path: str | Path, objects: Iterable[FoundObject], mask: Mask) -> int:
    """Write objects as GeoJSON for QuPath, each with its measurements; how many."""
    return write_geojson(path, (_feature(one, mask) for one in objects), own={"objects": 1})


def _feature(one: FoundObject, mask: Mask) -> Json:
    value = mask.names.index(one.name) + 1
    left, top, right, bottom = map(int, one.polygon.bounds)
    region = Region(value, round(one.area_um2), (left, top, right, bottom), one.centroid)
    told = feature(Outline(region, one.polygon), one.name, mask.palette[value])
    own = {"centroid": list(one.centroid), "area_um2": one.area_um2}
    measured = {"Area µm^2": one.area_um2}
    if one.probability == one.probability:
        own["probability"] = one.probability
        measured["Mean probability"] = one.probability
    told["properties"] |= {"measurements": measured, "hooknet": own}
    return told


def read_objects(path: str | Path) -> list[FoundObject]:
    """The objects that :func:`write_objects` wrote; AnnotationError for any other file."""
    features, top = read_features(path)
    if "objects" not in top:
        raise AnnotationError(f"{path}: not objects as detect-objects writes them; make it again")
    found = []
    for number, one in enumerate(features, start=1):
        try:
            (shape,) = one.shapes
            x, y = one.own["centroid"]
            found.append(
                FoundObject(
                    shape.groups[0], Polygon(shape.points, shape.holes), (float(x), float(y)),
                    float(one.own["area_um2"]), float(one.own.get("probability", nan)),
                )
            )  # fmt: skip
        except (KeyError, ValueError, TypeError) as error:
            raise AnnotationError(
                f"{path}: object {number}: lacks {error}; make the file again with detect-objects"
            ) from None
    return found
