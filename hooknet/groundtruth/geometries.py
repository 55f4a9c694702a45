"""From drawn shapes to regions: what each one means, repaired, and in the order in which they are painted."""

from __future__ import annotations

import difflib
import heapq
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon

from hooknet.errors import AnnotationError
from hooknet.groundtruth.repair import MOST_CROSSINGS, crossings, repaired
from hooknet.io.annotations import Shape
from hooknet.io.geojson import Json, polygon_feature, read_features, write_geojson
from hooknet.labels import NOT_ANNOTATED, LabelMap

Role = Literal["class", "hole", "roi"]
NOT_PAINTED = -1
MOST_VALUES = 254  # of classes in one mask
# How holes and regions of interest look in QuPath: white, grey.
OTHER_COLOURS: Mapping[str, tuple[int, int, int]] = {"hole": (255, 255, 255), "roi": (128, 128, 128)}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Region:
    """A valid geometry in level-0 px of the slide, and what it means.

    ``value``: the class, 0 for holes and regions of interest.  ``order``: its place in the painting, -1 for
    regions of interest, which are not painted.  ``index``: its shape's place in the annotation file.
    """

    geometry: Polygon | MultiPolygon
    value: int
    role: Role
    group: str
    order: int
    index: int


@dataclass(frozen=True)
class CleanedAnnotations:
    """The regions of a slide, regions of interest first, then in painting order; what happened to the others.

    ``counts``: "shapes" in the file; "regions" kept; "repaired" self-intersections; "without_area" dropped;
    "partly_outside" the slide (kept whole); "not_a_region:<kind>" points and lines; "ignored:<group>".
    ``offset``: what was added to the coordinates of the file.
    """

    regions: tuple[Region, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def painted(self) -> tuple[Region, ...]:
        """Classes and holes, first painted first."""
        return tuple(one for one in self.regions if one.role != "roi")

    @property
    def regions_of_interest(self) -> tuple[Region, ...]:
        """What the annotator looked at; none means no limit."""
        return tuple(one for one in self.regions if one.role == "roi")


def clean(
    shapes: Sequence[Shape],
    label_map: LabelMap,
    slide_size: tuple[int, int],
    offset: tuple[float, float] = (0.0, 0.0),
    source: str = "annotations",
) -> CleanedAnnotations:
    """The regions that the shapes mean, repaired and in painting order.

    A shape's meaning is that of the first of its groups, its own first, that the label map knows.  Painting
    goes by the order of the classes (``hole_order`` for holes), then document order, but a shape that lies
    in a larger one always comes after it; a hole paints 0, so an island in a hole survives.
    Self-intersections are filled by the non-zero rule, as ASAP fills them.  ``offset`` is added to the
    coordinates (OpenSlide's bounds, where they count from those).  ``source`` stands in messages.
    AnnotationError for groups the label map does not know, and for shapes that lie outside the slide.
    """
    counts: Counter[str] = Counter(shapes=len(shapes))
    known = _known(shapes, label_map, source, counts)
    regions: list[Region] = []
    for shape, group in known:
        geometry = _geometry(shape, offset, source, counts)
        if geometry is None:
            continue
        _check_inside(geometry, shape, slide_size, source, counts)
        regions.append(_region(geometry, group, shape.index, label_map))
    counts["regions"] = len(regions)
    logger.info("%s: %s", source, ", ".join(f"{name} {count}" for name, count in counts.items()))
    rois = [one for one in regions if one.role == "roi"]
    return CleanedAnnotations((*rois, *_in_painting_order(regions, label_map)), dict(counts), offset)


def _known(
    shapes: Sequence[Shape], label_map: LabelMap, source: str, counts: Counter[str]
) -> list[tuple[Shape, str]]:
    """The shapes that are regions, each with the group that gives it its meaning."""
    known: list[tuple[Shape, str]] = []
    unknown: Counter[str] = Counter()
    for shape in shapes:
        group = next((one for one in shape.groups if label_map.knows(one)), None)
        if shape.kind != "polygon":
            counts[f"not_a_region:{shape.kind}"] += 1
        elif group is None:
            unknown[shape.groups[0]] += 1
        elif group in label_map.ignore_groups:
            counts[f"ignored:{group}"] += 1
        else:
            known.append((shape, group))
    if unknown:
        _refuse(unknown, label_map, source)
    return known


def _refuse(unknown: Counter[str], label_map: LabelMap, source: str) -> None:
    """Say which groups mean nothing, and what could be meant."""
    found = []
    for group, count in sorted(unknown.items()):
        folded = {one.strip().casefold(): one for one in label_map.groups}
        near = difflib.get_close_matches(group.strip().casefold(), folded, n=1)
        hint = f", perhaps {folded[near[0]]!r}" if near else ""
        found.append(f"{group!r} ({count} shape{'s' * (count != 1)}{hint})")
    raise AnnotationError(
        f"{source}: unknown annotation groups {', '.join(found)}; the label map knows "
        f"{', '.join(map(repr, label_map.groups))}; give them to a class or list them in ignore_groups"
    )


def _geometry(
    shape: Shape, offset: tuple[float, float], source: str, counts: Counter[str]
) -> Polygon | MultiPolygon | None:
    """The valid geometry of a shape, None when no area is left of it."""
    drawn = Polygon(shape.points, shape.holes)
    moved = drawn if offset == (0.0, 0.0) else translate(drawn, *offset)
    geometry: Polygon | MultiPolygon = moved
    if not moved.is_valid:
        parts = _repaired_or_refused(moved, shape, source)
        if parts:
            counts["repaired"] += 1
            logger.info("shape %d %r: self-intersection repaired", shape.index + 1, shape.name)
        geometry = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    if not geometry.area > 0:
        counts["without_area"] += 1
        logger.warning("shape %d %r: has no area, dropped", shape.index + 1, shape.name)
        return None
    return geometry


def _repaired_or_refused(drawn: Polygon, shape: Shape, source: str) -> list[Polygon]:
    """The valid parts of a shape; AnnotationError where it is a tangle."""
    found = crossings(drawn)
    if found > MOST_CROSSINGS:
        raise AnnotationError(
            f"{source}: shape {shape.index + 1} {shape.name!r} crosses itself about {found:.1g} times, wanted at most "
            f"{MOST_CROSSINGS}; draw it again"
        )
    return repaired(drawn)


def _check_inside(
    geometry: Polygon | MultiPolygon,
    shape: Shape,
    slide_size: tuple[int, int],
    source: str,
    counts: Counter[str],
) -> None:
    """Count a geometry that reaches beyond the slide, refuse one that lies beyond it."""
    left, top, right, bottom = geometry.bounds
    width, height = slide_size
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return
    slide = shapely.box(0, 0, width, height)
    if not geometry.intersects(slide) or geometry.touches(slide):
        raise AnnotationError(
            f"{source}: shape {shape.index + 1} {shape.name!r} spans x {left:g} to {right:g}, y {top:g} to "
            f"{bottom:g}, wanted level-0 px of a slide of {width} x {height}; another slide's annotations, "
            "or the wrong origin or units?"
        )
    counts["partly_outside"] += 1


def _region(geometry: Polygon | MultiPolygon, group: str, index: int, label_map: LabelMap) -> Region:
    one = label_map.class_of(group)
    if one is not None:
        return Region(geometry, one.value, "class", group, NOT_PAINTED, index)
    role: Role = "hole" if group in label_map.hole_groups else "roi"
    return Region(geometry, NOT_ANNOTATED, role, group, NOT_PAINTED, index)


def _in_painting_order(regions: Iterable[Region], label_map: LabelMap) -> list[Region]:
    """The painted regions by (order of the class, place in the file), containers before what they contain."""
    painted = [one for one in regions if one.role != "roi"]
    ranks = [_rank(one, label_map) for one in painted]
    containers, contained = _containment([one.geometry for one in painted])
    inside: list[list[int]] = [[] for _ in painted]
    waiting = np.bincount(contained, minlength=len(painted)).tolist()
    for outer, inner in zip(containers.tolist(), contained.tolist(), strict=True):
        inside[outer].append(inner)
    ready = [(ranks[place], place) for place, count in enumerate(waiting) if count == 0]
    heapq.heapify(ready)
    ordered: list[Region] = []
    while ready:
        _, place = heapq.heappop(ready)
        ordered.append(replace(painted[place], order=len(ordered)))
        for inner in inside[place]:
            waiting[inner] -= 1
            if waiting[inner] == 0:
                heapq.heappush(ready, (ranks[inner], inner))
    return ordered


def _rank(region: Region, label_map: LabelMap) -> int:
    one = label_map.class_of(region.group)
    return label_map.hole_order if one is None else one.order


def _containment(
    geometries: Sequence[Polygon | MultiPolygon],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Index pairs (container, contained): covered, and of strictly smaller area."""
    array = np.array(geometries, dtype=object)
    areas = shapely.area(array)
    outer, inner = shapely.STRtree(array).query(array, predicate="covers")
    larger = areas[outer] > areas[inner]
    return outer[larger], inner[larger]


def to_geojson(cleaned: CleanedAnnotations, path: str | Path, label_map: LabelMap) -> None:
    """Write the regions so that QuPath shows them in place and :func:`from_geojson` gives them back.

    Coordinates count from where those of the annotation file did: without ``cleaned.offset``.
    """
    back = (-cleaned.offset[0], -cleaned.offset[1])
    features = (_feature(_moved(one, back), label_map) for one in cleaned.regions)
    write_geojson(path, features, own={"counts": dict(cleaned.counts), "offset": list(cleaned.offset)})


def _moved(region: Region, offset: tuple[float, float]) -> Region:
    return region if offset == (0, 0) else replace(region, geometry=translate(region.geometry, *offset))


def _feature(region: Region, label_map: LabelMap) -> Json:
    own = {
        "value": region.value,
        "role": region.role,
        "group": region.group,
        "order": region.order,
        "index": region.index,
    }
    one = label_map.class_of(region.group)
    name, rgb = (one.name, one.rgb) if one is not None else (region.role, OTHER_COLOURS[region.role])
    return polygon_feature(region.geometry, name, rgb, own)


def from_geojson(path: str | Path) -> CleanedAnnotations:
    """The regions that :func:`to_geojson` wrote, in level-0 px of the slide; AnnotationError for any other GeoJSON."""
    features, own = read_features(path)
    try:
        x, y = own["offset"]
        offset = (float(x), float(y))
        if not all(map(isfinite, offset)):
            raise ValueError(f"a finite offset in {offset}")
        regions = tuple(_moved(_read_region(one.shapes, one.own), offset) for one in features)
        counts = {str(name): int(count) for name, count in own["counts"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnnotationError(
            f"{path}: lacks {error}; wanted GeoJSON of cleaned annotations as this package writes it"
        ) from error
    return CleanedAnnotations(regions, counts, offset)


def _read_region(shapes: tuple[Shape, ...], own: Mapping[str, object]) -> Region:
    if not shapes or any(one.kind != "polygon" for one in shapes):
        raise ValueError("a polygon in every feature")
    parts = [Polygon(one.points, one.holes) for one in shapes]
    role, value = own["role"], int(str(own["value"]))
    if role not in ("class", "hole", "roi"):
        raise ValueError(f"a role in {role!r}")
    if not NOT_ANNOTATED <= value <= MOST_VALUES:
        raise ValueError(f"a class in value {value}")
    return Region(
        geometry=parts[0] if len(parts) == 1 else MultiPolygon(parts),
        value=value,
        role=role,
        group=str(own["group"]),
        order=int(str(own["order"])),
        index=int(str(own["index"])),
    )
