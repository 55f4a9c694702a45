"""ASAP XML annotations.

What ASAP itself does (XmlRepository): the root tag is optional, a point's place is its ``Order``, groups
nest through ``PartOfGroup``, and "None" is no group.  Splines are taken as straight lines between their points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hooknet.errors import AnnotationError
from hooknet.io.drawings import (
    NO_GROUP,
    WANTED_PLACE,
    Kind,
    Point,
    Shape,
    number,
    opened,
    read_text,
    too_far,
)

KINDS: dict[str, Kind] = {
    "Polygon": "polygon",
    "Spline": "polygon",
    "Rectangle": "polygon",
    "Dot": "point",
    "PointSet": "point",
    "Measurement": "line",
    "None": "none",
}
_JUNK_AFTER_ROOT = 9  # expat's number of the error
_DECLARATION = re.compile(r"^\s*<\?xml.*?\?>", re.DOTALL)


def read_asap(path: str | Path) -> tuple[Shape, ...]:
    """The shapes of an ASAP XML file in document order, level-0 px; empty if it has none.

    AnnotationError (file, annotation, found, wanted) for XML that is malformed or holds a document type or
    entities, an unknown type, a region of fewer than 3 points, ``Order`` or coordinates that are missing,
    repeated or not numbers, and groups that contain themselves.
    """
    path = Path(path)
    root = _root(path)
    elements = list(root.iter("Annotation"))
    if (
        not elements
        and root.find("Annotations") is None
        and root.tag not in ("ASAP_Annotations", "Annotations")
    ):
        raise AnnotationError(f"{path}: found root <{root.tag}>, wanted <ASAP_Annotations>: not an ASAP file")
    parents = _parents(path, root)
    return tuple(
        _shape(_Place(path, element.get("Name", ""), index, len(elements)), element, parents)
        for index, element in enumerate(elements)
    )


@dataclass(frozen=True)
class _Place:
    """Which annotation an error is about."""

    path: Path
    name: str
    index: int
    count: int

    def fail(self, problem: str) -> NoReturn:
        where = f"annotation {self.name!r} ({self.index + 1} of {self.count})"
        raise AnnotationError(f"{self.path}: {where}: {problem}")


def _root(path: Path) -> Element:
    """The root, one that we put around the file if it has several or none of its own."""
    text = read_text(path)
    try:
        try:
            return fromstring(text, forbid_dtd=True)
        except ParseError as error:
            if error.code != _JUNK_AFTER_ROOT:
                raise
            bare = _DECLARATION.sub("", text, count=1)
            return fromstring(f"<ASAP_Annotations>{bare}</ASAP_Annotations>", forbid_dtd=True)
    except ParseError as error:
        raise AnnotationError(f"{path}: malformed XML ({error})") from error
    except DefusedXmlException as error:
        raise AnnotationError(
            f"{path}: found a document type or entities, wanted plain ASAP XML: refused as unsafe"
        ) from error


def _parents(path: Path, root: Element) -> dict[str, str]:
    """Group -> the group it is part of."""
    parents: dict[str, str] = {}
    for element in root.iter("Group"):
        name, parent = element.get("Name"), element.get("PartOfGroup", NO_GROUP)
        if not name:
            raise AnnotationError(f"{path}: found a group without Name, wanted one for every group")
        if parents.setdefault(name, parent) != parent:
            raise AnnotationError(f"{path}: group {name!r} is part of {parents[name]!r} and of {parent!r}")
    for name in parents:
        _chain(path, name, parents)
    return parents


def _chain(path: Path, group: str, parents: dict[str, str]) -> tuple[str, ...]:
    """The group, then those it is part of."""
    chain = [group]
    while (parent := parents.get(chain[-1], NO_GROUP)) != NO_GROUP:
        if parent in chain:
            cycle = " in ".join(repr(one) for one in [*chain, parent])
            raise AnnotationError(f"{path}: groups contain themselves: {cycle}; wanted a tree")
        chain.append(parent)
    return tuple(chain)


def _shape(place: _Place, element: Element, parents: dict[str, str]) -> Shape:
    kind_name = element.get("Type")
    if kind_name not in KINDS:
        found = "no Type" if kind_name is None else f"Type {kind_name!r}"
        place.fail(f"found {found}, wanted one of {', '.join(KINDS)}")
    kind = KINDS[kind_name]
    points = opened(_points(place, element)) if kind == "polygon" else tuple(_points(place, element))
    if kind_name == "Rectangle":
        points = _rectangle(place, points)
    if len(points) < 3 and kind == "polygon":
        place.fail(f"found {len(points)} points, wanted at least 3 for a {kind_name}")
    if not points and kind == "point":
        place.fail(f"found no point, wanted at least 1 for a {kind_name}")
    group = element.get("PartOfGroup", NO_GROUP) or NO_GROUP
    return Shape(place.name, kind, _chain(place.path, group, parents), points, index=place.index)


def _points(place: _Place, element: Element) -> list[Point]:
    """The points, each at the place its ``Order`` says."""
    placed: dict[int, Point] = {}
    for coordinate in element.iter("Coordinate"):
        order = _attribute(place, coordinate, "Order")
        try:
            rank = int(order)
        except ValueError:
            place.fail(f"found Order {order!r}, wanted a whole number")
        if rank in placed:
            place.fail(f"found Order {rank} twice, wanted every point to have its own")
        point = placed[rank] = (_number(place, coordinate, "X"), _number(place, coordinate, "Y"))
        if too_far(point):
            place.fail(f"found X {point[0]:g}, Y {point[1]:g} at Order {rank}, {WANTED_PLACE}")
    ranks = sorted(placed)
    for before, after in pairwise(ranks):
        if after != before + 1:
            place.fail(f"found Order {before} and then {after}, wanted {before + 1}: a point is missing")
    return [placed[rank] for rank in ranks]


def _attribute(place: _Place, element: Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        place.fail(f"found a point without {name}, wanted Order, X and Y")
    return value


def _number(place: _Place, element: Element, name: str) -> float:
    text = _attribute(place, element, name)
    try:
        return number(text)
    except ValueError:
        place.fail(f"found {name} {text!r} at Order {element.get('Order')}, wanted a finite number")


def _rectangle(place: _Place, points: Sequence[Point]) -> tuple[Point, ...]:
    """Four corners; two opposite ones are completed."""
    if len(points) == 2:
        (left, top), (right, bottom) = points
        return ((left, top), (right, top), (right, bottom), (left, bottom))
    if len(points) != 4:
        place.fail(f"found {len(points)} points, wanted the 4 corners of a Rectangle or 2 opposite ones")
    return tuple(points)
