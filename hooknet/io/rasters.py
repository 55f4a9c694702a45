"""Class values over a whole slide, read by window: our masks and someone's own label rasters."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from hooknet.coordinates import RasterGrid, nearest_index
from hooknet.errors import MaskError

# Read at most so many px at once when a coarser raster is taken out of a finer one (16 MiB).
STRIP_PIXELS = 2**24
# GDAL keeps decoded blocks up to 5 % of the machine's memory, in each process: as much on every machine (in MiB).
CACHE_MIB = 32
# A raster nearly as large as the slide, but not of its size, is a cropped one, not a coarser one.
SMALLEST_RATIO = 1.5

Labels = NDArray[np.uint8]
Indices = NDArray[np.int64]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Open rasters that have no place on Earth without being warned of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_single_band(path: Path) -> Any:
    """The open dataset, one band of uint8; MaskError when it is anything else."""
    if not path.is_file():
        raise MaskError(f"{path}: no such file, wanted a single-band uint8 raster")
    os.environ.setdefault("GDAL_CACHEMAX", str(CACHE_MIB))  # which GDAL looks up at its first read
    # Its short cut for PNG (3.11) takes a file that is cut short for whole and gives what was in memory for the rest.
    os.environ.setdefault("GDAL_PNG_WHOLE_IMAGE_OPTIM", "NO")
    try:
        with quiet():
            dataset = rasterio.open(path)
    except RasterioError as error:
        raise MaskError(f"{path}: not a readable raster ({_first_line(error)})") from error
    if dataset.count != 1 or dataset.dtypes[0] != "uint8":
        found = f"{dataset.count} band(s) of {dataset.dtypes[0]}"
        dataset.close()
        raise MaskError(f"{path}: found {found}, wanted one band of uint8 class values")
    return dataset


def _first_line(error: BaseException) -> str:
    """One line of what another library says."""
    told = error.__cause__ or error  # rasterio says no more than "see previous exception"
    return (str(told) or type(told).__name__).splitlines()[0]


@dataclass(frozen=True)
class LabelRaster:
    """Class values over a whole slide, read by window (:func:`open_raster`; the masks of ``io.masks``).

    Opened at the first read, once per process: it can be pickled and may be open when a process forks.  Not
    for several threads at once.
    """

    path: Path
    grid: RasterGrid
    _handle: tuple[int, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def read(self, column: int, row: int, width: int, height: int) -> Labels:
        """Values (height, width) uint8 of a window in raster px; 0 outside the raster."""
        labels = np.zeros((height, width), dtype=np.uint8)
        left, right = max(column, 0), min(column + width, self.grid.width)
        top, bottom = max(row, 0), min(row + height, self.grid.height)
        if left < right and top < bottom:
            inside = np.s_[top - row : bottom - row, left - column : right - column]
            labels[inside] = self._read(left, top, right - left, bottom - top)
        return labels

    def is_empty(self, column: int, row: int, width: int, height: int) -> bool:
        """Whether a window in raster px is all 0 because nothing is stored there; asks the TIFF, reads no values.

        False promises nothing: what is stored may be 0, and only a TIFF can leave blocks out.
        """
        left, right = max(column, 0), min(column + width, self.grid.width)
        top, bottom = max(row, 0), min(row + height, self.grid.height)
        if left >= right or top >= bottom:
            return True
        dataset = self._dataset()
        if (
            dataset.driver != "GTiff" or dataset.nodata
        ):  # a block left out is nodata, where there is such a value
            return False
        high, wide = dataset.block_shapes[0]
        return not any(
            dataset.get_tag_item(f"BLOCK_OFFSET_{across}_{down}", "TIFF", bidx=1)
            for down in range(top // high, -(-bottom // high))
            for across in range(left // wide, -(-right // wide))
        )

    def read_as(self, grid: RasterGrid, column: int, row: int, width: int, height: int) -> Labels:
        """Values (height, width) uint8 of a window in px of another ``grid`` over the same slide.

        Each is the value under the pixel's centre (on a corner: the pixel to the right, below); 0 outside.
        Memory does not grow with the ratio of the spacings.
        """
        self.check_same_slide(grid)
        columns, rows = self._under(grid, column, row, width, height)
        labels = np.zeros((height, width), dtype=np.uint8)
        across = np.flatnonzero((columns >= 0) & (columns < self.grid.width))
        down = np.flatnonzero((rows >= 0) & (rows < self.grid.height))
        if not across.size or not down.size:
            return labels
        first = int(columns[across[0]])
        span = int(columns[across[-1]]) + 1 - first
        ratio = grid.step_y / self.grid.step_y
        strip = max(1, int(STRIP_PIXELS / span / max(ratio, 1.0)))
        for start in range(0, down.size, strip):
            part = down[start : start + strip]
            top, bottom = int(rows[part[0]]), int(rows[part[-1]]) + 1
            block = self._read(first, top, span, bottom - top)
            labels[np.ix_(part, across)] = block[np.ix_(rows[part] - top, columns[across] - first)]
        return labels

    def _under(
        self, grid: RasterGrid, column: int, row: int, width: int, height: int
    ) -> tuple[Indices, Indices]:
        """Columns and rows of this raster under the pixel centres of a window of ``grid``, not clipped."""
        columns = nearest_index(column, width, grid.step_x / self.grid.step_x)
        return columns, nearest_index(row, height, grid.step_y / self.grid.step_y)

    def check_same_slide(self, other: RasterGrid) -> None:
        """MaskError when the two rasters cannot lie over one slide."""
        mine = (self.grid.width * self.grid.step_x, self.grid.height * self.grid.step_y)
        theirs = (other.width * other.step_x, other.height * other.step_y)
        slack = (max(self.grid.step_x, other.step_x), max(self.grid.step_y, other.step_y))
        if any(abs(a - b) > one * (1 + 1e-6) for a, b, one in zip(mine, theirs, slack, strict=True)):
            raise MaskError(
                f"{self.path}: covers {mine[0]:g} x {mine[1]:g} level-0 px, wanted one over "
                f"{theirs[0]:g} x {theirs[1]:g}: the rasters belong to different slides"
            )

    def _read(self, column: int, row: int, width: int, height: int) -> Labels:
        """Values of a window that lies inside."""
        if self.is_empty(column, row, width, height):
            return np.zeros((height, width), np.uint8)
        window = RasterWindow(column, row, width, height)
        try:
            labels: Labels = self._dataset().read(1, window=window)
        except RasterioError as error:
            raise MaskError(
                f"{self.path}: cannot read {width} x {height} px at column {column}, row {row} "
                f"({_first_line(error)}); the file is damaged, make it again"
            ) from error
        return labels

    def _dataset(self) -> Any:
        """This process's handle; one inherited by a fork is left to the parent."""
        if self._handle is None or self._handle[0] != os.getpid():
            object.__setattr__(self, "_handle", (os.getpid(), open_single_band(self.path)))
        assert self._handle is not None
        return self._handle[1]

    def close(self) -> None:
        """Give the file handle back; the next read opens it again."""
        if self._handle is not None and self._handle[0] == os.getpid():
            self._handle[1].close()
        object.__setattr__(self, "_handle", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}


def open_raster(path: str | Path, slide_size: tuple[int, int]) -> LabelRaster:
    """Someone's own single-band uint8 label raster (palette: its indices), as truth over a whole slide.

    Its size is the slide's level-0 (width, height), or both sides smaller by one whole factor (the last px cut or
    filled up), or by one ratio that both sides show within a raster px.  Its spacing is not known (nan).
    MaskError otherwise.
    """
    path = Path(path)
    with open_single_band(path) as dataset:
        width, height = dataset.width, dataset.height
    wide, high = slide_size
    whole = max(1, round(wide / width))
    if all(long // whole <= short <= -(-long // whole) for long, short in ((wide, width), (high, height))):
        return LabelRaster(path, RasterGrid(width, height, float("nan"), float(whole), float(whole)))
    coarser = wide / width > SMALLEST_RATIO and high / height > SMALLEST_RATIO
    if not coarser or abs(width * high - height * wide) > max(wide, high):
        raise MaskError(
            f"{path}: found {width} x {height} px, wanted the slide's {wide} x {high} px or the whole slide "
            "at a coarser scale (same aspect within one px); is it another slide's, or a part of this one?"
        )
    step = wide / width if width >= height else high / height  # the longer side tells it best
    return LabelRaster(path, RasterGrid(width, height, float("nan"), step, step))
