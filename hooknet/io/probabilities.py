"""Class probabilities over a whole slide: one uint8 band per class, 0..255 for 0..1."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid
from hooknet.io.atomic import atomic
from hooknet.io.spool import Spool
from hooknet.io.tiles import OPEN_TILES, Plane, write_tiff


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
    path: str | Path, grid: RasterGrid, names: tuple[str, ...]
) -> Iterator[ProbabilityWriter]:
    """A writer of a tiled DEFLATE TIFF with a band per class, named so; in place once the block ends well."""
    path = Path(path)
    description = {"format": "hooknet probabilities 1", "spacing": grid.spacing, "classes": names}
    with atomic(path) as partial, Spool(path) as spool:
        share = max(1, OPEN_TILES // len(names))
        planes = [Plane(spool, grid.width, grid.height, smooth=True, open_tiles=share) for _ in names]
        yield ProbabilityWriter(planes)
        write_tiff(partial, path, [planes], grid.spacing, json.dumps(description), names)
