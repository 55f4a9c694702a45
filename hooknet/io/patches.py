"""Pixels and labels around a centre: the one place where views of several spacings meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import PatchSpec, concentric_windows, nearest_index
from hooknet.io.rasters import LabelRaster, Labels
from hooknet.io.slides import Slide


def read_views(slide: Slide, x: float, y: float, spec: PatchSpec) -> NDArray[np.uint8]:
    """Concentric views (branches, size, size, channels) uint8 around level-0 (x, y), target first; fill outside."""
    windows = concentric_windows(x, y, spec, slide.spacing)
    return np.stack([slide.read(window, (spec.size, spec.size)) for window in windows])


def labels_around(mask: LabelRaster, x: float, y: float, size: int, spacing: float) -> Labels:
    """Labels (size, size) at ``spacing`` around level-0 (x, y): each the mask's value under a pixel centre.

    0 outside the mask.  Memory: the mask's pixels under the patch.
    """
    ratio = spacing / mask.grid.spacing
    left = x / (mask.grid.step_x * ratio) - size / 2  # px at ``spacing``
    top = y / (mask.grid.step_y * ratio) - size / 2
    columns, rows = nearest_index(left, size, ratio), nearest_index(top, size, ratio)
    width, height = int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1
    block = mask.read(int(columns[0]), int(rows[0]), width, height)
    return np.ascontiguousarray(block[np.ix_(rows - rows[0], columns - columns[0])])
