"""A whole slide in a square: what a refiner sees of it, its heat map and its labels.

The slide's first px is the square's; beyond the slide the square is padded at the right and below (or the slide is
stretched to fill it).  One px of a padded square is one px of the slide's raster at the frame's spacing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isclose

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hooknet.coordinates import EPSILON, RasterGrid, Spacing, Window
from hooknet.errors import MaskError
from hooknet.io.probabilities import Probabilities
from hooknet.io.rasters import LabelRaster
from hooknet.io.slide_file import ground
from hooknet.io.slides import Slide

#: Rows of a square that are read at once.
BAND = 64


@dataclass(frozen=True)
class Frame:
    """A square of ``size`` px over a slide of ``slide_size`` level-0 px; ``grid`` is the raster that it shows.

    With ``stretch`` the slide fills the square, whatever its aspect, as published; else the grid lies in the
    square's upper left corner.
    """

    size: int
    grid: RasterGrid
    slide_size: tuple[int, int]
    stretch: bool = False

    @property
    def steps(self) -> tuple[float, float]:
        """Level-0 px per px of the square, in x and in y."""
        if self.stretch:
            return self.slide_size[0] / self.size, self.slide_size[1] / self.size
        return self.grid.step_x, self.grid.step_y

    @property
    def shown(self) -> tuple[int, int]:
        """Rows and columns of the square that show the slide."""
        return (self.size, self.size) if self.stretch else (self.grid.height, self.grid.width)

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Level-0 x of the centres of the shown columns, and y of those of the rows."""
        (rows, columns), (step_x, step_y) = self.shown, self.steps
        columns_at = np.arange(columns, dtype=np.float64) + 0.5
        rows_at = np.arange(rows, dtype=np.float64) + 0.5
        return columns_at * step_x, rows_at * step_y


def frame_of(slide: Slide, size: int, stretch: bool = False) -> Frame:
    """The frame whose longer side shows the slide's; a slide of fewer px is shown as it is, not magnified."""
    width, height = slide.size[0] * slide.spacing.x, slide.size[1] * slide.spacing.y
    spacing = max(max(width, height) / size, slide.spacing.x, slide.spacing.y)
    return Frame(size, slide.grid(spacing), slide.size, stretch)


def read_image(slide: Slide, frame: Frame) -> NDArray[np.uint8]:
    """The slide as (size, size, channels) uint8, RGB of a slide; its fill (white) where there is none.

    Bands of rows are read side by side, by a thread a core, four at most.
    """
    (rows, columns), (step_x, step_y) = frame.shown, frame.steps
    image = ground(frame.size, frame.size, slide.fill)

    def read(first: int) -> None:
        count = min(BAND, rows - first)
        window = Window(0, first * step_y, columns * step_x, count * step_y)
        image[first : first + count, :columns] = slide.read(window, (columns, count))

    with ThreadPoolExecutor(min(4, len(os.sched_getaffinity(0)))) as readers:
        for _ in readers.map(read, range(0, rows, BAND)):
            pass  # errors are raised here
    return image


def read_heat(heat: Probabilities, frame: Frame, values: Sequence[int]) -> NDArray[np.uint8]:
    """The heat maps of class ``values`` as (classes, size, size) uint8, linear between centres; 0 beyond the slide.

    MaskError for a heat map of another slide.
    """
    _check_heat(heat, frame)
    bands = heat.read_all()[[value - 1 for value in values]].astype(np.float32)
    x, y = frame.centres()
    columns, rows = x / heat.grid.step_x - 0.5, y / heat.grid.step_y - 0.5
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    found = np.zeros((len(bands), frame.size, frame.size), np.uint8)
    for number, band in enumerate(bands):
        # Outside the outermost centres the outermost value goes on.
        smooth = ndimage.map_coordinates(band, places, order=1, mode="nearest")
        found[number, : len(rows), : len(columns)] = np.rint(smooth)
    return found


def _check_heat(heat: Probabilities, frame: Frame) -> None:
    """MaskError for a heat map of another slide."""
    per_um = frame.grid.step_x / frame.grid.spacing, frame.grid.step_y / frame.grid.spacing
    wanted = RasterGrid.over(frame.slide_size, Spacing(1 / per_um[0], 1 / per_um[1]), heat.grid.spacing)
    found = heat.grid
    same = isclose(found.step_x, wanted.step_x, rel_tol=1e-6) and isclose(
        found.step_y, wanted.step_y, rel_tol=1e-6
    )
    if (found.width, found.height) != (wanted.width, wanted.height) or not same:
        raise MaskError(
            f"{heat.path}: {found.width} x {found.height} px of {found.step_x:g} x {found.step_y:g} level-0 px, wanted "
            f"{wanted.width} x {wanted.height} px of {wanted.step_x:g} x {wanted.step_y:g}: a heat map of another "
            "slide; make it again with classify-patches"
        )


def read_labels(mask: LabelRaster, frame: Frame) -> NDArray[np.uint8]:
    """The labels under the px centres as (size, size) uint8; 0 beyond the slide.

    MaskError for a mask of another slide.
    """
    mask.check_same_slide(frame.grid)
    x, y = frame.centres()
    columns = np.floor(x / mask.grid.step_x + EPSILON).astype(int)
    rows = np.floor(y / mask.grid.step_y + EPSILON).astype(int)
    columns = columns[columns < mask.grid.width]  # the last px may lie beyond the slide by more than half
    labels = np.zeros((frame.size, frame.size), np.uint8)
    for place, row in enumerate(rows[rows < mask.grid.height]):  # a row at a time: the mask may be large
        labels[place, : len(columns)] = mask.read(0, int(row), mask.grid.width, 1)[0, columns]
    return labels


def as_raster(maps: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Maps (K, size, size) of a frame as (K, height, width) of its raster; linear where the frame is stretched."""
    grid = frame.grid
    if not frame.stretch:
        return maps[:, : grid.height, : grid.width]
    step_x, step_y = frame.steps
    columns = (np.arange(grid.width) + 0.5) * grid.step_x / step_x - 0.5
    rows = (np.arange(grid.height) + 0.5) * grid.step_y / step_y - 0.5
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([ndimage.map_coordinates(one, places, order=1, mode="nearest") for one in maps])
