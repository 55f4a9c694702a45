"""Maps as annotations that QuPath and ASAP open, written as they are traced."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from shapely.affinity import translate

from hooknet.io.asap_writer import Drawn, write_asap
from hooknet.io.geojson import Json, polygon_feature, write_geojson
from hooknet.io.masks import Mask
from hooknet.objects.outlines import Outline, Tracing, outlines
from hooknet.objects.runs import Source

# Ids follow from the region, so that the same map gives the same file.
NAMESPACE = uuid.UUID("6f1d1c0e-3c58-4f0e-9a54-1b9d1f6f2d5e")
HOLE_COLOUR = (255, 255, 255)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawing:
    """How a map is drawn.

    ``tolerance_um``: how far an outline may be from the sides of the px, None for half a px.  ``min_area_um2``:
    smaller regions are left out.  ``offset``: level-0 px of the slide at which coordinates count from 0.
    ``hole_group``: the ASAP group of what is 0 inside a region.
    """

    tolerance_um: float | None = None
    min_area_um2: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)
    hole_group: str = "hole"

    def tracing(self, source: Source, background: bool = False) -> Tracing:
        """In px of a raster."""
        spacing = source.grid.spacing
        tolerance = 0.5 if self.tolerance_um is None else self.tolerance_um / spacing
        return Tracing(tolerance, self.min_area_um2 / spacing**2, background)


def export_geojson(mask: Mask, path: str | Path, drawing: Drawing) -> int:
    """Write the regions of a map as GeoJSON for QuPath; how many.

    A Feature a region: a Polygon with its holes, the class's name and colour, an id that is the same every time.
    """
    count = write_geojson(path, _features(mask, drawing))
    logger.info("%s: %d regions", path, count)
    return count


def _features(mask: Mask, drawing: Drawing) -> Iterator[Json]:
    for one in outlines(mask, drawing.tracing(mask)):
        value = one.region.value
        yield feature(one, mask.names[value - 1], mask.palette[value], drawing.offset)


def feature(
    outline: Outline, name: str, rgb: tuple[int, int, int], offset: tuple[float, float] = (0.0, 0.0)
) -> Json:
    """The GeoJSON feature of a region; ``offset`` is taken off its coordinates."""
    polygon = outline.polygon
    moved = polygon if offset == (0.0, 0.0) else translate(polygon, -offset[0], -offset[1])
    told = polygon_feature(moved, name, rgb)
    region = outline.region
    key = f"{name} {region.box} {region.pixels} {region.centroid}"
    return {"type": "Feature", "id": str(uuid.uuid5(NAMESPACE, key)), **told}


def export_asap(mask: Mask, path: str | Path, drawing: Drawing) -> int:
    """Write the regions of a map as ASAP XML; how many polygons.

    ASAP's polygons have no holes.  Each region is drawn filled, and so is what is 0 inside, in the group of holes:
    painted as this package paints (what lies in a polygon after it) that gives the map again.
    """
    colours = {name: mask.palette[value] for value, name in enumerate(mask.names, start=1)}
    colours[drawing.hole_group] = HOLE_COLOUR
    count = write_asap(path, _drawn(mask, drawing), colours)
    logger.info("%s: %d polygons", path, count)
    return count


def _drawn(mask: Mask, drawing: Drawing) -> Iterator[Drawn]:
    groups = (drawing.hole_group, *mask.names)
    for number, one in enumerate(outlines(mask, drawing.tracing(mask, background=True))):
        ring = shapely.get_coordinates(one.polygon.exterior)[:-1] - np.array(drawing.offset)
        yield Drawn(f"Annotation {number}", groups[one.region.value], ring)
