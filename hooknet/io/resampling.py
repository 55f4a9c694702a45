"""A block of pixels seen through a coarser (or slightly finer) grid at any offset, exactly.

Floats from the first weight to the one rounding at the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Block = NDArray[np.uint8]

# Two grids closer than this fraction of a pixel are the same grid.
SAME = 1e-4


def resample(
    block: Block, offset: tuple[float, float], step: tuple[float, float], size: tuple[int, int]
) -> Block:
    """``size`` = (width, height) pixels of ``step`` = (x, y) block px each, the first starting at ``offset``.

    Where a step is 1 or more every pixel is the area average of what it covers; where it is less, pixel
    centres are interpolated linearly.  What lies outside ``block`` (height, width, channels) repeats its edge.
    """
    # Where the last pixel is still in place, so are all between: a step that is not quite 1 adds up.
    drift = max(abs(one - 1) * count for one, count in zip(step, size, strict=True))
    if drift < SAME and all(abs(one - round(one)) < SAME for one in offset):
        return _cut(block, (round(offset[0]), round(offset[1])), size)
    height, width, channels = block.shape
    rows = axis_weights(height, offset[1], step[1], size[1])
    columns = axis_weights(width, offset[0], step[0], size[0])
    lines = rows @ block.reshape(height, width * channels).astype(np.float32)  # (h, width * channels)
    lines = lines.reshape(size[1], width, channels).transpose(1, 0, 2).reshape(width, -1)
    pixels = (columns @ lines).reshape(size[0], size[1], channels).transpose(1, 0, 2)
    return np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def axis_weights(length: int, offset: float, step: float, count: int) -> sparse.csr_matrix:
    """(count, length) weights along one axis; every row adds up to 1."""
    low: NDArray[np.float64] = offset + np.arange(count, dtype=np.float64) * step
    if step >= 1 - SAME:
        return _area_weights(length, low, step)
    return _linear_weights(length, low + step / 2)


def _area_weights(length: int, low: NDArray[np.float64], step: float) -> sparse.csr_matrix:
    """Share of each source pixel in [low, low + step)."""
    first = np.floor(low + SAME).astype(np.int64)
    reach = int(np.ceil(step)) + 1
    source = first[:, None] + np.arange(reach)  # (count, reach)
    overlap = np.minimum(source + 1, (low + step)[:, None]) - np.maximum(source, low[:, None])
    # An overlap of a rounding error would drag in a pixel that is not there.
    overlap = np.where(overlap > SAME, overlap, 0.0)
    return _matrix(source, overlap / overlap.sum(axis=1, keepdims=True), length)


def _linear_weights(length: int, centres: NDArray[np.float64]) -> sparse.csr_matrix:
    """Weights of the two source pixels whose centres enclose each of ``centres``."""
    first = np.floor(centres - 0.5).astype(np.int64)
    share = centres - 0.5 - first
    return _matrix(np.stack([first, first + 1], axis=1), np.stack([1 - share, share], axis=1), length)


def _matrix(source: NDArray[np.int64], weights: NDArray[np.float64], length: int) -> sparse.csr_matrix:
    count, reach = source.shape
    rows = np.repeat(np.arange(count), reach)
    columns = np.clip(source, 0, length - 1).ravel()  # beyond the block its edge goes on
    return sparse.csr_matrix((weights.ravel().astype(np.float32), (rows, columns)), shape=(count, length))


def _cut(block: Block, offset: tuple[int, int], size: tuple[int, int]) -> Block:
    rows = np.clip(np.arange(offset[1], offset[1] + size[1]), 0, block.shape[0] - 1)
    columns = np.clip(np.arange(offset[0], offset[0] + size[0]), 0, block.shape[1] - 1)
    if rows[-1] - rows[0] + 1 == size[1] and columns[-1] - columns[0] + 1 == size[0]:
        return np.ascontiguousarray(block[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return block[rows[:, None], columns]
