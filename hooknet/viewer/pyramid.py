"""The deep-zoom pyramid over a slide: one geometry for every layer, so that they cannot lie apart."""

from __future__ import annotations

from dataclasses import dataclass

from hooknet.coordinates import Window

TILE = 256


@dataclass(frozen=True)
class Tile:
    """A tile's first column and row and its size, in px of its level; ``step`` level-0 px a px.

    Pixel (column, row) of the level is the level-0 rectangle from (column · step, row · step) on, ``step`` px a side.
    """

    column: int
    row: int
    width: int
    height: int
    step: int

    @property
    def window(self) -> Window:
        """The tile in level-0 px; at the right and lower edge it may reach beyond the slide by less than a step."""
        return Window(
            self.column * self.step, self.row * self.step, self.width * self.step, self.height * self.step
        )


@dataclass(frozen=True)
class Pyramid:
    """Levels over a slide of (``width``, ``height``) level-0 px: the last is level 0 itself, each half the next.

    As OpenSeadragon (and Deep Zoom) count them: level l has ceil(side / 2^(last - l)) px a side, in tiles of TILE px
    of which the last of a row or column are smaller.  ``first`` is the finest level of one tile; nobody asks for
    coarser ones.
    """

    width: int
    height: int

    @property
    def last(self) -> int:
        """The finest level, where a px is a level-0 px."""
        return (max(self.width, self.height) - 1).bit_length()

    @property
    def first(self) -> int:
        """The finest level that fits into one tile."""
        return min(self.last, TILE.bit_length() - 1)

    def step(self, level: int) -> int:
        """Level-0 px a px of the level."""
        return 1 << (self.last - level)

    def size(self, level: int) -> tuple[int, int]:
        """(width, height) of a level in its px."""
        step = self.step(level)
        return -(-self.width // step), -(-self.height // step)

    def whole(self, level: int) -> Tile:
        """A level as one tile."""
        return Tile(0, 0, *self.size(level), self.step(level))

    def tile(self, level: int, column: int, row: int) -> Tile | None:
        """The tile in that column and row of tiles; None where the pyramid has none."""
        if not self.first <= level <= self.last or column < 0 or row < 0:
            return None
        width, height = self.size(level)
        left, top = column * TILE, row * TILE
        if left >= width or top >= height:
            return None
        return Tile(left, top, min(TILE, width - left), min(TILE, height - top), self.step(level))

    def finest_within(self, side: int) -> int:
        """The finest level with no side above ``side`` px."""
        return max(level for level in range(self.last + 1) if max(self.size(level)) <= side)
