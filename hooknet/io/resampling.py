"""A block of pixels seen through a coarser (or slightly finer) grid at any offset, exactly.

Floats from the first weight to the one rounding at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Block = NDArray[np.uint8]
Indices = NDArray[np.int64]
Shares = NDArray[np.float64]
Floats = NDArray[np.float32]

# Two grids closer than this fraction of a pixel are the same grid.
SAME = 1e-4
# Closer than this, weights of 1 / step come out exact in single precision, so sums of integers give the same.
EXACT = 1e-8
# A mean over step x step px is exact in single precision where step is one of these.
WHOLE_STEPS = (2, 4, 8, 16)
# Floats averaged at once: they stay in the processor's cache, and memory does not grow with the window.
BAND = 1 << 18


@dataclass(frozen=True)
class Piece:
    """Columns (or rows) of a block that lie on one grid.

    The first of them is the block's pixel ``index``; it starts at ``start``, and those after it 1 apart.  They
    speak for what lies from ``low`` to ``high``: all but ``index`` in the frame of ``resample``'s offset.
    """

    index: int
    start: float
    low: float
    high: float


#: A block that is one grid from its first pixel on.
WHOLE_BLOCK = (Piece(0, 0.0, -inf, inf),)
Pieces = tuple[Sequence[Piece], Sequence[Piece]]


def resample(
    block: Block,
    offset: tuple[float, float],
    step: tuple[float, float],
    size: tuple[int, int],
    pieces: Pieces = (WHOLE_BLOCK, WHOLE_BLOCK),
) -> Block:
    """``size`` = (width, height) pixels of ``step`` = (x, y) block px each, the first starting at ``offset``.

    Where a step is 1 or more every pixel is the area average of what it covers; where it is less, pixel
    centres are interpolated linearly.  What lies outside ``block`` (height, width, channels) repeats its edge.
    ``pieces`` say along x and y where the block's pixels lie, if not one after the other.  The result may be a
    view of ``block``.
    """
    if pieces != (WHOLE_BLOCK, WHOLE_BLOCK):
        return _weighted_means(block, offset, step, size, pieces)
    # Where the last pixel is still in place, so are all between: a step that is not quite 1 adds up.
    if _on_grid(offset, step, (1, 1), size, SAME):
        return _cut(block, (round(offset[0]), round(offset[1])), size)
    whole = (round(step[0]), round(step[1]))
    if whole[0] == whole[1] in WHOLE_STEPS and _on_grid(offset, step, whole, size, EXACT):
        left, top = round(offset[0]), round(offset[1])
        height, width = size[1] * whole[1], size[0] * whole[0]
        if left >= 0 and top >= 0 and top + height <= block.shape[0] and left + width <= block.shape[1]:
            return _whole_means(block[top : top + height, left : left + width], whole[0])
    return _weighted_means(block, offset, step, size, pieces)


def axis_weights(
    length: int, offset: float, step: float, count: int, pieces: Sequence[Piece] = WHOLE_BLOCK
) -> sparse.csr_matrix:
    """(count, length) weights along one axis; every row adds up to 1."""
    return _matrix(*_shares(offset, step, count, pieces), length)


def _on_grid(
    offset: tuple[float, float],
    step: tuple[float, float],
    whole: tuple[int, int],
    size: tuple[int, int],
    within: float,
) -> bool:
    """Whether all pixels start and end, ``within`` block px, at corners of block px ``whole`` apart."""
    return all(
        abs(one - near) * count < within and abs(start - round(start)) < within
        for one, near, count, start in zip(step, whole, size, offset, strict=True)
    )


def _cut(block: Block, offset: tuple[int, int], size: tuple[int, int]) -> Block:
    rows = np.clip(np.arange(offset[1], offset[1] + size[1]), 0, block.shape[0] - 1)
    columns = np.clip(np.arange(offset[0], offset[0] + size[0]), 0, block.shape[1] - 1)
    if rows[-1] - rows[0] + 1 == size[1] and columns[-1] - columns[0] + 1 == size[0]:
        return np.ascontiguousarray(block[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return block[rows[:, None], columns]


def _whole_means(block: Block, step: int) -> Block:
    """Means of the squares of ``step`` px that ``block`` consists of, as sums of integers (at most 16 bits)."""
    lines = block[::step].astype(np.uint16)
    for row in range(1, step):
        lines += block[row::step]
    sums = np.empty((lines.shape[0], lines.shape[1] // step, lines.shape[2]), np.uint16)
    # Channel by channel: inner loops run over columns and not over three channels.
    for channel in range(lines.shape[2]):
        sums[..., channel] = lines[:, ::step, channel]
        for column in range(1, step):
            sums[..., channel] += lines[:, column::step, channel]
    return _rounded(sums * np.float32(1 / step**2))


def _weighted_means(
    block: Block,
    offset: tuple[float, float],
    step: tuple[float, float],
    size: tuple[int, int],
    pieces: Pieces,
) -> Block:
    height, width, channels = block.shape
    flat = block.reshape(height, width * channels)
    source, weights = _shares(offset[1], step[1], size[1], pieces[1])
    columns = _Columns(*_shares(offset[0], step[0], size[0], pieces[0]), width, channels)
    found = np.empty((size[1], size[0] * channels), np.uint8)
    rows_at_once = max(1, int(BAND / (width * channels * max(step[1], 1.0))))
    for top in range(0, size[1], rows_at_once):
        band = slice(top, top + rows_at_once)
        # The rows that this band covers; beyond the block its edge goes on.
        covered = source[band][weights[band] > 0]
        first, last = np.clip((covered.min(), covered.max()), 0, height - 1)
        rows = flat[first : last + 1].astype(np.float32)
        found[band] = columns.means(_row_means(rows, source[band] - first, weights[band]))
    return found.reshape(size[1], size[0], channels)


def _row_means(rows: Floats, source: Indices, weights: Shares) -> Floats:
    """Weighted sums of rows, one for each of ``source``."""
    shifts = _shifts(source, weights, len(rows))
    if not shifts:
        means: Floats = _matrix(source, weights, len(rows)) @ rows
        return means
    return _sum(rows[first : first + len(source)] * share[:, None] for first, share in shifts)


class _Columns:
    """Weighted sums along the rows (height, width * channels) of a block."""

    def __init__(self, source: Indices, weights: Shares, width: int, channels: int) -> None:
        self._channels = channels
        self._count = len(source) * channels
        self._shifts = _shifts(source, weights, width)
        self._matrix = None if self._shifts else _matrix(source, weights, width, channels)

    def means(self, lines: Floats) -> Block:
        """Rounded."""
        if self._matrix is not None:
            return _rounded(self._matrix @ np.ascontiguousarray(lines.T)).T
        found = _sum(
            lines[:, first * self._channels :][:, : self._count] * share.repeat(self._channels)
            for first, share in self._shifts
        )
        return _rounded(found)


def _shifts(source: Indices, weights: Shares, length: int) -> list[tuple[int, Floats]]:
    """For pixels each of which lies 1 after the one before: the first source pixel and all weights, rank by rank.

    Whole rows are then added at once.  Empty for any others, and where the edge goes on.
    """
    if (source != source[:1] + np.arange(len(source))[:, None]).any():
        return []
    ranks = np.flatnonzero(weights.any(axis=0))
    first, last = source[0, ranks[0]], source[-1, ranks[-1]]
    if first < 0 or last >= length:
        return []
    return [(int(source[0, rank]), weights[:, rank].astype(np.float32)) for rank in ranks]


def _sum(parts: Iterator[Floats]) -> Floats:
    total = next(parts)
    for one in parts:
        total += one
    return total


def _rounded(values: Floats) -> Block:
    """Half to even.  Means of 0..255 exceed it by a rounding error at most, so nothing has to be cut off."""
    found = np.empty(values.shape, np.uint8)
    np.rint(values, out=found, casting="unsafe")
    return found


def _shares(offset: float, step: float, count: int, pieces: Sequence[Piece]) -> tuple[Indices, Shares]:
    """Source pixels (count, reach), which may lie outside the block, and the weight of each."""
    low: Shares = offset + np.arange(count, dtype=np.float64) * step
    of_step = _area_shares if step >= 1 - SAME else _linear_shares
    found = [of_step(low, step, piece) for piece in pieces]
    source = np.concatenate([one for one, _ in found], axis=1)
    weights = np.concatenate([one for _, one in found], axis=1)
    return source, weights / weights.sum(axis=1, keepdims=True)


def _area_shares(low: Shares, step: float, piece: Piece) -> tuple[Indices, Shares]:
    """How much of each source pixel of a piece lies in [low, low + step)."""
    high = np.clip(low + step, piece.low, piece.high)[:, None] - piece.start
    low = np.clip(low, piece.low, piece.high) - piece.start
    first = np.floor(low + SAME).astype(np.int64)
    reach = int(np.ceil(step)) + 1
    source = first[:, None] + np.arange(reach)  # (count, reach)
    overlap = np.minimum(source + 1, high) - np.maximum(source, low[:, None])
    # An overlap of a rounding error would drag in a pixel that is not there.
    return source + piece.index, np.where(overlap > SAME, overlap, 0.0)


def _linear_shares(low: Shares, step: float, piece: Piece) -> tuple[Indices, Shares]:
    """Weights of the two source pixels of a piece whose centres enclose each pixel's centre."""
    centres = low + step / 2
    first = np.floor(centres - piece.start - 0.5).astype(np.int64)
    share = centres - piece.start - 0.5 - first
    weights = np.stack([1 - share, share], axis=1)
    weights[(centres < piece.low) | (centres >= piece.high)] = 0
    return np.stack([first, first + 1], axis=1) + piece.index, weights


def _matrix(source: Indices, weights: Shares, length: int, channels: int = 1) -> sparse.csr_matrix:
    """(count * channels, length * channels): each row weighs pixels of one channel, interleaved as in a block."""
    count, reach = source.shape
    inside = np.clip(source, 0, length - 1).astype(np.int32)  # beyond the block its edge goes on
    across = np.arange(channels, dtype=np.int32)[:, None]
    columns = inside[:, None, :] * channels + across  # (count, channels, reach)
    shares = np.repeat(weights.astype(np.float32), channels, axis=0)
    starts = np.arange(0, columns.size + 1, reach, dtype=np.int32)
    shape = (count * channels, length * channels)
    matrix = sparse.csr_matrix((shares.ravel(), columns.ravel(), starts), shape=shape)
    if inside[0, 0] != source[0, 0] or inside[-1, -1] != source[-1, -1]:
        matrix.sum_duplicates()  # one weight a pixel, where the edge is repeated too
    return matrix
