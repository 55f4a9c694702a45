"""Writing ASAP XML: polygons in groups, one annotation a line as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from hooknet.io.atomic import atomic


@dataclass(frozen=True)
class Drawn:
    """One polygon of a group: its corners (N, 2) of (x, y) in level-0 px, not closed."""

    name: str
    group: str
    points: NDArray[np.float64]


def write_asap(path: str | Path, drawn: Iterable[Drawn], colours: Mapping[str, tuple[int, int, int]]) -> int:
    """Write polygons, atomically; how many were written.  ``colours``: of each group, also of one without polygons.

    ASAP has no holes: what lies in a polygon is a polygon of another group.
    """
    told = {group: quoteattr("#" + bytes(colour).hex().upper()) for group, colour in colours.items()}
    count = 0
    with atomic(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>\n')
        for one in drawn:
            file.write(
                f'<Annotation Name={quoteattr(one.name)} Type="Polygon" PartOfGroup={quoteattr(one.group)} '
                f"Color={told[one.group]}><Coordinates>{_coordinates(one.points)}</Coordinates></Annotation>\n"
            )
            count += 1
        file.write("</Annotations>\n<AnnotationGroups>\n")
        for group, colour in told.items():
            file.write(
                f'<Group Name={quoteattr(group)} PartOfGroup="None" Color={colour}><Attributes/></Group>\n'
            )
        file.write("</AnnotationGroups>\n</ASAP_Annotations>\n")
    return count


def _coordinates(points: NDArray[np.float64]) -> str:
    return "".join(
        f'<Coordinate Order="{place}" X="{x!r}" Y="{y!r}"/>' for place, (x, y) in enumerate(points.tolist())
    )
