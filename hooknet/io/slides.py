"""Whole-slide images read at any exact spacing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from numpy.typing import NDArray

from hooknet.coordinates import PLAUSIBLE_SPACING, RasterGrid, Spacing, Window, enclosing_pixels
from hooknet.errors import SlideError
from hooknet.io.resampling import resample

Image = NDArray[np.uint8]

# A slide coarser than asked by no more than this is interpolated; beyond it detail would be invented.
COARSER_TOLERANCE = 0.05
# A pyramid level coarser than asked by no more than this counts as that spacing (level sizes are rounded).
LEVEL_TOLERANCE = 1e-3
# Pixels of one level read at once; larger windows are read in strips so that memory stays bounded.
MAX_PIXELS = 1 << 25
WHITE = 255


@dataclass(frozen=True)
class Level:
    """One level of the pyramid: its size in px and level-0 px per pixel, in x and y."""

    width: int
    height: int
    step_x: float
    step_y: float


class Slide:
    """A slide of known ``size`` (width, height in level-0 px) and ``spacing`` (µm per level-0 px).

    Opened again in every process that reads it: a handle does not survive a fork.
    """

    def __init__(self, path: str | Path, spacing: Spacing | None = None) -> None:
        """Open ``path``; ``spacing`` overrides what the file says."""
        self.path = Path(path)
        self._handle: Any = None
        self._pid = -1
        handle = self._open()
        self.size: tuple[int, int] = handle.dimensions
        self.levels = tuple(
            _level(self.size, size, downsample)
            for size, downsample in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
        )
        self._downsamples: tuple[float, ...] = tuple(handle.level_downsamples)
        self.properties = {str(key): str(value) for key, value in handle.properties.items()}
        self.file_spacing = _file_spacing(self.properties)
        self.spacing = spacing or self._checked_spacing()
        self.bounds_offset = (
            float(self.properties.get(openslide.PROPERTY_NAME_BOUNDS_X, 0)),
            float(self.properties.get(openslide.PROPERTY_NAME_BOUNDS_Y, 0)),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_pid": -1}

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle = None

    def grid(self, spacing: float) -> RasterGrid:
        """The raster at ``spacing`` over this slide; SlideError when the slide is too coarse for it."""
        self.require(spacing)
        return RasterGrid.over(self.size, self.spacing, spacing)

    def require(self, spacing: float) -> bool:
        """Whether a view at ``spacing`` has to be interpolated; SlideError when the slide is too coarse."""
        coarsest = max(self.spacing.x, self.spacing.y)
        if coarsest > spacing * (1 + COARSER_TOLERANCE):
            raise SlideError(
                f"{self.path}: level 0 is at {self.spacing} µm/px, more than {COARSER_TOLERANCE:.0%} coarser than the "
                f"wanted {spacing:g}; the finest possible spacing is {coarsest / (1 + COARSER_TOLERANCE):.4g} µm/px"
            )
        return coarsest > spacing * (1 + LEVEL_TOLERANCE)

    def read(self, window: Window, size: tuple[int, int]) -> Image:
        """The window as (height, width, 3) uint8 of ``size`` = (width, height) px.

        The nearest finer level is reduced by area averaging; outside the slide is white.
        """
        step_x, step_y = window.width / size[0], window.height / size[1]
        number = self._level_for(step_x, step_y)
        level = self.levels[number]
        rows_at_once = max(1, int(MAX_PIXELS / (window.width / level.step_x) / (step_y / level.step_y)))
        strips = []
        for row in range(0, size[1], rows_at_once):
            count = min(rows_at_once, size[1] - row)
            strip = Window(window.x, window.y + row * step_y, window.width, count * step_y)
            strips.append(self._read_strip(number, strip, (size[0], count)))
        return strips[0] if len(strips) == 1 else np.concatenate(strips)

    def _read_strip(self, number: int, window: Window, size: tuple[int, int]) -> Image:
        level = self.levels[number]
        # Frame: level px, float.
        left, top = window.x / level.step_x, window.y / level.step_y
        width, height = window.width / level.step_x, window.height / level.step_y
        interpolated = min(width / size[0], height / size[1]) < 1 or self._downsamples[number] % 1 != 0
        margin = 1 if interpolated else 0
        first_column, last_column = enclosing_pixels(left, left + width)
        first_row, last_row = enclosing_pixels(top, top + height)
        block, x, y = self._read_level(
            number,
            first_column - margin,
            first_row - margin,
            last_column - first_column + 2 * margin,
            last_row - first_row + 2 * margin,
        )
        return resample(block, (left - x, top - y), (width / size[0], height / size[1]), size)

    def _read_level(
        self, number: int, column: int, row: int, width: int, height: int
    ) -> tuple[Image, float, float]:
        """Pixels of one level over white, and where (level px) the first of them really starts.

        OpenSlide takes a location in whole level-0 px and divides by its own mean downsample; the pixels come
        back interpolated at that fractional position, which is therefore the position to reckon with.  Not so
        left of or above the slide, where it drops the fraction: what lies there is white without asking.
        """
        left, top = max(0, -column), max(0, -row)
        if left >= width or top >= height:
            return np.full((height, width, 3), WHITE, np.uint8), column, row
        downsample = self._downsamples[number]
        location = (round((column + left) * downsample), round((row + top) * downsample))
        try:
            region = np.asarray(self._open().read_region(location, number, (width - left, height - top)))
        except openslide.OpenSlideError as error:
            self._handle = None  # after one failure every later read of a handle fails
            raise SlideError(
                f"{self.path}: level {number} cannot be read at ({location[0]}, {location[1]}) ({error}); "
                "the file is damaged: copy or scan it again"
            ) from None
        block = _over_white(region)
        if left or top:
            block = np.pad(block, ((top, 0), (left, 0), (0, 0)), constant_values=WHITE)
        return block, location[0] / downsample - left, location[1] / downsample - top

    def _level_for(self, step_x: float, step_y: float) -> int:
        """The coarsest level that is not coarser than ``step`` level-0 px per pixel."""
        slack = 1 + LEVEL_TOLERANCE
        fine = [
            number
            for number, level in enumerate(self.levels)
            if level.step_x <= step_x * slack and level.step_y <= step_y * slack
        ]
        return max(fine, key=lambda number: self.levels[number].step_x, default=0)

    def _open(self) -> Any:
        if self._handle is None or self._pid != os.getpid():
            self._handle, self._pid = _open_file(self.path), os.getpid()
        return self._handle

    def _checked_spacing(self) -> Spacing:
        spacing = self.file_spacing
        if spacing is None:
            raise SlideError(
                f"{self.path}: the file does not say its spacing; "
                "set the slide's `spacing` in µm/px in the datasets file"
            )
        low, high = PLAUSIBLE_SPACING
        if not (low <= spacing.x <= high and low <= spacing.y <= high):
            raise SlideError(
                f"{self.path}: the file says {spacing} µm/px, wanted {low:g}..{high:g}; "
                "set the slide's `spacing` in µm/px in the datasets file"
            )
        return spacing


def _open_file(path: Path) -> Any:
    if not path.is_file():
        raise SlideError(f"{path}: found no such file; correct the slide's path in the datasets file")
    try:
        return openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        raise SlideError(
            f"{path}: OpenSlide cannot open it ({error or 'unknown format'}); "
            "give a slide of a format it knows, such as a tiled pyramidal TIFF"
        ) from None


def _level(base: tuple[int, int], size: tuple[int, int], downsample: float) -> Level:
    """Steps of a level: the whole number both sides round to if there is one, else the ratio of the sides.

    Scanners halve and drop the odd last row, so 32914 px at a level of 8228 px are four to one, not 4.0002.
    """
    whole = round(downsample)
    if all(one // whole <= small <= -(-one // whole) for one, small in zip(base, size, strict=True)):
        return Level(*size, float(whole), float(whole))
    return Level(*size, base[0] / size[0], base[1] / size[1])


def _file_spacing(properties: dict[str, str]) -> Spacing | None:
    try:
        return Spacing(
            float(properties[openslide.PROPERTY_NAME_MPP_X]), float(properties[openslide.PROPERTY_NAME_MPP_Y])
        )
    except (KeyError, ValueError):
        return None


def _over_white(region: Image) -> Image:
    """RGBA over a white ground, as RGB; what was never scanned is transparent, and black without this."""
    alpha = region[..., 3]
    if alpha.min() == WHITE:
        return region[..., :3]
    share = alpha[..., None].astype(np.float32) / WHITE
    return np.rint(region[..., :3] * share + WHITE * (1 - share)).astype(np.uint8)
