"""Class probabilities over a whole slide: one uint8 band per class, 0..255 for 0..1."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from hooknet.coordinates import RasterGrid
from hooknet.io.atomic import atomic
from hooknet.io.rasters import quiet, read_through, writing

TILE = 512


class ProbabilityWriter:
    """Takes blocks of probabilities in any order; made by :func:`create_probabilities`."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def write(self, column: int, row: int, shares: NDArray[np.uint8]) -> None:
        """Put (K, height, width) uint8 at a column and row inside the raster."""
        _, height, width = shares.shape
        self._dataset.write(shares, window=Window(column, row, width, height))


@contextlib.contextmanager
def create_probabilities(
    path: str | Path, grid: RasterGrid, names: tuple[str, ...]
) -> Iterator[ProbabilityWriter]:
    """A writer of a tiled DEFLATE TIFF with a band per class, named so; in place once the block ends well."""
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(names),
        "width": grid.width,
        "height": grid.height,
    }
    layout = {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "interleave": "band"}
    size = {"compress": "DEFLATE", "sparse_ok": True, "BIGTIFF": "IF_SAFER", "photometric": "MINISBLACK"}
    description = {"format": "hooknet probabilities 1", "spacing": grid.spacing, "classes": names}
    with writing(path), atomic(path) as partial:
        with quiet():
            dataset = rasterio.open(partial, "w", **profile, **layout, **size)
        with dataset:
            per_cm = repr(1e4 / grid.spacing)
            dataset.update_tags(
                TIFFTAG_IMAGEDESCRIPTION=json.dumps(description),
                TIFFTAG_XRESOLUTION=per_cm,
                TIFFTAG_YRESOLUTION=per_cm,
                TIFFTAG_RESOLUTIONUNIT="3",
            )
            for band, name in enumerate(names, start=1):
                dataset.set_band_description(band, name)
            yield ProbabilityWriter(dataset)
        read_through(partial)
