"""Class probabilities over a whole slide: one uint8 band per class, 0..255 for 0..1.

As in masks (``io.masks``) the exact spacing and step stand, with the class names, as JSON in the image description.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.io.atomic import atomic
from hooknet.io.masks import told_made
from hooknet.io.rasters import STRIP_PIXELS, quiet
from hooknet.io.spool import Spool
from hooknet.io.tiles import OPEN_TILES, Plane, write_tiff

FORMAT = "hooknet probabilities 1"
Shares = NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """A raster of uint8 bands: its ``format``, and the ``key`` that its bands' names stand under.

    ``band`` and ``what``: what a band and the whole are called in messages.
    """

    format: str
    key: str
    band: str
    what: str


PROBABILITIES = Kind(FORMAT, "classes", "class", "probabilities")


class ProbabilityWriter:
    """Takes blocks of probabilities in any order; made by :func:`create_probabilities`."""

    def __init__(self, planes: list[Plane]) -> None:
        self._planes = planes

    def write(self, column: int, row: int, shares: NDArray[np.uint8]) -> None:
        """Put (K, height, width) uint8 at a column and row inside the raster."""
        for plane, values in zip(self._planes, shares, strict=True):
            plane.write(column, row, values)


@contextlib.contextmanager
def create_probabilities(
    path: str | Path, grid: RasterGrid, names: tuple[str, ...], made: Mapping[str, str] | None = None
) -> Iterator[ProbabilityWriter]:
    """A writer of a tiled DEFLATE TIFF with a band per class, named so; in place once the block ends well.

    ``made`` tells what they were made of.
    """
    path = Path(path)
    step = [grid.step_x, grid.step_y]
    description = {
        "format": FORMAT,
        "spacing": grid.spacing,
        "step": step,
        "classes": names,
        "made": told_made(made),
    }
    with atomic(path) as partial, Spool(path) as spool:
        share = max(1, OPEN_TILES // len(names))
        planes = [Plane(spool, grid.width, grid.height, smooth=True, open_tiles=share) for _ in names]
        yield ProbabilityWriter(planes)
        write_tiff(partial, path, [planes], grid.spacing, json.dumps(description), names)


@dataclass(frozen=True)
class Probabilities:
    """Probabilities this package wrote: the exact grid, class ``names``, value 1 first, what they were ``made`` of.

    Or other bands of bytes over a slide (:class:`Kind`), which have names of their own.  Not for several threads at
    once.
    """

    path: Path
    grid: RasterGrid
    names: tuple[str, ...]
    _dataset: Any = field(repr=False, compare=False)
    made: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def open(cls, path: str | Path, kind: Kind = PROBABILITIES) -> Probabilities:
        """The probabilities in a file; MaskError when it is missing, not readable, or not one of ours."""
        path = Path(path)
        if not path.is_file():
            raise MaskError(f"{path}: no such file, wanted {kind.what} that infer wrote")
        try:
            with quiet():
                dataset = rasterio.open(path)
        except RasterioError as error:
            raise MaskError(f"{path}: not a readable raster ({error.__cause__ or error})") from error
        try:
            grid, names, made = _told(path, dataset, kind)
            return cls(path, grid, names, dataset, made)
        except MaskError:
            dataset.close()
            raise

    def read_as(self, grid: RasterGrid, column: int, row: int, width: int, height: int) -> Shares:
        """Values (K, height, width) uint8 of a window in px of another ``grid`` over the same slide.

        Each is the value under the pixel's centre (on a corner: the pixel to the right, below); 0 outside, and
        where nothing was predicted.  Memory does not grow with the ratio of the spacings.
        """
        columns = self.grid.columns_of(grid, column, width)
        rows = self.grid.rows_of(grid, row, height)
        shares = np.zeros((len(self.names), height, width), np.uint8)
        across = np.flatnonzero((columns >= 0) & (columns < self.grid.width))
        down = np.flatnonzero((rows >= 0) & (rows < self.grid.height))
        if not across.size or not down.size:
            return shares
        first, end = int(columns[across[0]]), int(columns[across[-1]]) + 1
        ratio = max(grid.spacing / self.grid.spacing, 1.0)
        strip = max(1, int(STRIP_PIXELS / (len(self.names) * (end - first) * ratio)))
        for start in range(0, down.size, strip):
            part = down[start : start + strip]
            top, bottom = int(rows[part[0]]), int(rows[part[-1]]) + 1
            block = self._read(first, top, end - first, bottom - top)
            shares[:, part[:, None], across] = block[:, (rows[part] - top)[:, None], columns[across] - first]
        return shares

    def read_all(self) -> Shares:
        """All of them, (K, height, width) uint8: for heat maps, which are small."""
        return self._read(0, 0, self.grid.width, self.grid.height)

    def _read(self, column: int, row: int, width: int, height: int) -> Shares:
        """All bands of a window that lies inside."""
        try:
            shares: Shares = self._dataset.read(window=RasterWindow(column, row, width, height))
        except RasterioError as error:
            raise MaskError(
                f"{self.path}: cannot read {width} x {height} px at column {column}, row {row} "
                f"({error.__cause__ or error}); the file is damaged, make it again"
            ) from error
        return shares

    def close(self) -> None:
        """Give the file handle back."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _told(path: Path, dataset: Any, kind: Kind) -> tuple[RasterGrid, tuple[str, ...], dict[str, str]]:
    """Grid, names of bands and what it was made of, as the description tells them; MaskError where it does not."""
    try:
        stored = json.loads(dataset.tags().get("TIFFTAG_IMAGEDESCRIPTION", ""))
        if stored["format"] != kind.format:
            raise ValueError(stored["format"])
        names = tuple(str(one) for one in stored[kind.key])
        if dataset.count != len(names) or set(dataset.dtypes) != {"uint8"}:
            raise ValueError(dataset.count)
        spacing = float(stored["spacing"])
        step = stored.get("step")
        made = {str(key): str(value) for key, value in stored.get("made", {}).items()}
        if step is not None:
            grid = RasterGrid(dataset.width, dataset.height, spacing, float(step[0]), float(step[1]))
            if not all(0 < one < inf for one in (grid.spacing, grid.step_x, grid.step_y)):
                raise ValueError(step)
            return grid, names, made
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MaskError(
            f"{path}: the image description does not say {kind.format!r} with a {kind.band} per band of uint8; "
            f"wanted {kind.what} written by this package"
        ) from error
    raise MaskError(
        f"{path}: does not say its step, so where it lies on the slide; it was written by an older version, infer again"
    )
