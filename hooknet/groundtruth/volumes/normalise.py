"""From scanners' numbers to bytes: one map for all volumes of a kind, so that a byte means the same in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hooknet.errors import SlideError
from hooknet.io.nifti import Volume

Values = NDArray[np.float64]
Bytes = NDArray[np.uint8]

#: Byte 0 and byte 255 of z-scores.
LOWEST_Z: Final = -4.0
HIGHEST_Z: Final = 6.0
#: Of MR the outermost voxels are cut off at these percentiles.
PERCENTILES: Final = (0.5, 99.5)
#: Window of soft tissue in Hounsfield units: centre and width.
WINDOW: Final = (40.0, 400.0)


@dataclass(frozen=True)
class Normalised:
    """``pixels`` as the volume's voxels; ``fill`` the byte outside the body; ``clipped`` voxels beyond the bytes."""

    pixels: Bytes
    fill: int
    clipped: int


Normalise = Callable[[Volume], Normalised]


def z_to_byte(z: Values) -> tuple[Bytes, int]:
    """Bytes of z-scores, round((z + 4) / 10 · 255), and how many were beyond 0..255."""
    scaled = np.rint((z - LOWEST_Z) / (HIGHEST_Z - LOWEST_Z) * 255)
    clipped = int(np.count_nonzero((scaled < 0) | (scaled > 255)))
    return np.clip(scaled, 0, 255).astype(np.uint8), clipped


def mr(volume: Volume) -> Normalised:
    """Cut off at the 0.5th and 99.5th percentile of the volume, then z-scores; outside is what is least."""
    values = volume.voxels.astype(np.float64)
    values = np.clip(values, *np.percentile(values, PERCENTILES))
    z = _scores(values, values, volume)
    pixels, clipped = z_to_byte(z)
    return Normalised(pixels, int(pixels.min()), clipped)


def brain_mr(volume: Volume) -> Normalised:
    """Z-scores of the brain, where voxels are not 0; all others become z = 0, which is also what is outside."""
    values = volume.voxels.astype(np.float64)
    brain = values != 0
    if not brain.any():
        raise SlideError(f"{volume.path}: found zeros only, wanted a brain; copy the file again")
    z = np.where(brain, _scores(values, values[brain], volume), 0.0)
    pixels, clipped = z_to_byte(z)
    return Normalised(pixels, int(z_to_byte(np.zeros(1))[0][0]), clipped)


def ct(volume: Volume) -> Normalised:
    """Hounsfield units through the window of soft tissue: -160 becomes 0, 240 becomes 255; outside is air."""
    centre, width = WINDOW
    share = (volume.voxels.astype(np.float64) - (centre - width / 2)) / width
    return Normalised(np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8), 0, 0)


def _scores(values: Values, of: Values, volume: Volume) -> Values:
    """``values`` from the mean of some, in their standard deviations."""
    deviation = float(of.std())
    if deviation == 0:
        raise SlideError(
            f"{volume.path}: all its voxels are {of.flat[0]:g}, wanted an image; copy the file again"
        )
    scores: Values = (values - of.mean()) / deviation
    return scores
