"""Where things are: windows in level-0 pixels, and rasters of an exact spacing laid over a slide.

Every stored coordinate is in level-0 px of the slide, (x, y), float, pixel *corners* at integers: the first
pixel spans [0, 1).  A spacing is in µm/px and exact: nothing here rounds one to a "nearest" level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# A slide's spacing outside this range (µm/px) is not one of tissue but a wrong unit.
PLAUSIBLE_SPACING = (0.02, 50.0)
# Nor is one outside this range that of a slice of a volume: 0.02 to 20 mm.
PLAUSIBLE_SLICE_SPACING = (20.0, 20_000.0)
# How the file of a slice is called.
SLICE_SUFFIX = ".slice.tif"
# A pixel corner that floats place 1e-6 px to the left of where it is belongs to the pixel on its right.
EPSILON = 1e-6


def is_slice(path: str | Path) -> bool:
    """Whether a file is a slice of a volume rather than a slide, by its name."""
    return str(path).lower().endswith(SLICE_SUFFIX)


def plausible_spacing(path: str | Path) -> tuple[float, float]:
    """The least and the largest spacing (µm/px) that the slide or slice ``path`` may have."""
    return PLAUSIBLE_SLICE_SPACING if is_slice(path) else PLAUSIBLE_SPACING


@dataclass(frozen=True)
class Spacing:
    """Size of a level-0 pixel in µm, in x and in y (scanners exist whose pixels are not square)."""

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x:g}" if self.x == self.y else f"{self.x:g} x {self.y:g}"


@dataclass(frozen=True)
class Window:
    """A rectangle in level-0 px: left, top, width, height; may reach beyond the slide."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class RasterGrid:
    """A raster of square pixels of ``spacing`` µm over a whole slide; its first pixel starts at level-0 (0, 0).

    ``step_x``, ``step_y``: level-0 px per raster px.  The last column and row may reach beyond the slide by
    less than one raster px.  Label masks, tissue masks and maps are all such rasters, so two of them on one
    slide differ in spacing only and never in origin.
    """

    width: int
    height: int
    spacing: float
    step_x: float
    step_y: float

    @classmethod
    def over(cls, slide_size: tuple[int, int], slide_spacing: Spacing, spacing: float) -> RasterGrid:
        """The grid at ``spacing`` over a slide of (width, height) level-0 px."""
        step_x, step_y = spacing / slide_spacing.x, spacing / slide_spacing.y
        width = max(1, ceil(slide_size[0] / step_x - EPSILON))
        height = max(1, ceil(slide_size[1] / step_y - EPSILON))
        return cls(width, height, spacing, step_x, step_y)

    def window(self, column: float, row: float, width: float, height: float) -> Window:
        """The level-0 window of a block of raster px (which may lie partly outside)."""
        return Window(column * self.step_x, row * self.step_y, width * self.step_x, height * self.step_y)

    def columns_of(self, other: RasterGrid, start: int, count: int) -> NDArray[np.int64]:
        """For ``count`` columns of ``other`` from ``start`` on: the column of this grid under each pixel centre.

        Not clipped: columns of ``other`` outside the slide give indices outside 0..width-1.
        """
        return nearest_index(start, count, other.spacing / self.spacing)

    def rows_of(self, other: RasterGrid, start: int, count: int) -> NDArray[np.int64]:
        """As :meth:`columns_of`, for rows."""
        return nearest_index(start, count, other.spacing / self.spacing)


def nearest_index(start: float, count: int, ratio: float) -> NDArray[np.int64]:
    """Index of the source pixel under each of ``count`` pixel centres; ``ratio`` source px per pixel.

    ``start`` is the left corner of the first pixel, in pixels.  A centre that falls exactly on a corner of
    source pixels belongs to the one on its right (below).
    """
    centres = (start + np.arange(count, dtype=np.float64) + 0.5) * ratio
    return np.floor(centres + EPSILON).astype(np.int64)


@dataclass(frozen=True)
class PatchSpec:
    """What a network eats: ``size`` px a side at each of ``spacings`` (µm/px, target first), one centre.

    ``output_size`` px a side come out, at the target spacing, around the same centre.  ``channels``: bands of a
    px, 3 of slides.
    """

    size: int
    output_size: int
    spacings: tuple[float, ...]
    channels: int = 3

    @property
    def target_spacing(self) -> float:
        """The finest spacing: that of the map."""
        return self.spacings[0]


def centred_window(x: float, y: float, size: int, spacing: float, slide: Spacing) -> Window:
    """The window of ``size`` px at ``spacing`` around level-0 (x, y)."""
    width, height = size * spacing / slide.x, size * spacing / slide.y
    return Window(x - width / 2, y - height / 2, width, height)


def concentric_windows(x: float, y: float, spec: PatchSpec, slide: Spacing) -> tuple[Window, ...]:
    """One window per spacing, target first, all centred on level-0 (x, y) (paper, section 3.1)."""
    return tuple(centred_window(x, y, spec.size, spacing, slide) for spacing in spec.spacings)


def blocks(width: int, height: int, size: int) -> list[tuple[int, int, int, int]]:
    """(column, row, width, height) of the blocks of at most ``size`` px that cover a raster, row by row."""
    return [
        (column, row, min(size, width - column), min(size, height - row))
        for row in range(0, height, size)
        for column in range(0, width, size)
    ]


def enclosing_pixels(low: float, high: float) -> tuple[int, int]:
    """First and one-past-last integer pixel that [low, high) touches; corners off by rounding touch nothing."""
    return floor(low + EPSILON), ceil(high - EPSILON)
