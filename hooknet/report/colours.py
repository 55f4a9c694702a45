"""Whether readers can tell the classes' colours apart, also those who see red and green alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hooknet.labels import LabelClass

Floats = NDArray[np.float64]

# Of CIE Lab; about five times what is just seen side by side.
CLOSE = 12.0
# Linear RGB as seen without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "with normal sight": np.eye(3),
    "without red cones (protanopia)": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "without green cones (deuteranopia)": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
# Linear sRGB -> CIE XYZ, and its white (IEC 61966-2-1, D65).
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ.sum(axis=1)


def close_colours(classes: Sequence[LabelClass]) -> list[str]:
    """A line for each pair of classes whose colours are hard to tell apart, and for whom."""
    told = []
    for one, other in combinations(classes, 2):
        whom = [how for how, matrix in VISION.items() if distance(one.rgb, other.rgb, matrix) < CLOSE]
        if whom:
            told.append(
                f"the colours of {one.name} ({one.colour}) and {other.name} ({other.colour}) are hard to tell apart"
                f" {whom[0]}; give one another colour in the label map"
            )
    return told


def distance(
    one: tuple[int, int, int], other: tuple[int, int, int], vision: Floats = VISION["with normal sight"]
) -> float:
    """The distance in CIE Lab (1976) of two sRGB colours, each seen through a matrix on linear RGB."""
    return float(np.linalg.norm(_lab(one, vision) - _lab(other, vision)))


def _lab(rgb: tuple[int, int, int], vision: Floats) -> Floats:
    share = np.array(rgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    ratio = _XYZ @ np.clip(vision @ linear, 0, 1) / _WHITE
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
