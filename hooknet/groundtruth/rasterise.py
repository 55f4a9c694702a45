"""From regions to a label mask on disk, block by block.

A pixel takes the value of the last region painted whose inside holds the pixel's centre (see
``groundtruth.scanlines``); a mask does not depend on how it was cut into blocks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid, blocks
from hooknet.errors import MaskError
from hooknet.groundtruth.geometries import CleanedAnnotations, Region
from hooknet.groundtruth.scanlines import Runs, Scanlines
from hooknet.io.masks import create_mask
from hooknet.io.rasters import Labels, open_raster
from hooknet.labels import NOT_ANNOTATED, LabelMap

# Two tiles of a mask a side: each is written once.
BLOCK = 1024
# Who a px belongs to: outside the regions of interest, painted by nothing, and from here on the regions in turn.
OUTSIDE, NOBODY, FIRST = 0, 1, 2

# From so many regions in a block on it takes less time to count all at once than one after the other.
MANY = 30

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Band:
    """Rows of the raster: how many, and what lies in them of the regions and of the regions of interest."""

    height: int
    regions: Runs
    rois: Runs


def rasterise(
    cleaned: CleanedAnnotations, grid: RasterGrid, label_map: LabelMap, path: str | Path, block: int = BLOCK
) -> dict[int, int]:
    """Paint the regions of a slide into a label mask; how many px each class 1..K has got.

    With regions of interest, px outside all of them are 0, and px inside that nothing painted (a hole does
    paint) are ``label_map.region_default``.  Class shapes of which no px is left are counted in a warning.
    """
    painter = _Painter(cleaned, grid, label_map)
    with create_mask(path, grid, label_map.names, label_map.palette()) as writer:
        for row in range(0, grid.height, block):
            band = painter.band(row, min(block, grid.height - row))
            if band is None:
                continue
            for column in range(0, grid.width, block):
                labels = painter.paint(band, column, min(block, grid.width - column))
                if labels is not None:
                    writer.write(column, row, labels)
    pixels = {value: int(painter.pixels[value]) for value in range(1, len(label_map) + 1)}
    _report(path, pixels, label_map)
    painter.warn(path)
    return pixels


class _Painter:
    """The regions of a slide in raster px, and what has become of each so far."""

    def __init__(self, cleaned: CleanedAnnotations, grid: RasterGrid, label_map: LabelMap) -> None:
        step = np.array([grid.step_x, grid.step_y])
        self.regions = cleaned.painted
        self.lines = Scanlines([_scaled(one, step) for one in self.regions])
        rois = cleaned.regions_of_interest
        self.roi_lines = Scanlines([_scaled(one, step) for one in rois])
        self.limited = bool(rois)
        self.default = label_map.region_default if rois else NOT_ANNOTATED
        self.values = np.array([one.value for one in self.regions], dtype=np.uint8)
        self.pixels = np.zeros(256, dtype=np.int64)
        self.covered = np.zeros(len(self.regions), dtype=np.int64)
        self.left = np.zeros(len(self.regions), dtype=np.int64)

    def band(self, row: int, height: int) -> _Band | None:
        """Some rows, None if nothing is painted there."""
        band = _Band(height, self.lines.runs(row, height), self.roi_lines.runs(row, height))
        anything = band.regions.row.size or self.default != NOT_ANNOTATED
        return band if anything and (band.rois.row.size or not self.limited) else None

    def paint(self, band: _Band, column: int, width: int) -> Labels | None:
        """Values of a block, None if all are 0."""
        inside = self._inside(band, column, width)
        if inside is False:
            return None
        parts = list(band.regions.within(column, width).by_polygon())
        owner = self._owners(parts, band.height, width)
        if inside is not True:
            owner = _spread(owner, band.height, width, len(parts))
            owner[~inside] = OUTSIDE
        return self._valued(owner, [region for region, _ in parts], band.height, width)

    def _owners(self, parts: list[tuple[int, Runs]], height: int, width: int) -> NDArray[Any] | int:
        """The owner of each px, or of all of them."""
        owner: NDArray[Any] | int = NOBODY
        for number, (region, runs) in enumerate(parts, start=FIRST):
            self.covered[region] += runs.pixels
            if runs.pixels == height * width:
                owner = number
            else:
                owner = _spread(owner, height, width, len(parts))
                runs.fill(owner, number)
        return owner

    def _valued(
        self, owner: NDArray[Any] | int, regions: list[int], height: int, width: int
    ) -> Labels | None:
        """The values of the owners; what each has got is counted."""
        values = np.array([NOT_ANNOTATED, self.default, *self.values[regions]], dtype=np.uint8)
        if isinstance(owner, int):
            left = np.zeros(values.size, np.int64)
            left[owner] = height * width
        else:
            left = _count(owner, values.size)
        self.left[regions] += left[FIRST:]
        np.add.at(self.pixels, values, left)
        if not left[values != NOT_ANNOTATED].any():
            return None
        return np.full((height, width), values[owner]) if isinstance(owner, int) else values.take(owner)

    def _inside(self, band: _Band, column: int, width: int) -> NDArray[np.bool_] | bool:
        """Which px lie in a region of interest; True or False when all or none do."""
        if not self.limited:
            return True
        inside = np.zeros((band.height, width), dtype=np.uint8)
        for _, runs in band.rois.within(column, width).by_polygon():
            if runs.pixels == inside.size:
                return True
            runs.fill(inside, 1)
        return inside.view(np.bool_) if inside.any() else False

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


def _spread(owner: NDArray[Any] | int, height: int, width: int, regions: int) -> NDArray[Any]:
    """One owner of all px as the owner of each."""
    if not isinstance(owner, int):
        return owner
    return np.full((height, width), owner, np.min_scalar_type(FIRST + regions))


def _count(owner: NDArray[Any], numbers: int) -> NDArray[np.int64]:
    """How often each of so many numbers stands in an array."""
    if numbers > MANY:
        return np.bincount(owner.ravel(), minlength=numbers).astype(np.int64)
    return np.array([np.count_nonzero(owner == number) for number in range(numbers)], np.int64)


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
    names, meant = label_map.names, label_map.raster_values()
    classes = np.zeros(256, dtype=np.uint8)
    classes[list(meant)] = list(meant.values())
    pixels = np.zeros(256, dtype=np.int64)  # of each value as it stands in the raster
    with (
        open_raster(raster_path, slide_size) as raster,
        create_mask(path, grid, names, label_map.palette()) as writer,
    ):
        for column, row, width, height in blocks(grid.width, grid.height, BLOCK):
            labels = raster.read_as(grid, column, row, width, height)
            if not labels.any():
                pixels[NOT_ANNOTATED] += labels.size
                continue
            pixels += np.bincount(labels.ravel(), minlength=256)
            if set(np.flatnonzero(pixels)) <= set(meant):
                writer.write(column, row, classes[labels])
        if not set(np.flatnonzero(pixels)) <= set(meant):
            found = ", ".join(map(str, np.flatnonzero(pixels)))
            wanted = ", ".join(f"{raw} {names[value - 1]}" for raw, value in meant.items() if value)
            raise MaskError(
                f"{raster_path}: found values {found}, wanted 0 (not annotated), {wanted}; "
                "list all values that mean a class in its raster_values"
            )
    counted = {value: int(pixels[classes == value].sum()) for value in range(1, len(names) + 1)}
    _report(path, counted, label_map)
    return counted


def _report(path: str | Path, pixels: dict[int, int], label_map: LabelMap) -> None:
    found = ", ".join(f"{one.name} {pixels[one.value]}" for one in label_map.classes)
    logger.info("%s: annotated pixels: %s", path, found)
    if not any(pixels.values()):
        logger.warning("%s: no pixel of any class is annotated", path)
