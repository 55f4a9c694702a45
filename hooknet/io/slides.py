"""Whole-slide images, and slices of volumes, read at any exact spacing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid, Spacing, Window, enclosing_pixels, is_slice
from hooknet.errors import SlideError
from hooknet.io.blocks import BlockCache, Part, block_side, parts
from hooknet.io.damage import Damage
from hooknet.io.resampling import Piece, resample
from hooknet.io.slice_file import SliceFile
from hooknet.io.slide_checks import OVERRIDE, check_extent, check_square, check_tiles
from hooknet.io.slide_file import SlideFile, ground

Image = NDArray[np.uint8]

# A slide coarser than asked by no more than this is interpolated; beyond it detail would be invented.
COARSER_TOLERANCE = 0.05
# Not so of slices: each scan has a spacing of its own, and they are brought to a common one in their middle.
SLICE_COARSER_TOLERANCE = 1.0
# A pyramid level coarser than asked by no more than this counts as that spacing (level sizes are rounded).
LEVEL_TOLERANCE = 1e-3
# Pixels of one level read at once; larger windows are read in strips so that memory stays bounded.
MAX_PIXELS = 1 << 25


@dataclass(frozen=True)
class Level:
    """One level of the pyramid: its size in px and level-0 px per pixel, in x and y."""

    width: int
    height: int
    step_x: float
    step_y: float


class Slide:
    """A slide of known ``size`` (width, height in level-0 px) and ``spacing`` (µm per level-0 px).

    Or a slice of a volume (``*.slice.tif``), which has ``channels`` bands and, outside, their values ``fill``: of
    slides these are three and white.  Opened again in every process that reads it: a handle does not survive a
    fork.  Several threads may read at once.
    """

    def __init__(
        self, path: str | Path, spacing: Spacing | None = None, blocks: BlockCache | None = None
    ) -> None:
        """Open ``path``; ``spacing`` overrides what the file says.

        With ``blocks`` pixels are decoded in blocks on the levels' own grids, which are kept there: worth it
        where windows overlap or come again.  How many are kept changes no pixel.  To read by blocks changes none
        of a level whose downsample is a whole number; where it is not OpenSlide interpolates, and a pixel may
        differ as much as that.
        """
        self.path = Path(path)
        self.is_slice = is_slice(self.path)
        self._file: SlideFile | SliceFile = (SliceFile if self.is_slice else SlideFile)(self.path)
        self._blocks = blocks
        handle = self._file.handle()
        self.fill = self._file.fill
        self.channels = len(self.fill)
        self.size: tuple[int, int] = handle.dimensions
        self.levels = tuple(
            _level(self.size, size, downsample)
            for size, downsample in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
        )
        self._downsamples: tuple[float, ...] = tuple(handle.level_downsamples)
        self._sides = tuple(_block_sides(handle.properties, number) for number in range(len(self.levels)))
        self.properties = {str(key): str(value) for key, value in handle.properties.items()}
        self.file_spacing = _file_spacing(self.properties)
        check_tiles(self.path, self.properties, len(self.levels))
        self.spacing = spacing or self._checked_spacing()
        check_extent(self.path, self.size, self.spacing, self.is_slice)
        self.bounds_offset = (
            float(self.properties.get(openslide.PROPERTY_NAME_BOUNDS_X, 0)),
            float(self.properties.get(openslide.PROPERTY_NAME_BOUNDS_Y, 0)),
        )

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        self._file.close()

    def tolerate(self, most: float) -> Damage | None:
        """Read on, over white, where up to the share ``most`` of the slide is damaged; where that is, is noted.

        None where ``most`` is 0 and for slices, which are read whole or not at all.
        """
        if most > 0 and isinstance(self._file, SlideFile):
            self._file.damage = Damage(self.path, self.size, most)
            return self._file.damage
        return None

    def grid(self, spacing: float) -> RasterGrid:
        """The raster at ``spacing`` over this slide; SlideError when the slide is too coarse for it."""
        self.require(spacing)
        return RasterGrid.over(self.size, self.spacing, spacing)

    def require(self, spacing: float) -> bool:
        """Whether a view at ``spacing`` has to be interpolated; SlideError when the slide is too coarse."""
        coarsest = max(self.spacing.x, self.spacing.y)
        tolerance = SLICE_COARSER_TOLERANCE if self.is_slice else COARSER_TOLERANCE
        if coarsest > spacing * (1 + tolerance):
            raise SlideError(
                f"{self.path}: level 0 is at {self.spacing} µm/px, more than {tolerance:.0%} coarser than the "
                f"wanted {spacing:g}; the finest possible spacing is {coarsest / (1 + tolerance):.4g} µm/px"
            )
        return is_interpolated(coarsest, spacing)

    def require_all(self, spacings: Iterable[float]) -> list[float]:
        """Those of ``spacings`` at which a view has to be interpolated; SlideError as :meth:`require`."""
        return [spacing for spacing in spacings if self.require(spacing)]

    def require_channels(self, channels: int) -> None:
        """SlideError where the file has another number of bands."""
        if channels != self.channels:
            raise SlideError(
                f"{self.path}: found {self.channels} band(s), wanted {channels}, the dataset's `channels`; set "
                f"channels: {self.channels} in the datasets file, or take the slide out"
            )

    def level_of(self, spacing: float) -> int:
        """The number of the pyramid level that a view at ``spacing`` µm/px is read from."""
        return self._level_for(spacing / self.spacing.x, spacing / self.spacing.y)

    def read(self, window: Window, size: tuple[int, int]) -> Image:
        """The window as (height, width, channels) uint8 of ``size`` = (width, height) px.

        The nearest finer level is reduced by area averaging; outside the slide is ``fill``.
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

    def read_rgb(self, window: Window, size: tuple[int, int]) -> Image:
        """As :meth:`read`, as a picture (height, width, 3)."""
        return as_rgb(self.read(window, size))

    def _read_strip(self, number: int, window: Window, size: tuple[int, int]) -> Image:
        level = self.levels[number]
        # Frame: level px, float.
        left, top = window.x / level.step_x, window.y / level.step_y
        width, height = window.width / level.step_x, window.height / level.step_y
        interpolated = min(width / size[0], height / size[1]) < 1 or self._downsamples[number] % 1 != 0
        margin = 1 if interpolated else 0
        first_column, last_column = enclosing_pixels(left, left + width)
        first_row, last_row = enclosing_pixels(top, top + height)
        step = (width / size[0], height / size[1])
        columns = first_column - margin, last_column + margin
        rows = first_row - margin, last_row + margin
        if self._blocks is None:
            place = columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0]
            block, x, y = self._read_level(number, *place)
            return resample(block, (left - x, top - y), step, size)
        across, down = self._parts(number, columns, 0), self._parts(number, rows, 1)
        block = self._assembled(self._blocks, number, across, down)
        if self.is_whole(number):
            return resample(block, (left - columns[0], top - rows[0]), step, size)
        return resample(
            block, (left, top), step, size, (self._pieces(number, across), self._pieces(number, down))
        )

    def is_whole(self, number: int) -> bool:
        """Whether a level's pixels come as they are in the file and not interpolated."""
        return self._downsamples[number] % 1 == 0

    def _parts(self, number: int, pixels: tuple[int, int], axis: int) -> list[Part]:
        """Of which blocks of a level its columns (axis 0) or rows (1) from one to another consist."""
        # Where OpenSlide interpolates, neighbouring blocks do not lie on one grid and have to overlap.
        return parts(*pixels, self._sides[number][axis], 0 if self.is_whole(number) else 1)

    def _assembled(self, blocks: BlockCache, number: int, across: list[Part], down: list[Part]) -> Image:
        """The blocks' parts side by side."""
        height, width = (sum(one.count for one in parts_of) for parts_of in (down, across))
        found = np.empty((height, width, self.channels), np.uint8)
        row = 0
        for lower in down:
            column = 0
            for upper in across:
                place = number, upper.first, lower.first, upper.side, lower.side
                block = blocks.get((self._file.path, *place), partial(self._read_block, *place))
                found[row : row + lower.count, column : column + upper.count] = block[lower.own, upper.own]
                column += upper.count
            row += lower.count
        return found

    def _read_block(self, number: int, column: int, row: int, width: int, height: int) -> Image:
        return self._read_level(number, column, row, width, height)[0]

    def _pieces(self, number: int, taken: list[Part]) -> list[Piece]:
        """Where the pixels of blocks really lie, in level px."""
        pieces: list[Piece] = []
        index = 0
        for one in taken:
            start = self._start(number, one.first) + one.own.start
            low, high = one.low if pieces else -inf, one.high if one is not taken[-1] else inf
            pieces.append(Piece(index, start, low, high))
            index += one.count
        return pieces

    def _read_level(
        self, number: int, column: int, row: int, width: int, height: int
    ) -> tuple[Image, float, float]:
        """Pixels of one level over its fill, and where (level px) the first of them really starts.

        OpenSlide takes a location in whole level-0 px and divides by its own mean downsample; the pixels come
        back interpolated at that fractional position, which is therefore the position to reckon with.  Not so
        left of or above the slide, where it drops the fraction: what lies there is fill without asking.
        """
        x, y = self._start(number, column), self._start(number, row)
        left, top = max(0, -column), max(0, -row)
        level = self.levels[number]
        if left >= width or top >= height or column > level.width or row > level.height:
            return ground(height, width, self.fill), x, y
        downsample = self._downsamples[number]
        location = round((column + left) * downsample), round((row + top) * downsample)
        inside = self._file.region(location, number, (width - left, height - top))
        if not left and not top:
            return inside, x, y
        block = ground(height, width, self.fill)
        block[top:, left:] = inside
        return block, x, y

    def _start(self, number: int, pixel: int) -> float:
        """Where (level px) a column or row that is asked for really starts."""
        downsample = self._downsamples[number]
        return pixel if pixel < 0 else round(pixel * downsample) / downsample

    def _level_for(self, step_x: float, step_y: float) -> int:
        """The coarsest level that is not coarser than ``step`` level-0 px per pixel."""
        slack = 1 + LEVEL_TOLERANCE
        fine = [
            number
            for number, level in enumerate(self.levels)
            if level.step_x <= step_x * slack and level.step_y <= step_y * slack
        ]
        return max(fine, key=lambda number: self.levels[number].step_x, default=0)

    def _checked_spacing(self) -> Spacing:
        spacing = self.file_spacing
        if spacing is None:
            raise SlideError(f"{self.path}: the file does not say its spacing; {OVERRIDE}")
        low, high = self._file.plausible_spacing
        if not (low <= spacing.x <= high and low <= spacing.y <= high):
            raise SlideError(
                f"{self.path}: the file says {spacing} µm/px, wanted {low:g}..{high:g}; {OVERRIDE}"
            )
        check_square(self.path, spacing)
        return spacing


def is_interpolated(coarsest: float, wanted: float) -> bool:
    """Whether a view at ``wanted`` µm/px of a slide at ``coarsest`` has more px than the slide."""
    return coarsest > wanted * (1 + LEVEL_TOLERANCE)


def as_rgb(pixels: Image) -> Image:
    """Pixels (…, channels) as a picture (…, 3): three bands are its colours, of others the first is its grey."""
    if pixels.shape[-1] == 3:
        return pixels
    return np.repeat(pixels[..., :1], 3, axis=-1)


def _level(base: tuple[int, int], size: tuple[int, int], downsample: float) -> Level:
    """Steps of a level: the whole number both sides round to if there is one, else the ratio of the sides.

    Scanners halve and drop the odd last row, so 32914 px at a level of 8228 px are four to one, not 4.0002.
    """
    whole = round(downsample)
    if all(one // whole <= small <= -(-one // whole) for one, small in zip(base, size, strict=True)):
        return Level(*size, float(whole), float(whole))
    return Level(*size, base[0] / size[0], base[1] / size[1])


def _block_sides(properties: Any, number: int) -> tuple[int, int]:
    """Width and height of a level's blocks."""
    tile = (properties.get(f"openslide.level[{number}].tile-{side}", 0) for side in ("width", "height"))
    width, height = (block_side(int(one)) for one in tile)
    return width, height


def _file_spacing(properties: dict[str, str]) -> Spacing | None:
    try:
        return Spacing(
            float(properties[openslide.PROPERTY_NAME_MPP_X]), float(properties[openslide.PROPERTY_NAME_MPP_Y])
        )
    except (KeyError, ValueError):
        return None
