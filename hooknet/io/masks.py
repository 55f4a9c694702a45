"""Label masks, tissue masks and maps: single-band uint8 pyramids over a whole slide.

On disk: tiled (Big)TIFF, DEFLATE, 512 px tiles, tiles that hold only 0 left out, overviews by powers of two,
min-is-black (``io.tiles``).  OpenSlide, QuPath and ASAP open it and take the spacing from the resolution tags;
those are rational numbers and round, so the exact spacing and step stand, with the class names and colours, as
JSON in the image description, and only that is read back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isclose
from pathlib import Path
from typing import Any

import numpy as np

import hooknet
from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.io.atomic import atomic
from hooknet.io.rasters import Indices, LabelRaster, Labels, open_single_band
from hooknet.io.spool import Spool
from hooknet.io.tiles import Plane, number_of_overviews, overviews, write_tiff

FORMAT = "hooknet label mask 1"


@dataclass(frozen=True)
class Mask(LabelRaster):
    """A raster this package wrote: the exact grid, class ``names`` and ``colours``, value 1 first.

    ``made``: by which version, of a map also of which run, settings, weights and slide.
    """

    names: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    made: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def open(cls, path: str | Path) -> Mask:
        """The mask in a file; MaskError when it is missing, not readable, or not one of ours."""
        path = Path(path)
        with open_single_band(path) as dataset:
            description = dataset.tags().get("TIFFTAG_IMAGEDESCRIPTION", "")
            size = dataset.width, dataset.height
            whole = _is_whole(path, dataset)
        try:
            stored = json.loads(description)
            if stored["format"] != FORMAT:
                raise ValueError(stored["format"])
            grid = RasterGrid(*size, float(stored["spacing"]), *(float(step) for step in stored["step"]))
            names = tuple(str(one["name"]) for one in stored["classes"])
            colours = tuple(_rgb(one["colour"]) for one in stored["classes"])
            made = {str(key): str(value) for key, value in stored.get("made", {}).items()}
            if not names or not all(0 < one < inf for one in (grid.spacing, grid.step_x, grid.step_y)):
                raise ValueError(grid)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise MaskError(
                f"{path}: the image description does not say {FORMAT!r} with its spacing and classes; "
                "wanted a mask written by this package"
            ) from error
        if not whole:
            raise MaskError(f"{path}: cut short, perhaps by a copy; copy it or make it again")
        return cls(path, grid, names, colours, made)

    @property
    def palette(self) -> dict[int, tuple[int, int, int]]:
        """Value -> red, green, blue."""
        return dict(enumerate(self.colours, start=1))

    def check_same_slide(self, other: RasterGrid) -> None:
        """As for any raster; MaskError also where the two take the slide to be of different spacing."""
        super().check_same_slide(other)
        mine, theirs = _slide_spacing(self.grid), _slide_spacing(other)
        # Not "any differs": a spacing that is not a number must not pass.
        if not all(isclose(one, its, rel_tol=1e-6) for one, its in zip(mine, theirs, strict=True)):
            raise MaskError(
                f"{self.path}: its slide has {mine[0]:g} x {mine[1]:g} µm/px, wanted {theirs[0]:g} x {theirs[1]:g}: "
                "the rasters belong to "
                "different slides, or to one slide under two spacings"
            )

    def _read(self, column: int, row: int, width: int, height: int) -> Labels:
        labels = super()._read(column, row, width, height)
        if labels.max(initial=0) > len(self.names):
            raise MaskError(
                f"{self.path}: found value {labels.max()}, wanted 0..{len(self.names)}, the classes it names; it is "
                "damaged or was edited, make it again"
            )
        return labels

    def _under(
        self, grid: RasterGrid, column: int, row: int, width: int, height: int
    ) -> tuple[Indices, Indices]:
        return self.grid.columns_of(grid, column, width), self.grid.rows_of(grid, row, height)


def _slide_spacing(grid: RasterGrid) -> tuple[float, float]:
    """Size of a level-0 px in µm, as the grid takes it."""
    return grid.spacing / grid.step_x, grid.spacing / grid.step_y


def _is_whole(path: Path, dataset: Any) -> bool:
    """Whether a file of ours has its end: what is written last is the smallest overview's only tile."""
    reduced = len(dataset.overviews(1))
    if reduced < number_of_overviews(dataset.width, dataset.height):
        return False
    level = {"ovr": reduced - 1} if reduced else {}
    start, count = (
        dataset.get_tag_item(f"BLOCK_{one}_0_0", "TIFF", 1, **level) for one in ("OFFSET", "SIZE")
    )
    return int(start or 0) + int(count or 0) <= path.stat().st_size


def _rgb(colour: str) -> tuple[int, int, int]:
    """#rrggbb as three numbers."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


class MaskWriter:
    """Takes blocks of class values in any order; made by :func:`create_mask`."""

    def __init__(self, plane: Plane, path: Path, highest: int) -> None:
        self._plane = plane
        self._path = path
        self._highest = highest

    def write(self, column: int, row: int, labels: Labels) -> None:
        """Put (height, width) uint8 values at a column and row; what lies outside the raster is dropped.

        A later write replaces an earlier one, zeros too.  Whole tiles are written fastest.  MaskError for a value
        that no class has.
        """
        if labels.dtype != np.uint8 or labels.ndim != 2:
            raise TypeError(f"wanted a 2-D uint8 array, found {labels.ndim}-D {labels.dtype}")
        left, top = max(-column, 0), max(-row, 0)
        inside = labels[top : max(self._plane.height - row, 0), left : max(self._plane.width - column, 0)]
        if not inside.size:
            return
        if int(inside.max()) > self._highest:
            raise MaskError(f"{self._path}: found value {inside.max()}, wanted at most {self._highest}")
        self._plane.write(column + left, row + top, inside)


@contextlib.contextmanager
def create_mask(
    path: str | Path,
    grid: RasterGrid,
    names: tuple[str, ...],
    palette: Mapping[int, tuple[int, int, int]],
    made: Mapping[str, str] | None = None,
) -> Iterator[MaskWriter]:
    """A writer of a mask whose values 1..K have these names and colours; ``made`` tells what it was made of.

    The file is at ``path``, with its overviews, once the block ends well; on an exception nothing is left
    behind.  The same writes in the same order give the same bytes.
    """
    path = Path(path)
    with atomic(path) as partial, Spool(path) as spool:
        base = Plane(spool, grid.width, grid.height)
        yield MaskWriter(base, path, len(names))
        levels = overviews(base)
        # OpenSlide takes the rectangle of the tiles that are there for the bounds of the slide, and QuPath would
        # show the mask cropped to it, that is shifted.
        base.keep((0, 0))
        base.keep((base.counts.shape[0] - 1, base.counts.shape[1] - 1))
        images = [[base], *([one] for one in levels)]
        description = {**_description(grid, names, palette), "made": told_made(made)}
        write_tiff(partial, path, images, grid.spacing, json.dumps(description))


def _description(
    grid: RasterGrid, names: tuple[str, ...], palette: Mapping[int, tuple[int, int, int]]
) -> dict[str, Any]:
    """Everything exactly for :meth:`Mask.open`."""
    classes = [
        {"name": name, "colour": "#" + bytes(palette[value]).hex()}
        for value, name in enumerate(names, start=1)
    ]
    step = [grid.step_x, grid.step_y]
    return {"format": FORMAT, "spacing": grid.spacing, "step": step, "classes": classes}


def told_made(made: Mapping[str, str] | None) -> dict[str, str]:
    """What a file says it was made of, and by which version of this package."""
    return {"by": f"hooknet {hooknet.__version__}", **(made or {})}
