"""From regions to a label mask on disk, block by block.

A pixel takes the value of the last region painted whose inside holds the pixel's centre.  A centre exactly
on an edge belongs to the region on the edge's right (below a horizontal one), so regions that share an edge
share no pixel and leave no gap.  (GDAL's polygon fill has the opposite rule in x, and on horizontal edges one
that depends on the direction of drawing.)  Edges are cut with the rows in raster px of the whole slide, the
same numbers in whatever block, so a mask does not depend on how it was cut into blocks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid, blocks
from hooknet.errors import MaskError
from hooknet.groundtruth.geometries import CleanedAnnotations, Region
from hooknet.io.masks import create_mask
from hooknet.io.rasters import Labels, open_raster
from hooknet.labels import NOT_ANNOTATED, LabelMap

BLOCK = 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Block:
    """A block of the raster: column, row, width, height in raster px."""

    column: int
    row: int
    width: int
    height: int


def rasterise(
    cleaned: CleanedAnnotations, grid: RasterGrid, label_map: LabelMap, path: str | Path, block: int = BLOCK
) -> dict[int, int]:
    """Paint the regions of a slide into a label mask; how many px each class 1..K has got.

    With regions of interest, px outside all of them are 0, and px inside that nothing painted (a hole does
    paint) are ``label_map.region_default``.  Class shapes of which no px is left are counted in a warning.
    """
    painter = _Painter(cleaned, grid, label_map)
    with create_mask(path, grid, label_map.names, label_map.palette()) as writer:
        for place in blocks(grid.width, grid.height, block):
            labels = painter.paint(_Block(*place))
            if labels is not None:
                writer.write(place[0], place[1], labels)
    pixels = {value: int(painter.pixels[value]) for value in range(1, len(label_map) + 1)}
    _report(path, pixels, label_map)
    painter.warn(path)
    return pixels


class _Painter:
    """The regions of a slide in raster px, and what has become of each so far."""

    def __init__(self, cleaned: CleanedAnnotations, grid: RasterGrid, label_map: LabelMap) -> None:
        step = np.array([grid.step_x, grid.step_y])
        self.regions = cleaned.painted
        self.shapes = [_scaled(one, step) for one in self.regions]
        self.rois = [_scaled(one, step) for one in cleaned.regions_of_interest]
        self.tree = shapely.STRtree(self.shapes)
        self.roi_tree = shapely.STRtree(self.rois)
        self.default = label_map.region_default if self.rois else NOT_ANNOTATED
        self.values = np.array([one.value for one in self.regions], dtype=np.uint8)
        self.pixels = np.zeros(256, dtype=np.int64)
        self.covered = np.zeros(len(self.regions), dtype=np.int64)
        self.left = np.zeros(len(self.regions), dtype=np.int64)

    def paint(self, block: _Block) -> Labels | None:
        """Values of a block, None if no region touches it."""
        found = _touching(self.tree, block)
        inside = self._inside(block)
        if (not found.size and self.default == NOT_ANNOTATED) or inside is False:
            return None
        # 0: outside the regions of interest; 1: painted by nothing; from 2 on: the regions found.
        owner = np.ones((block.height, block.width), dtype=np.intp)
        for number, region in enumerate(found, start=2):
            self.covered[region] += fill(self.shapes[region], owner, block.column, block.row, number)
        if inside is not True:
            owner[~inside] = 0
        left = np.bincount(owner.ravel(), minlength=found.size + 2)
        self.left[found] += left[2:]
        values = np.array([NOT_ANNOTATED, self.default, *self.values[found]], dtype=np.uint8)
        np.add.at(self.pixels, values, left)
        return values[owner]

    def _inside(self, block: _Block) -> NDArray[np.bool_] | bool:
        """Which px lie in a region of interest; True or False when all or none do."""
        if not self.rois:
            return True
        found = _touching(self.roi_tree, block)
        if not found.size:
            return False
        inside = np.zeros((block.height, block.width), dtype=np.intp)
        for roi in found:
            fill(self.rois[roi], inside, block.column, block.row, 1)
        return inside.astype(np.bool_)

    def warn(self, path: str | Path) -> None:
        """Say how many class shapes left no trace."""
        drawn = np.array([one.role == "class" for one in self.regions], dtype=np.bool_)
        lost = np.flatnonzero(drawn & (self.left == 0))
        if lost.size:
            small = int(np.count_nonzero(self.covered[lost] == 0))
            first = self.regions[lost[0]]
            logger.warning(
                "%s: %d of %d class shapes have no pixel left: %d cover no pixel centre on the slide (or lie "
                "outside the regions of interest), %d are painted over or outside them; the first is shape "
                "%d (group %r)",
                path, lost.size, int(drawn.sum()), small, lost.size - small, first.index + 1, first.group,
            )  # fmt: skip


def _scaled(region: Region, step: NDArray[np.float64]) -> shapely.Geometry:
    scaled: shapely.Geometry = shapely.transform(region.geometry, lambda points: points / step)
    return scaled


def _touching(tree: shapely.STRtree, block: _Block) -> NDArray[np.intp]:
    """Regions whose bounds touch a block, in painting order."""
    box = shapely.box(block.column, block.row, block.column + block.width, block.row + block.height)
    return np.sort(tree.query(box))


def fill(geometry: shapely.Geometry, into: NDArray[np.intp], column: int, row: int, value: int) -> int:
    """Put ``value`` where px centres lie in a valid (multi)polygon; how many px that were.

    ``geometry`` is in raster px; ``into`` (height, width) starts at ``column`` and ``row``.
    """
    height, width = into.shape
    rows, starts, ends = _runs(geometry, row, row + height)
    starts, ends = np.clip(starts - column, 0, width), np.clip(ends - column, 0, width)
    kept = ends > starts
    rows, starts, ends = rows[kept] - row, starts[kept], ends[kept]
    if not rows.size:
        return 0
    top, left = int(rows.min()), int(starts.min())
    target = into[top : int(rows.max()) + 1, left : int(ends.max())]
    # +1 where a run starts, -1 behind its end: the running sum is 1 inside.
    change = np.zeros((target.shape[0], target.shape[1] + 1), dtype=np.int8)
    np.add.at(change, (rows - top, starts - left), 1)
    np.add.at(change, (rows - top, ends - left), -1)
    target[np.cumsum(change[:, :-1], axis=1, dtype=np.int8).view(np.bool_)] = value
    return int((ends - starts).sum())


def _runs(
    geometry: shapely.Geometry, first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, first column and one-past-last column of the px whose centres lie inside, in rows first..last-1.

    Each edge is cut with the centre lines of the rows it spans, upper end included, lower excluded; sorted
    along a row, the cuts enter and leave in turns.
    """
    x1, y1, x2, y2 = _edges(geometry)
    begin = np.clip(np.ceil(y1 - 0.5), first, last).astype(np.int64)
    count = np.clip(np.ceil(y2 - 0.5), first, last).astype(np.int64) - begin
    crossing = np.flatnonzero(count)
    edge = np.repeat(crossing, count[crossing])
    ended = np.cumsum(count[crossing])
    rows = begin[edge] + np.arange(edge.size) - np.repeat(ended - count[crossing], count[crossing])
    x = (rows + 0.5 - y1[edge]) * (x2[edge] - x1[edge]) / (y2[edge] - y1[edge]) + x1[edge]
    order = np.lexsort((x, rows))
    columns = np.ceil(x[order] - 0.5).astype(np.int64)
    return rows[order][::2], columns[::2], columns[1::2]


def _edges(geometry: shapely.Geometry) -> tuple[NDArray[np.float64], ...]:
    """X and y of the upper (small y) and of the lower end of every edge."""
    points, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(geometry)), return_index=True)
    same = ring[1:] == ring[:-1]
    start, end = points[:-1][same], points[1:][same]
    # Always from the upper end: two regions cut the edge that they share at the very same place.
    up = (start[:, 1] > end[:, 1])[:, None]
    upper, lower = np.where(up, end, start), np.where(up, start, end)
    return upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]


def rasterise_raster(
    raster_path: str | Path,
    slide_size: tuple[int, int],
    grid: RasterGrid,
    label_map: LabelMap,
    path: str | Path,
) -> dict[int, int]:
    """Copy someone's own label raster into a label mask; how many px each class 1..K has got.

    Each px takes the value under its centre.  MaskError for a raster that does not cover the slide, and for
    values that no class has.
    """
    pixels = np.zeros(256, dtype=np.int64)
    names = label_map.names
    with (
        open_raster(raster_path, slide_size) as raster,
        create_mask(path, grid, names, label_map.palette()) as writer,
    ):
        for column, row, width, height in blocks(grid.width, grid.height, BLOCK):
            labels = raster.read_as(grid, column, row, width, height)
            pixels += np.bincount(labels.ravel(), minlength=256)
            if not pixels[len(names) + 1 :].any():
                writer.write(column, row, labels)
        if pixels[len(names) + 1 :].any():
            found = ", ".join(map(str, np.flatnonzero(pixels)))
            wanted = ", ".join(f"{value} {name}" for value, name in enumerate(names, start=1))
            raise MaskError(f"{raster_path}: found values {found}, wanted 0 (not annotated), {wanted}")
    counted = {value: int(pixels[value]) for value in range(1, len(names) + 1)}
    _report(path, counted, label_map)
    return counted


def _report(path: str | Path, pixels: dict[int, int], label_map: LabelMap) -> None:
    found = ", ".join(f"{one.name} {pixels[one.value]}" for one in label_map.classes)
    logger.info("%s: annotated pixels: %s", path, found)
    if not any(pixels.values()):
        logger.warning("%s: no pixel of any class is annotated", path)
