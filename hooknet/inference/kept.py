"""Tiles of a map under construction, kept beside it, so that what a process has predicted is not lost with it."""

from __future__ import annotations

import struct
from pathlib import Path
from zlib import Z_RLE, compressobj, decompress

import numpy as np

from hooknet.inference.canvas import Canvas, Piece, Place
from hooknet.io.damage import Damage
from hooknet.io.journal import Journal

_HEAD = struct.Struct("<iiII")  # column, row, side, bytes of what is noted of damage

#: Where a tile's kept square is: its (column, row), and its side in px.
Square = tuple[Place, int]


def journal_beside(output: Path) -> Path:
    """Where the tiles of a map are kept while it is made: no output of a rule, which goes when a job is killed."""
    return output.with_name(f".{output.stem}.tiles")


class KeptTiles:
    """The tiles in a journal: labels as they go onto a canvas, and ``bands`` of probabilities where they are kept."""

    def __init__(self, journal: Journal, bands: int, damage: Damage | None) -> None:
        self._journal, self._bands, self._damage = journal, bands, damage
        self.squares: list[Square] = []
        for number in range(len(journal)):
            column, row, side, _ = _HEAD.unpack_from(journal.read(number))
            self.squares.append(((column, row), side))

    def keep(self, place: Place, labels: Piece, shares: Piece | None) -> None:
        """One more: (1, side, side) class values, (bands, side, side) probabilities."""
        noted = b"" if self._damage is None else self._damage.noted()
        # As in maps runs alone are as small as all repetitions.
        packer = compressobj(1, strategy=Z_RLE)
        content = [_HEAD.pack(*place, labels.shape[1], len(noted)), noted, packer.compress(labels.tobytes())]
        if shares is not None:
            content.append(packer.compress(shares.tobytes()))
        self._journal.append(b"".join([*content, packer.flush()]))

    def cut(self, count: int) -> None:
        """Keep the first ``count``, and know of damage what was known by then."""
        self._journal.cut(count)
        del self.squares[count:]
        if count and self._damage is not None:
            content = self._journal.read(count - 1)
            self._damage.recall(content[_HEAD.size : _HEAD.size + _HEAD.unpack_from(content)[3]])

    def paste(self, labels: Canvas, probabilities: Canvas | None) -> None:
        """Onto canvases that expect them."""
        for number, (place, side) in enumerate(self.squares):
            content = self._journal.read(number)
            packed = content[_HEAD.size + _HEAD.unpack_from(content)[3] :]
            values = np.frombuffer(decompress(packed), np.uint8).reshape(1 + self._bands, side, side)
            labels.paste(*place, values[:1])
            if probabilities is not None:
                probabilities.paste(*place, values[1:])
