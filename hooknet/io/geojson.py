"""QuPath GeoJSON: reading annotations, and writing features that QuPath opens.

Accepted at the top: a FeatureCollection, a Feature, a geometry or GeometryCollection, or a list of any of
these.  A derived class of QuPath ("Tumor: Positive") counts as part of the one it is derived from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any, NoReturn

import shapely
from shapely.geometry import MultiPolygon, Polygon

from hooknet.errors import AnnotationError
from hooknet.io.atomic import atomic
from hooknet.io.drawings import (
    NO_GROUP,
    WANTED_PLACE,
    Kind,
    Point,
    Ring,
    Shape,
    opened,
    read_text,
    too_far,
)

Json = dict[str, Any]
OWN_KEY = "hooknet"
_PARTS = {"MultiPolygon": "Polygon", "MultiLineString": "LineString"}


@dataclass(frozen=True)
class Feature:
    """One feature as read: its shapes (a MultiPolygon has several), and what this package wrote beside them."""

    shapes: tuple[Shape, ...]
    own: Mapping[str, Any] = field(default_factory=dict)


def read_geojson(path: str | Path) -> tuple[Shape, ...]:
    """The shapes of a QuPath GeoJSON file in document order, level-0 px, rings not closed; empty if none.

    AnnotationError (file, feature, found, wanted) for JSON that is malformed or not GeoJSON, rings of fewer
    than 3 points, and coordinates that are not finite numbers.
    """
    return tuple(shape for feature in read_features(path)[0] for shape in feature.shapes)


def read_features(path: str | Path) -> tuple[list[Feature], Mapping[str, Any]]:
    """The features of a GeoJSON file, and what this package wrote at its top (empty for other files)."""
    path = Path(path)
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: malformed JSON ({error})") from error
    try:
        features = list(_features(path, content))
        read = [_feature(_Place(path, index), one) for index, one in enumerate(features)]
    except RecursionError as error:
        raise AnnotationError(f"{path}: nested too deep to be GeoJSON") from error
    own = content.get(OWN_KEY) if isinstance(content, dict) else None
    return read, own if isinstance(own, dict) else {}


@dataclass(frozen=True)
class _Place:
    """Which feature an error is about."""

    path: Path
    index: int
    name: str = ""

    def fail(self, problem: str) -> NoReturn:
        named = f" {self.name!r}" if self.name else ""
        raise AnnotationError(f"{self.path}: feature {self.index + 1}{named}: {problem}")


def _features(path: Path, content: object) -> Iterator[Json]:
    """Every feature or bare geometry below the top."""
    if isinstance(content, list):
        for one in content:
            yield from _features(path, one)
    elif isinstance(content, dict) and content.get("type") == "FeatureCollection":
        members = content.get("features")
        if not isinstance(members, list):
            raise AnnotationError(f"{path}: found a FeatureCollection without a list of features")
        yield from _features(path, members)
    elif isinstance(content, dict) and content.get("type") == "Feature":
        yield content
    elif isinstance(content, dict) and ("coordinates" in content or "geometries" in content):
        yield {"geometry": content}
    else:
        found = content.get("type") if isinstance(content, dict) else type(content).__name__
        raise AnnotationError(f"{path}: found {found!r}, wanted GeoJSON features or geometries")


def _feature(place: _Place, feature: Json) -> Feature:
    properties = feature.get("properties") or {}
    geometry = feature.get("geometry")
    if not isinstance(properties, dict):
        place.fail("found properties that are no object")
    name = str(properties.get("name") or feature.get("id") or "")
    place = _Place(place.path, place.index, name)
    groups = _groups(place, properties.get("classification"))
    shapes = tuple(
        Shape(name, kind, groups, points, holes, place.index)
        for kind, points, holes in _geometries(place, geometry)
    )
    own = properties.get(OWN_KEY)
    return Feature(shapes, own if isinstance(own, dict) else {})


def _groups(place: _Place, classification: object) -> tuple[str, ...]:
    """The class name, then those it is derived from."""
    if isinstance(classification, dict):
        names = classification.get("names")
        if names is not None and not (isinstance(names, list) and all(isinstance(one, str) for one in names)):
            place.fail(f"found classification names {str(names)[:60]!r}, wanted a list of names")
        classification = classification.get("name") or (": ".join(names) if names else None)
    if classification is None:
        return (NO_GROUP,)
    if not isinstance(classification, str):
        place.fail(f"found classification {classification!r}, wanted a name")
    parts = classification.split(": ")
    return tuple(": ".join(parts[:length]) for length in range(len(parts), 0, -1))


def _geometries(place: _Place, geometry: object) -> Iterator[tuple[Kind, Ring, tuple[Ring, ...]]]:
    """Kind, points and holes of each part of a geometry."""
    if not isinstance(geometry, dict):
        place.fail("found no geometry, wanted one for every feature")
    kind = geometry.get("type")
    if not isinstance(kind, str):
        place.fail(f"found geometry {str(kind)[:60]!r}, wanted Polygon, MultiPolygon, points or lines")
    if kind == "GeometryCollection":
        for one in _listed(place, geometry.get("geometries")):
            yield from _geometries(place, one)
        return
    coordinates = _listed(place, geometry.get("coordinates"))
    if kind in _PARTS:
        for one in coordinates:
            yield from _geometries(place, {"type": _PARTS[kind], "coordinates": one})
    elif kind == "Polygon":
        rings = [_ring(place, ring) for ring in coordinates]
        if not rings:
            place.fail("found a Polygon without rings, wanted at least one")
        yield "polygon", rings[0], tuple(rings[1:])
    elif kind == "Point":
        yield "point", (_point(place, coordinates),), ()
    elif kind in ("MultiPoint", "LineString"):
        found: Kind = "point" if kind == "MultiPoint" else "line"
        yield found, tuple(_point(place, one) for one in coordinates), ()
    else:
        place.fail(f"found geometry {kind!r}, wanted Polygon, MultiPolygon, points or lines")


def _listed(place: _Place, value: object) -> list[Any]:
    if not isinstance(value, list):
        place.fail(f"found {type(value).__name__} in the place of coordinates, wanted a list")
    return value


def _ring(place: _Place, ring: object) -> Ring:
    points = opened([_point(place, one) for one in _listed(place, ring)])
    if len(points) < 3:
        place.fail(f"found a ring of {len(points)} different points, wanted at least 3")
    return points


def _point(place: _Place, point: object) -> Point:
    pair = _listed(place, point)[:2]
    try:
        x, y = (float(one) for one in pair if isinstance(one, int | float) and not isinstance(one, bool))
    except (ValueError, OverflowError):
        x = y = nan
    if not (isfinite(x) and isfinite(y)):
        place.fail(f"found coordinates {str(point)[:60]}, wanted two finite numbers")
    if too_far((x, y)):
        place.fail(f"found coordinates {x:g}, {y:g}, {WANTED_PLACE}")
    return x, y


def polygon_feature(
    geometry: Polygon | MultiPolygon,
    name: str,
    rgb: tuple[int, int, int],
    own: Mapping[str, Any] | None = None,
) -> Json:
    """A GeoJSON feature that QuPath shows as an annotation of class ``name``; ``own`` is kept for ourselves.

    Rings are closed, and a MultiPolygon of one part is written as a Polygon.
    """
    parts = [_rings(part) for part in shapely.get_parts(geometry)]
    kind = "Polygon" if len(parts) == 1 else "MultiPolygon"
    properties: Json = {
        "objectType": "annotation",
        "isLocked": False,
        "classification": {"name": name, "color": list(rgb)},
    }
    if own is not None:
        properties[OWN_KEY] = dict(own)
    coordinates = parts[0] if len(parts) == 1 else parts
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    return [shapely.get_coordinates(ring).tolist() for ring in (polygon.exterior, *polygon.interiors)]


def write_geojson(path: str | Path, features: Iterable[Json], own: Mapping[str, Any] | None = None) -> int:
    """Write a FeatureCollection, atomically, one feature a line as they come; how many were written."""
    count = 0
    with atomic(path) as partial, partial.open("w", encoding="utf-8") as file:
        head: Json = {"type": "FeatureCollection"}
        if own is not None:
            head[OWN_KEY] = dict(own)
        file.write(json.dumps(head, allow_nan=False)[:-1] + ', "features": [')
        for one in features:
            file.write((",\n" if count else "\n") + json.dumps(one, allow_nan=False))
            count += 1
        file.write("\n]}\n")
    return count
