"""Sparse annotations of a phantom as a person draws them in ASAP: some regions, every kind of shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from hooknet.demo.tissue import FAT, IN_SITU, INVASIVE, LYMPHOID, SHEETS, STROMA, VESSEL, WALL, Region, World

HOLE = "hole"
GROUPS = {
    "tumour": ("None", "#64fe2e"),
    IN_SITU: ("tumour", "#f4a742"),
    INVASIVE: ("tumour", "#c1272d"),
    LYMPHOID: ("None", "#2e64fe"),
    STROMA: ("None", "#f78da7"),
    FAT: ("None", "#f4fa58"),
    HOLE: ("None", "#000000"),
}
Style = Literal["plain", "comma", "shuffled"]
Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Shape:
    """One ASAP annotation: ``kind`` Polygon, Spline, Rectangle, Dot or Measurement; (n, 2) ``points`` in µm."""

    kind: str
    group: str
    points: Points


def draw(world: World) -> list[Shape]:
    """The shapes somebody draws on a world: about two thirds of the regions, a little inside their outlines.

    Every class is there.  One in_situ is a Spline, one invasive a bow-tie that crosses itself (two lobes),
    stroma is a Rectangle with a vessel in it (group ``hole``) and arcs along sheets and the wall of a duct.
    """
    rng = world.generator("annotations")
    shapes = [_rectangle(world), *(_arc(world.of(kind)[0], rng) for kind in SHEETS)]
    for kind in (FAT, IN_SITU, INVASIVE, LYMPHOID):
        regions = world.of(kind)
        chosen = regions[: max(1, round(2 * len(regions) / 3))]
        for number, region in enumerate(chosen):
            last = number == len(chosen) - 1
            if kind == IN_SITU and last:
                shapes.append(Shape("Spline", kind, _along(region, 18, rng)))
            elif kind == INVASIVE and last:
                shapes.append(Shape("Polygon", kind, _bow_tie(region)))
            else:
                shapes.append(Shape("Polygon", kind, _along(region, 40, rng)))
    shapes += [Shape("Polygon", HOLE, vessel.outline.points(16, inset=-2.0)) for vessel in world.of(VESSEL)]
    x, y = rng.uniform(0.3, 0.7, 2) * world.size_um
    shapes.append(Shape("Dot", "None", np.array([[x, y]])))
    shapes.append(Shape("Measurement", "None", np.array([[x, y], [x + 100.0, y]])))
    return shapes


def _along(region: Region, count: int, rng: np.random.Generator) -> Points:
    """Points along an outline by an unsteady hand, 4 to 10 µm inside (less in small regions)."""
    inset = min(7.0, 0.1 * region.outline.radius)
    points = region.outline.points(count, inset=inset)
    centre = np.array([region.outline.x, region.outline.y])
    out = points - centre
    slip = rng.uniform(-0.43, 0.43, count) * inset / np.hypot(out[:, 0], out[:, 1])
    return np.asarray(centre + out * (1 + slip[:, None]))


def _bow_tie(region: Region) -> Points:
    """Two triangles that meet at the centre, drawn as one polygon whose sides cross."""
    reach = 0.78 * region.outline.radius
    corners = np.array([[-0.72, -0.66], [0.72, 0.66], [0.72, -0.66], [-0.72, 0.66]])
    return np.asarray(np.array([region.outline.x, region.outline.y]) + reach * corners)


def _rectangle(world: World) -> Shape:
    """A rectangle of stroma in the clearing around the first vessel."""
    vessel = world.of(VESSEL)[0].outline
    half = np.array([0.70, 0.60]) * vessel.radius / 0.22
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return Shape("Rectangle", STROMA, np.array([vessel.x, vessel.y]) + corners * half)


def _arc(sheet: Region, rng: np.random.Generator) -> Shape:
    """What lies around half a sheet (the wall of a duct too), from 3 µm outside its cells on: one stroma polygon."""
    outline = sheet.outline
    angle = rng.uniform(0, 2 * pi) + np.linspace(0, pi, 24)
    towards = np.column_stack([np.cos(angle), np.sin(angle)])
    inner = towards * (outline.reach(angle) + 3.0)[:, None]
    free = min(10.0, 0.05 * outline.radius)
    width = WALL + free if sheet.kind == IN_SITU else 2 * free
    outer = towards * (outline.reach(angle) + width)[:, None]
    return Shape("Polygon", STROMA, np.array([outline.x, outline.y]) + np.vstack([inner, outer[::-1]]))


def to_xml(shapes: list[Shape], spacing: float, style: Style, rng: np.random.Generator) -> str:
    """The ASAP file of some shapes on a slide of ``spacing`` µm/px: coordinates in level-0 px.

    ``style`` "comma" writes decimals as some locales do, "shuffled" writes the points of each shape in a
    random order whose ``Order`` attributes are still right.
    """
    lines = ['<?xml version="1.0"?>', "<ASAP_Annotations>", "\t<Annotations>"]
    for number, shape in enumerate(shapes):
        colour = GROUPS.get(shape.group, ("None", "#000000"))[1]
        lines.append(
            f'\t\t<Annotation Name="Annotation {number}" Type={quoteattr(shape.kind)} '
            f'PartOfGroup={quoteattr(shape.group)} Color="{colour}">'
        )
        order = np.arange(len(shape.points))
        if style == "shuffled":
            rng.shuffle(order)
        lines.append("\t\t\t<Coordinates>")
        lines += [_coordinate(int(k), shape.points[k] / spacing, style) for k in order]
        lines += ["\t\t\t</Coordinates>", "\t\t</Annotation>"]
    lines += ["\t</Annotations>", "\t<AnnotationGroups>"]
    for name, (parent, colour) in GROUPS.items():
        lines.append(f'\t\t<Group Name="{name}" PartOfGroup="{parent}" Color="{colour}">')
        lines += ["\t\t\t<Attributes />", "\t\t</Group>"]
    return "\n".join([*lines, "\t</AnnotationGroups>", "</ASAP_Annotations>", ""])


def _coordinate(order: int, point: Points, style: Style) -> str:
    x, y = (f"{value:.4f}" for value in point)
    if style == "comma":
        x, y = x.replace(".", ","), y.replace(".", ",")
    return f'\t\t\t\t<Coordinate Order="{order}" X="{x}" Y="{y}" />'
