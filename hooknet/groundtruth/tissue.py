"""Tissue told from glass."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hooknet.coordinates import RasterGrid, blocks
from hooknet.errors import SlideError
from hooknet.io.masks import create_mask
from hooknet.io.slides import Slide

logger = logging.getLogger(__name__)

# Otsu's threshold splits whatever it gets, also a slide that is all tissue or all glass: keep it where the
# border between the two can be (optical density of the darkest channel; 0.04 is grey level 232, 0.12 is 193).
THRESHOLD_RANGE = (0.04, 0.12)
BINS = 256
# Shares of a slide that tissue usually has.
PLAUSIBLE = (0.002, 0.98)
MAX_DENSITY = 2.0
BLOCK = 1024
LOWER = "lower the dataset's tissue.threshold or tissue.min_area_um2, or set the experiment's infer.over to everything"
TISSUE_NAMES = ("tissue",)
TISSUE_PALETTE = {1: (90, 90, 90)}


def density(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical density of the darkest channel (height, width): near 0 on glass, high on any stain."""
    darkest = image.min(axis=-1).astype(np.float32)
    result: NDArray[np.float32] = -np.log10((darkest + 1) / 256)
    return result


def otsu(values: NDArray[np.float32]) -> float:
    """The threshold that splits a histogram into two classes of least variance (Otsu 1979)."""
    counts, edges = np.histogram(values, BINS, (0.0, MAX_DENSITY))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    above = below[-1] - below
    mass = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return float(edges[1:][np.argmax(np.nan_to_num(between))])


def find_tissue(
    image: NDArray[np.uint8], spacing: float, close_um: float, min_area_um2: float, threshold: float | None
) -> NDArray[np.bool_]:
    """Tissue (height, width) in an image (height, width, 3) at ``spacing`` µm/px.

    Density above the threshold, gaps up to ``close_um`` closed, then specks and holes smaller than
    ``min_area_um2`` removed.
    """
    dense = density(image)
    level = float(np.clip(otsu(dense), *THRESHOLD_RANGE)) if threshold is None else threshold
    tissue = dense > level
    radius = round(close_um / 2 / spacing)
    if radius > 0:
        # Padded, so that the closing does not eat tissue at the slide's edge.
        padded = np.pad(tissue, radius, mode="edge")
        closed = ndimage.binary_closing(padded, ndimage.generate_binary_structure(2, 1), iterations=radius)
        tissue = tissue | closed[radius:-radius, radius:-radius]
    smallest = min_area_um2 / spacing**2
    tissue = _without_small(tissue, smallest)
    return ~_without_small(~tissue, smallest)


def _without_small(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    labelled, count = ndimage.label(mask, ndimage.generate_binary_structure(2, 2))
    areas = np.bincount(labelled.ravel(), minlength=count + 1)
    keep = areas >= smallest
    keep[0] = False
    return np.asarray(keep[labelled])


def read_overview(slide: Slide, grid: RasterGrid, block: int = BLOCK) -> NDArray[np.uint8]:
    """The whole slide (height, width, 3) at the grid's spacing, read ``block`` px a side at once."""
    image = np.empty((grid.height, grid.width, 3), np.uint8)
    for column, row, width, height in blocks(grid.width, grid.height, block):
        window = grid.window(column, row, width, height)
        image[row : row + height, column : column + width] = slide.read(window, (width, height))
    return image


def detect_tissue(
    slide: Slide, spacing: float, close_um: float, min_area_um2: float, threshold: float | None, path: Path
) -> float:
    """Write the tissue mask of a slide and return tissue's share of it; SlideError when there is none.

    All of a slice of a volume is tissue.

    A slide coarser than ``spacing`` is looked at in its own pixels.  Memory: the slide at ``spacing``.
    """
    spacing = max(spacing, slide.spacing.x, slide.spacing.y)
    grid = slide.grid(spacing)
    if slide.is_slice:
        # Air is a class of scans, learnt and scored like any other; there is no glass, and a slice is small.
        _write(path, grid, np.ones((grid.height, grid.width), np.bool_))
        return 1.0
    tissue = find_tissue(read_overview(slide, grid), spacing, close_um, min_area_um2, threshold)
    share = float(tissue.mean())
    if not tissue.any():
        raise SlideError(f"{slide.path}: found no tissue at {spacing:g} µm/px; {LOWER}")
    if not PLAUSIBLE[0] <= share <= PLAUSIBLE[1]:
        logger.warning(
            "%s: %.3g %% of the slide counts as tissue; look at its tissue mask", slide.path, 100 * share
        )
    _write(path, grid, tissue)
    logger.info("%s: tissue covers %.1f %% of the slide", slide.path, 100 * share)
    return share


def _write(path: Path, grid: RasterGrid, tissue: NDArray[np.bool_]) -> None:
    with create_mask(path, grid, TISSUE_NAMES, TISSUE_PALETTE) as writer:
        writer.write(0, 0, tissue.astype(np.uint8))
