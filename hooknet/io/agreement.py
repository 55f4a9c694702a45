"""Where a map agrees with the truth, as a mask of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hooknet.coordinates import blocks
from hooknet.errors import MaskError
from hooknet.io.masks import Mask, create_mask

NAMES = ("agrees", "differs")
AGREES, DIFFERS = 1, 2
# Told apart with any kind of colour vision.
COLOURS = {AGREES: (0x2A, 0x9D, 0x8F), DIFFERS: (0xD8, 0x1B, 0x60)}
BLOCK = 1024


def write_agreement(truth: Mask, prediction: Mask, path: str | Path) -> None:
    """Write a mask on the truth's grid: 1 agrees, 2 differs (also where nothing is predicted), 0 not annotated.

    The prediction is taken under each px centre, as evaluation does.  MaskError when the classes differ, or the two
    do not lie over one slide.
    """
    if truth.names != prediction.names:
        raise MaskError(
            f"{prediction.path}: classes are {', '.join(prediction.names)}, those of {truth.path} are "
            f"{', '.join(truth.names)}: make both with one label map"
        )
    truth.check_same_slide(prediction.grid)
    with create_mask(path, truth.grid, NAMES, COLOURS) as writer:
        for block in blocks(truth.grid.width, truth.grid.height, BLOCK):
            if truth.is_empty(*block):
                continue
            annotated = truth.read(*block)
            if annotated.any():
                same = annotated == prediction.read_as(truth.grid, *block)
                found = np.where(same, AGREES, DIFFERS).astype(np.uint8)
                found[annotated == 0] = 0
                writer.write(block[0], block[1], found)
