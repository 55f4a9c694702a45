"""How sure a map is, over a whole slide: a uint8 band for each measure, 1..255 for 0..1, 0 where nothing is predicted.

As in masks (``io.masks``) the exact spacing and step stand, with the names of the bands and their scale, as JSON in the
image description.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hooknet.coordinates import RasterGrid
from hooknet.io.atomic import atomic
from hooknet.io.masks import told_made
from hooknet.io.probabilities import ProbabilityWriter
from hooknet.io.spool import Spool
from hooknet.io.tiles import OPEN_TILES, Plane, write_tiff

FORMAT = "hooknet uncertainty 1"
SCALE = "share = (value - 1) / 254 of log K, K the number of classes; value 0: not predicted"


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
