"""Views of many tiles of one slide, each region of it decoded once for all views and all tiles that need it.

Views at one spacing are cut from one raster over the slide, in blocks.  Blocks at several spacings that are read
from one pyramid level are decoded together.  A block is kept while a later tile needs it, and no longer.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import groupby
from math import isclose, log2

import numpy as np

from hooknet.io.slides import Image, Slide

#: Side of a block in px of the finest spacing that is read from its level.
SIDE = 256
# What may be kept for later tiles.  An overlap of 500 px across 200,000 px takes 300 MB.
KEEP_BYTES = 512 * 2**20
#: Tiles whose regions are begun before they are asked for: one alone is a few regions, fewer than there are cores.
AHEAD = 4

Square = tuple[int, int, int]
Key = tuple[int, int, int]


@dataclass(frozen=True)
class _Level:
    """The layers (numbers of spacings, finest first) that are read from one pyramid level.

    ``whole``: its pixels come as they are in the file.  Else OpenSlide interpolates them, by how depends on where
    a read starts: blocks are then read one by one, so that theirs depend on their own place alone.
    """

    layers: tuple[int, ...]
    sides: tuple[int, ...]  # px of a block in each
    whole: bool


class SuperTiles:
    """The views of tiles, asked for in order; ``squares[tile][layer]``: (column, row, side) in px of the spacing.

    Columns and rows count from the slide's origin and may be negative: outside the slide is its fill.  Tiles come row
    by row; in any other order regions are decoded again.
    """

    def __init__(
        self,
        slide: Slide,
        spacings: Sequence[float],
        squares: Sequence[Sequence[Square]],
        decoders: Executor,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        """``decoders`` runs the reads of a tile, and of those after it, side by side."""
        self._slide = slide
        self._grids = [slide.grid(spacing) for spacing in spacings]
        self._squares = squares
        self._decoders = decoders
        self._keep_bytes = keep_bytes
        self._levels = _levels(slide, spacings)
        self._side = {
            layer: side
            for level in self._levels
            for layer, side in zip(level.layers, level.sides, strict=True)
        }
        self._uses: dict[Key, deque[int]] = {}  # block -> tiles that need it, as far as they are foreseen
        self._foreseen = 0
        self._kept: dict[Key, Image] = {}
        self._bytes = 0
        self._begun: dict[int, list[Future[dict[Key, Image]]]] = {}  # tile -> its reads
        self._coming: dict[Key, int] = {}  # block -> the tile whose reads bring it

    def read(self, tile: int) -> list[Image]:
        """The views (side, side, channels) uint8 of a tile, target first; tiles are asked for once each, in order."""
        last = min(tile + AHEAD, len(self._squares) - 1)
        self._foresee(last)
        for later in range(tile, last + 1):
            if later not in self._begun:
                self._begun[later] = self._begin(later, self._coming)
        fresh = self._decoded(tile)
        views = []
        for layer, square in enumerate(self._squares[tile]):
            view = np.empty((square[2], square[2], self._slide.channels), np.uint8)
            side = self._side[layer]
            for column, row in _blocks(square, side):
                key = (layer, column, row)
                block = fresh[key] if key in fresh else self._kept[key]
                _paste(view, square, block, (column * side, row * side))
            views.append(view)
        self._settle(tile, fresh)
        return views

    def _begin(self, tile: int, coming: Container[Key]) -> list[Future[dict[Key, Image]]]:
        """Start to read the blocks that a tile needs, and what else of use lies in the same regions.

        But for those that are kept or ``coming``.
        """
        reads = []
        for level in self._levels:
            missing = {
                key for key in self._needed(tile, level) if key not in self._kept and key not in coming
            }
            for run in _runs({key[1:] for key in missing}, together=level.whole):
                brought = [
                    key
                    for key in _keys(level, run)
                    if key in self._uses and key not in self._kept and key not in coming
                ]
                reads.append(self._decoders.submit(self._decode, level, run, brought))
                self._coming.update(dict.fromkeys(brought, tile))
        return reads

    def _decoded(self, tile: int) -> dict[Key, Image]:
        """What the reads of a tile brought: blocks, and what else they were decoded with that is of use."""
        fresh: dict[Key, Image] = {}
        reads = self._begun.pop(tile)
        while True:
            for one in reads:
                fresh.update(one.result())
            # Again what an earlier tile brought and memory had no room for.
            reads = self._begin(tile, fresh)
            if not reads:
                break
        self._coming = {key: by for key, by in self._coming.items() if by != tile}
        return fresh

    def _needed(self, tile: int, level: _Level) -> Iterator[Key]:
        for layer, side in zip(level.layers, level.sides, strict=True):
            for column, row in _blocks(self._squares[tile][layer], side):
                yield layer, column, row

    def _decode(self, level: _Level, run: tuple[int, int, int], brought: Sequence[Key]) -> dict[Key, Image]:
        """Those blocks of a run (first column, row, count) that are ``brought``, of all layers of a level."""
        first, row, count = run
        finest = level.sides[0]
        window = self._grids[level.layers[0]].window(first * finest, row * finest, count * finest, finest)
        found: dict[Key, Image] = {}
        for layer, side in zip(level.layers, level.sides, strict=True):
            places = [key[1] - first for key in brought if key[0] == layer]
            if places:
                # For the second layer OpenSlide still has the level's pixels.
                image = self._slide.read(window, (count * side, side))
                for place in places:
                    found[layer, first + place, row] = image[:, place * side : (place + 1) * side]
        return found

    def _foresee(self, tile: int) -> None:
        """Note which blocks the tiles need that come down to the views of this one, and so may share some.

        Not of all tiles at once: what is noted goes with the width of a slide, not with its area.
        """
        ends = [
            row + length + self._side[layer] for layer, (_, row, length) in enumerate(self._squares[tile])
        ]
        while self._foreseen < len(self._squares):
            squares = self._squares[self._foreseen]
            if self._foreseen > tile and all(one[1] >= end for one, end in zip(squares, ends, strict=True)):
                return
            for layer, square in enumerate(squares):
                for column, row in _blocks(square, self._side[layer]):
                    self._uses.setdefault((layer, column, row), deque()).append(self._foreseen)
            self._foreseen += 1

    def _settle(self, tile: int, fresh: dict[Key, Image]) -> None:
        """Let go of what no later tile needs; keep the rest as far as memory allows, what is needed next first."""
        for layer, square in enumerate(self._squares[tile]):
            for column, row in _blocks(square, self._side[layer]):
                key = (layer, column, row)
                uses = self._uses[key]
                uses.popleft()
                if not uses:
                    del self._uses[key]
                    self._drop(key)
        for key, block in fresh.items():
            if key in self._uses and key not in self._kept:
                self._kept[key] = block.copy()  # a part of a run would keep the whole run
                self._bytes += block.nbytes
        while self._bytes > self._keep_bytes:
            self._drop(max(self._kept, key=lambda one: self._uses[one][0]))

    def _drop(self, key: Key) -> None:
        block = self._kept.pop(key, None)
        self._bytes -= 0 if block is None else block.nbytes


def _paste(view: Image, square: Square, block: Image, place: tuple[int, int]) -> None:
    """Put the part of a block that lies in a square into its view; ``place``: the block's first column and row."""
    spans = []
    for start, first, length in zip(square[:2], place, block.shape[1::-1], strict=True):
        low, high = max(start, first), min(start + square[2], first + length)
        spans.append((slice(low - start, high - start), slice(low - first, high - first)))
    (to_x, from_x), (to_y, from_y) = spans
    view[to_y, to_x] = block[from_y, from_x]


def _levels(slide: Slide, spacings: Sequence[float]) -> list[_Level]:
    """Layers by the pyramid level that they are read from, where their blocks come out in whole px."""
    found = []
    numbered = sorted(enumerate(spacings), key=lambda one: (slide.level_of(one[1]), one[1]))
    for level, same in groupby(numbered, key=lambda one: slide.level_of(one[1])):
        layers, as_it_is = list(same), slide.is_whole(level)
        finest = layers[0][1]
        together = [(layer, spacing / finest) for layer, spacing in layers]
        whole = [one for one in together if _is_power_of_two(one[1]) and one[1] <= SIDE]
        apart = [one for one in together if one not in whole]
        found.append(
            _Level(
                tuple(layer for layer, _ in whole),
                tuple(SIDE // round(ratio) for _, ratio in whole),
                as_it_is,
            )
        )
        found += [_Level((layer,), (SIDE,), as_it_is) for layer, _ in apart]
    return found


def _is_power_of_two(ratio: float) -> bool:
    return isclose(ratio, 2 ** round(log2(ratio)), rel_tol=1e-9)


def _blocks(square: Square, side: int) -> Iterator[tuple[int, int]]:
    """(column, row) of the blocks that a square touches."""
    column, row, length = square
    for block_row in range(row // side, -(-(row + length) // side)):
        for block_column in range(column // side, -(-(column + length) // side)):
            yield block_column, block_row


def _keys(level: _Level, run: tuple[int, int, int]) -> Iterator[Key]:
    """The blocks of a run (first column, row, count) in all layers of a level."""
    first, row, count = run
    for layer in level.layers:
        for column in range(first, first + count):
            yield layer, column, row


def _runs(places: set[tuple[int, int]], together: bool) -> Iterator[tuple[int, int, int]]:
    """Blocks that stand side by side, as (first column, row, count); each for itself unless ``together``."""
    by_row: dict[int, list[int]] = defaultdict(list)
    for column, row in sorted(places):
        by_row[row].append(column)
    for row, columns in sorted(by_row.items()):
        for _, run in groupby(enumerate(columns), key=lambda one: one[1] - one[0]):
            members = [column for _, column in run]
            if together:
                yield members[0], row, len(members)
            else:
                yield from ((column, row, 1) for column in members)
