"""Pieces of any size and place, written as whole blocks: each block once, in order, so memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

BLOCK = 512

Piece = NDArray[np.uint8]


class Canvas:
    """Collects pieces (bands, height, width) that come from top to bottom and hands out blocks of BLOCK px.

    ``write(column, row, block)`` is called once for every block that got a value, row by row.
    """

    def __init__(self, width: int, height: int, bands: int, write: Callable[[int, int, Piece], None]) -> None:
        self._width, self._height, self._bands = width, height, bands
        self._write = write
        self._open: dict[tuple[int, int], Piece] = {}  # (block row, block column) -> block

    def paste(self, column: int, row: int, piece: Piece) -> None:
        """Add a piece; parts outside the canvas are dropped, zeros leave what is there."""
        left, top = max(0, -column), max(0, -row)
        piece = piece[:, top : max(0, self._height - row), left : max(0, self._width - column)]
        column, row = column + left, row + top
        _, height, width = piece.shape
        for block_row in range(row // BLOCK, -(-(row + height) // BLOCK)):
            for block_column in range(column // BLOCK, -(-(column + width) // BLOCK)):
                self._paste_into(block_row, block_column, column, row, piece)

    def _paste_into(self, block_row: int, block_column: int, column: int, row: int, piece: Piece) -> None:
        y0, x0 = block_row * BLOCK, block_column * BLOCK
        y1, x1 = min(y0 + BLOCK, self._height), min(x0 + BLOCK, self._width)
        top, bottom = max(row, y0), min(row + piece.shape[1], y1)
        left, right = max(column, x0), min(column + piece.shape[2], x1)
        part = piece[:, top - row : bottom - row, left - column : right - column]
        if not part.any():
            return
        key = (block_row, block_column)
        if key not in self._open:
            self._open[key] = np.zeros((self._bands, y1 - y0, x1 - x0), np.uint8)
        inside = self._open[key][:, top - y0 : bottom - y0, left - x0 : right - x0]
        np.copyto(inside, part, where=part != 0)

    def flush_above(self, row: int) -> None:
        """Write the blocks that end above ``row``: no piece will come there any more."""
        done = sorted(key for key in self._open if (key[0] + 1) * BLOCK <= row)
        for key in done:
            self._write(key[1] * BLOCK, key[0] * BLOCK, self._open.pop(key))

    def finish(self) -> None:
        """Write what is left."""
        self.flush_above(self._height + BLOCK)
