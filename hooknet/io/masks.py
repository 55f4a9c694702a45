"""Label masks, tissue masks and maps: single-band uint8 pyramids over a whole slide.

On disk: tiled (Big)TIFF, DEFLATE, 512 px tiles, tiles that hold only 0 left out, overviews by powers of two,
min-is-black.  OpenSlide, QuPath and ASAP open it and take the spacing from the resolution tags; those are
rational numbers and round, so the exact spacing and step stand, with the class names and colours, as JSON in
the image description, and only that is read back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterWindow

from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.io.atomic import atomic
from hooknet.io.rasters import Indices, LabelRaster, Labels, open_single_band, quiet, read_through, writing

TILE = 512
FORMAT = "hooknet label mask 1"
MICRONS_PER_CM = 1e4
# GDAL's default is 5 % of the machine's memory: one number everywhere bounds the memory and fixes the bytes.
CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Mask(LabelRaster):
    """A raster this package wrote: the exact grid, class ``names`` and ``colours``, value 1 first."""

    names: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> Mask:
        """The mask in a file; MaskError when it is missing, not readable, or not one of ours."""
        path = Path(path)
        with open_single_band(path) as dataset:
            description = dataset.tags().get("TIFFTAG_IMAGEDESCRIPTION", "")
            size = dataset.width, dataset.height
        try:
            stored = json.loads(description)
            if stored["format"] != FORMAT:
                raise ValueError(stored["format"])
            grid = RasterGrid(*size, float(stored["spacing"]), *(float(step) for step in stored["step"]))
            names = tuple(str(one["name"]) for one in stored["classes"])
            colours = tuple(_rgb(one["colour"]) for one in stored["classes"])
        except (ValueError, KeyError, TypeError) as error:
            raise MaskError(
                f"{path}: the image description does not say {FORMAT!r} with its spacing and classes; "
                "wanted a mask written by this package"
            ) from error
        return cls(path, grid, names, colours)

    @property
    def palette(self) -> dict[int, tuple[int, int, int]]:
        """Value -> red, green, blue."""
        return dict(enumerate(self.colours, start=1))

    def check_same_slide(self, other: RasterGrid) -> None:
        """As for any raster; MaskError also where the two take the slide to be of different spacing."""
        super().check_same_slide(other)
        mine, theirs = self.grid.spacing / self.grid.step_x, other.spacing / other.step_x
        if not isclose(mine, theirs, rel_tol=1e-6):
            raise MaskError(
                f"{self.path}: its slide has {mine:g} µm/px, wanted {theirs:g}: the rasters belong to "
                "different slides, or to one slide under two spacings"
            )

    def _under(
        self, grid: RasterGrid, column: int, row: int, width: int, height: int
    ) -> tuple[Indices, Indices]:
        return self.grid.columns_of(grid, column, width), self.grid.rows_of(grid, row, height)


def _rgb(colour: str) -> tuple[int, int, int]:
    """#rrggbb as three numbers."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


class MaskWriter:
    """Takes blocks of class values in any order; made by :func:`create_mask`."""

    def __init__(self, dataset: Any, path: Path, highest: int) -> None:
        self._dataset = dataset
        self._path = path
        self._highest = highest

    def write(self, column: int, row: int, labels: Labels) -> None:
        """Put (height, width) uint8 values at a column and row; what lies outside the raster is dropped.

        A later write replaces an earlier one, zeros too.  MaskError for a value that no class has.
        """
        if labels.dtype != np.uint8 or labels.ndim != 2:
            raise TypeError(f"wanted a 2-D uint8 array, found {labels.ndim}-D {labels.dtype}")
        left, top = max(-column, 0), max(-row, 0)
        inside = labels[top : self._dataset.height - row, left : self._dataset.width - column]
        if column >= self._dataset.width or row >= self._dataset.height or not inside.size:
            return
        if int(inside.max()) > self._highest:
            raise MaskError(f"{self._path}: found value {inside.max()}, wanted at most {self._highest}")
        height, width = inside.shape
        window = RasterWindow(column + left, row + top, width, height)
        self._dataset.write(inside, 1, window=window)


@contextlib.contextmanager
def create_mask(
    path: str | Path,
    grid: RasterGrid,
    names: tuple[str, ...],
    palette: Mapping[int, tuple[int, int, int]],
) -> Iterator[MaskWriter]:
    """A writer of a mask whose values 1..K have these names and colours.

    The file is at ``path``, with its overviews, once the block ends well; on an exception nothing is left
    behind.  The same writes in the same order give the same bytes.
    """
    with (
        writing(path),
        atomic(path) as partial,
        rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, SPARSE_OK_OVERVIEW="YES"),
    ):
        with quiet():
            dataset = rasterio.open(partial, "w", **_profile(grid))
        with dataset:
            dataset.update_tags(**_tags(grid, names, palette))
            yield MaskWriter(dataset, Path(path), len(names))
        with quiet():
            _finish(partial, grid)
        read_through(partial)


def _profile(grid: RasterGrid) -> dict[str, Any]:
    """How the TIFF is laid out."""
    return {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": "uint8",
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": "DEFLATE",
        "sparse_ok": True,
        "BIGTIFF": "IF_SAFER",
        "photometric": "MINISBLACK",
    }


def _tags(
    grid: RasterGrid, names: tuple[str, ...], palette: Mapping[int, tuple[int, int, int]]
) -> dict[str, str]:
    """The spacing for other programs, and everything exactly for :meth:`Mask.open`."""
    classes = [
        {"name": name, "colour": "#" + bytes(palette[value]).hex()}
        for value, name in enumerate(names, start=1)
    ]
    step = [grid.step_x, grid.step_y]
    description = {"format": FORMAT, "spacing": grid.spacing, "step": step, "classes": classes}
    per_cm = repr(MICRONS_PER_CM / grid.spacing)
    return {
        "TIFFTAG_IMAGEDESCRIPTION": json.dumps(description),
        "TIFFTAG_XRESOLUTION": per_cm,
        "TIFFTAG_YRESOLUTION": per_cm,
        "TIFFTAG_RESOLUTIONUNIT": "3",
    }


def _finish(path: Path, grid: RasterGrid) -> None:
    """Overviews, and the first and last tile even if they hold only 0.

    OpenSlide takes the rectangle of the tiles that are there for the bounds of the slide, and QuPath would
    show the mask cropped to it, that is shifted.
    """
    with rasterio.open(path, "r+") as dataset:
        for column, row in ((0, 0), (grid.width - 1, grid.height - 1)):
            window = RasterWindow(column, row, 1, 1)
            dataset.write(dataset.read(1, window=window), 1, window=window)
    factors: list[int] = []
    while max(grid.width, grid.height) / 2 ** len(factors) >= TILE:
        factors.append(2 ** (len(factors) + 1))
    if factors:
        # In a handle of its own: after a tile was written anew, GDAL 3.10 refuses overviews in the same one.
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews(factors, Resampling.nearest)
