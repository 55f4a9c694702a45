"""Decoded pixels of slides kept in memory, in blocks on the levels' own grids."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# The least side of a block in px: patches take few of them, and a first read decodes little too much.
SIDE = 200
# Tiles longer than this (strips, whole images) say nothing about how a level is best divided.
LONGEST_TILE = 1024


def block_side(tile: int) -> int:
    """Side of a level's blocks in px: whole tiles of ``tile`` px (0 unknown), so that none is decoded for two."""
    return tile * -(-SIDE // tile) if 0 < tile <= LONGEST_TILE else 256


@dataclass(frozen=True)
class Part:
    """What is taken of one block along one axis, in px of the level: ``low`` to ``high``, and ``margin`` more.

    The block itself starts at ``first`` and has ``side`` px, its own margins among them.
    """

    first: int
    side: int
    low: int
    high: int
    margin: int

    @property
    def count(self) -> int:
        """How many px are taken."""
        return self.high - self.low + 2 * self.margin

    @property
    def own(self) -> slice:
        """Which px of the block these are."""
        start = self.low - self.margin - self.first
        return slice(start, start + self.count)


def parts(low: int, high: int, side: int, margin: int) -> list[Part]:
    """What px ``low`` to ``high`` take of the blocks that have ``side`` px and share ``margin`` with others."""
    return [
        Part(start - margin, side + 2 * margin, max(low, start), min(high, start + side), margin)
        for start in range(low // side * side, high, side)
    ]


@dataclass
class _Kept:
    """What one process keeps, the least recently used first."""

    pid: int
    bytes: int = 0
    blocks: OrderedDict[Hashable, Image] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class BlockCache:
    """The blocks used last, up to ``limit`` bytes in all; several slides and threads may share it.

    Every process keeps its own: one that is forked, or gets a pickled copy, begins with none.
    """

    def __init__(self, limit: int) -> None:
        """A ``limit`` of 0 keeps nothing."""
        self.limit = limit
        self._kept = _Kept(os.getpid())

    def __getstate__(self) -> dict[str, int]:
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.limit = state["limit"]
        self._kept = _Kept(os.getpid())

    @property
    def bytes(self) -> int:
        """How much this process keeps now."""
        return self._own().bytes

    def get(self, key: Hashable, read: Callable[[], Image]) -> Image:
        """The block of ``key``, not to be changed: as kept, or else what ``read`` returns."""
        kept = self._own()
        with kept.lock:
            block = kept.blocks.get(key)
            if block is not None:
                kept.blocks.move_to_end(key)
                return block
        block = read()
        block.flags.writeable = False
        if block.nbytes <= self.limit:
            with kept.lock:
                self._keep(kept, key, block)
        return block

    def _keep(self, kept: _Kept, key: Hashable, block: Image) -> None:
        """Let the oldest go to make room.  Another thread may have kept the same block meanwhile."""
        if key in kept.blocks:
            return
        while kept.bytes + block.nbytes > self.limit:
            kept.bytes -= kept.blocks.popitem(last=False)[1].nbytes
        kept.blocks[key] = block
        kept.bytes += block.nbytes

    def _own(self) -> _Kept:
        """This process's blocks; those inherited by a fork are let go, their lock with them."""
        if self._kept.pid != os.getpid():
            self._kept = _Kept(os.getpid())
        return self._kept
