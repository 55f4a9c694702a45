"""How sure a map is, over a whole slide: a uint8 band for each measure, 1..255 for 0..1, 0 where nothing is predicted.

As in masks (``io.masks``) the exact spacing and step stand, with the names of the bands and their scale, as JSON in the
image description.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.io.atomic import atomic
from hooknet.io.masks import told_made
from hooknet.io.probabilities import Kind, Probabilities, ProbabilityWriter
from hooknet.io.spool import Spool
from hooknet.io.tiles import OPEN_TILES, Plane, write_tiff

FORMAT = "hooknet uncertainty 1"
ENTROPY = "entropy"
KIND = Kind(FORMAT, "bands", "name", "uncertainty")
#: Predicted px are 1..255 for 0..1; 0 is not predicted.
LEVELS: Final = 254
SCALE = f"share = (value - 1) / {LEVELS} of log K, K the number of classes; value 0: not predicted"


@contextlib.contextmanager
def create_uncertainty(
    path: str | Path, grid: RasterGrid, bands: Sequence[str], made: Mapping[str, str] | None = None
) -> Iterator[ProbabilityWriter]:
    """A writer of a tiled DEFLATE TIFF with the named bands; in place once the block ends well.

    ``made`` tells what it was made of.
    """
    path = Path(path)
    description = {
        "format": FORMAT,
        "spacing": grid.spacing,
        "step": [grid.step_x, grid.step_y],
        "bands": list(bands),
        "scale": SCALE,
        "made": told_made(made),
    }
    with atomic(path) as partial, Spool(path) as spool:
        share = max(1, OPEN_TILES // len(bands))
        planes = [Plane(spool, grid.width, grid.height, smooth=True, open_tiles=share) for _ in bands]
        yield ProbabilityWriter(planes)
        write_tiff(partial, path, [planes], grid.spacing, json.dumps(description), bands)


def open_uncertainty(path: str | Path) -> Probabilities:
    """What :func:`create_uncertainty` wrote, read as probabilities are; MaskError where it is no such file."""
    return Probabilities.open(path, KIND)


def read_entropy(path: str | Path, grid: RasterGrid) -> NDArray[np.uint8]:
    """The band ``entropy`` as a ``grid`` over the same slide has it: (height, width), 1..255 for 0..1, 0 not predicted.

    The value under each pixel's centre.  MaskError where the file has no such band.
    """
    with open_uncertainty(path) as found:
        if ENTROPY not in found.names:
            raise MaskError(
                f"{path}: found bands {list(found.names)}, wanted {ENTROPY!r} among them; infer again"
            )
        bands = found.read_as(grid, 0, 0, grid.width, grid.height)
        entropy: NDArray[np.uint8] = bands[found.names.index(ENTROPY)]
        return entropy
