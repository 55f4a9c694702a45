"""Pieces of any size and place, written as whole blocks: each once, as soon as nothing more comes to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 512

Piece = NDArray[np.uint8]
Place = tuple[int, int]


class Canvas:
    """Collects square pieces (bands, side, side) and hands out blocks of BLOCK px.

    ``write(column, row, block)`` is called once for every block that got a value, when the last of the pieces
    that touch it is pasted.  Memory: the blocks that several pieces touch and not all of them are there; with
    pieces that come row by row that is a row of blocks at most, and none where the pieces' sides lie on blocks'.
    """

    def __init__(self, width: int, height: int, bands: int, write: Callable[[int, int, Piece], None]) -> None:
        self._width, self._height, self.bands = width, height, bands
        self._write = write
        self._open: dict[Place, Piece] = {}  # (block column, block row) -> block
        self._awaited: Counter[Place] = Counter()

    def expect(self, places: Iterable[Place], side: int) -> None:
        """Say once which pieces will come: their (column, row), which may be negative, and their side in px."""
        for place in places:
            self._awaited.update(self._blocks_under(*place, side, side))

    def paste(self, column: int, row: int, piece: Piece) -> None:
        """Add an expected piece; parts outside the canvas are dropped, zeros leave what is there."""
        for block in self._blocks_under(column, row, piece.shape[2], piece.shape[1]):
            self._paste_into(block, column, row, piece)
            self._awaited[block] -= 1
            if self._awaited[block] <= 0:
                del self._awaited[block]
                finished = self._open.pop(block, None)
                if finished is not None:
                    self._write(block[0] * BLOCK, block[1] * BLOCK, finished)

    def finish(self) -> None:
        """Write what is left: blocks under pieces that were expected and did not come."""
        for block in sorted(self._open, key=lambda one: one[::-1]):
            self._write(block[0] * BLOCK, block[1] * BLOCK, self._open.pop(block))

    def _blocks_under(self, column: int, row: int, width: int, height: int) -> Iterator[Place]:
        last_row, last_column = min(row + height, self._height), min(column + width, self._width)
        for block_row in range(max(row, 0) // BLOCK, -(-last_row // BLOCK)):
            for block_column in range(max(column, 0) // BLOCK, -(-last_column // BLOCK)):
                yield block_column, block_row

    def _paste_into(self, block: Place, column: int, row: int, piece: Piece) -> None:
        x0, y0 = block[0] * BLOCK, block[1] * BLOCK
        x1, y1 = min(x0 + BLOCK, self._width), min(y0 + BLOCK, self._height)
        top, bottom = max(row, y0), min(row + piece.shape[1], y1)
        left, right = max(column, x0), min(column + piece.shape[2], x1)
        part = piece[:, top - row : bottom - row, left - column : right - column]
        if not part.any():
            return
        if block not in self._open:
            self._open[block] = np.zeros((self.bands, y1 - y0, x1 - x0), np.uint8)
        inside = self._open[block][:, top - y0 : bottom - y0, left - x0 : right - x0]
        np.copyto(inside, part, where=part != 0)
