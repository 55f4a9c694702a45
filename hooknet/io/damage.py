"""Places of a slide that cannot be read, noted so that the rest of it can be used."""

from __future__ import annotations

import threading
import zlib
from math import ceil, floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import RasterGrid
from hooknet.errors import SlideError

#: Level-0 px a side of what is noted as one.
CELL = 64


class Damage:
    """What of a slide of ``size`` (width, height) level-0 px cannot be read; for several threads at once."""

    def __init__(self, path: Path, size: tuple[int, int], most: float) -> None:
        """``most``: the share of the slide up to which it is used all the same."""
        self.path = path
        self._most = most
        self._cells = np.zeros((ceil(size[1] / CELL), ceil(size[0] / CELL)), bool)
        self._noting = threading.Lock()

    @property
    def share(self) -> float:
        """Of the slide, in cells."""
        return float(self._cells.mean())

    @property
    def first(self) -> tuple[int, int]:
        """x, y in level-0 px of the topmost cell; (0, 0) where nothing is noted."""
        row, column = np.unravel_index(int(self._cells.argmax()), self._cells.shape)
        return int(column) * CELL, int(row) * CELL

    def note(self, x: float, y: float, width: float, height: float, error: SlideError) -> None:
        """A place in level-0 px that cannot be read; SlideError, as ``error`` says, where that is too much."""
        rows = slice(max(0, floor(y / CELL)), max(0, ceil((y + height) / CELL)))
        columns = slice(max(0, floor(x / CELL)), max(0, ceil((x + width) / CELL)))
        with self._noting:
            self._cells[rows, columns] = True
            share = self.share
        if share > self._most:
            raise SlideError(
                f"{error}; more than {self._most:.3g} of the slide is so, the most that is allowed"
            )

    def noted(self) -> bytes:
        """All that is noted, for :meth:`recall`; no bytes where nothing is."""
        return zlib.compress(np.packbits(self._cells).tobytes()) if self._cells.any() else b""

    def recall(self, noted: bytes) -> None:
        """Note what another process had noted of this slide."""
        if noted:
            cells = np.unpackbits(np.frombuffer(zlib.decompress(noted), np.uint8), count=self._cells.size)
            with self._noting:
                self._cells |= cells.reshape(self._cells.shape).astype(bool)

    def pixels(self, grid: RasterGrid, column: int, row: int, width: int, height: int) -> NDArray[np.bool_]:
        """Which of a block of ``grid``'s px (height, width) lie, by their centres, where the slide cannot be read."""
        if not self._cells.any():
            return np.zeros((height, width), bool)
        across, down = (
            ((start + np.arange(length) + 0.5) * step // CELL).astype(np.intp)
            for start, length, step in ((column, width, grid.step_x), (row, height, grid.step_y))
        )
        inside_x = (across >= 0) & (across < self._cells.shape[1])
        inside_y = (down >= 0) & (down < self._cells.shape[0])
        found = np.zeros((height, width), bool)
        found[np.ix_(inside_y, inside_x)] = self._cells[np.ix_(down[inside_y], across[inside_x])]
        return found
