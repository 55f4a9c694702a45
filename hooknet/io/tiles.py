"""Rasters of uint8 as the tiles of a TIFF, written in any order.

An empty tile costs nothing, a tile of one value next to nothing, and overviews come from the tiles that are there:
the work and the memory go with what is annotated or predicted, not with the slide.

Packed tiles are kept in a :class:`Spool`, and tifffile makes a TIFF of them in the end.  GDAL reads it, but does not
write it: it does not say that the disk is full, and makes overviews by walking over the whole raster.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import tifffile
from numpy.typing import NDArray

from hooknet.io.spool import Spool, told_of

TILE = 512
MICRONS_PER_CM = 1e4
# So far reach the offsets of a classic TIFF; what reaches further is a BigTIFF.
CLASSIC_LIMIT = 2**32
# The tag that GDAL keeps the names of bands in.
GDAL_METADATA = 42112
_ASCII = 2

# Overviews are made in strips of so many tiles, so that their memory does not grow with the width.
STRIP = 32

# Tiles that are written in parts are kept so many a plane (64 MiB), the oldest stored first.
OPEN_TILES = 256

Values = NDArray[np.uint8]
Key = tuple[int, int]


def pack(tile: Values, smooth: bool = False) -> bytes:
    """A (height, width) tile as a file has it; ``smooth`` as in :class:`Plane`."""
    if smooth:
        tile = np.diff(tile, axis=1, prepend=np.uint8(0))
    # Of labels runs alone take 1/5 of the time of all repetitions, and come out as small.
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    return packer.compress(tile.tobytes()) + packer.flush()


class Plane:
    """A (height, width) raster of uint8 as tiles in a spool, 0 where nothing is written.

    A tile that is written whole is stored at once.  Tiles that hold only 0 are not stored.  ``smooth``: values
    that change little from px to px (probabilities), stored as differences.
    """

    def __init__(
        self, spool: Spool, width: int, height: int, smooth: bool = False, open_tiles: int = OPEN_TILES
    ) -> None:
        self.width, self.height, self.smooth = width, height, smooth
        self.spool, self._most = spool, open_tiles
        shape = -(-height // TILE), -(-width // TILE)
        # Where in the spool a tile is, and how many bytes it has: 0 is not stored.
        self._starts = np.zeros(shape, np.uint64)
        self.counts = np.zeros(shape, np.uint32)
        # The value of the stored tiles that have but one: they need not be read again.
        self._only = np.zeros(shape, np.uint8)
        # Where those are; all tiles of a value are one in the spool.
        self._constants: dict[int, tuple[int, int]] = {}
        self._open: dict[Key, Values] = {}  # written last comes last

    def write(self, column: int, row: int, values: Values) -> None:
        """Put (height, width) values that lie inside at a column and row; they replace what was there."""
        height, width = values.shape
        for down in range(row // TILE, -(-(row + height) // TILE)):
            for across in range(column // TILE, -(-(column + width) // TILE)):
                x, y = column - across * TILE, row - down * TILE
                part = values[max(0, -y) : TILE - y, max(0, -x) : TILE - x]
                self._put((down, across), max(x, 0), max(y, 0), part)

    def _put(self, key: Key, x: int, y: int, part: Values) -> None:
        """A part of one tile."""
        height, width = part.shape
        tile = self._open.pop(key, None)
        if (height, width) == self._inside(key):
            self._store(key, part)
            return
        if tile is None:
            if not self.counts[key] and not part.any():
                return
            tile = self.tile(key)
        tile[y : y + height, x : x + width] = part
        self._open[key] = tile
        if len(self._open) > self._most:
            oldest = next(iter(self._open))
            self._store(oldest, self._open.pop(oldest))

    def _inside(self, key: Key) -> tuple[int, int]:
        """Height and width of what a tile has inside the raster."""
        return min(TILE, self.height - key[0] * TILE), min(TILE, self.width - key[1] * TILE)

    def _store(self, key: Key, part: Values) -> None:
        low, high = int(part.min()), int(part.max())
        self._only[key] = low if low == high else 0
        if high == 0:
            self.counts[key] = 0
        else:
            self._starts[key], self.counts[key] = self._constant(low) if low == high else self._append(part)

    def _constant(self, value: int) -> tuple[int, int]:
        if value not in self._constants:
            self._constants[value] = self._append(np.full((TILE, TILE), value, np.uint8))
        return self._constants[value]

    def _append(self, part: Values) -> tuple[int, int]:
        """Pack values into the spool; where they start there, and how many bytes they have."""
        tile = part
        if part.shape != (TILE, TILE):
            tile = np.zeros((TILE, TILE), np.uint8)
            tile[: part.shape[0], : part.shape[1]] = part
        content = pack(tile, self.smooth)
        return self.spool.append(content), len(content)

    def tile(self, key: Key) -> Values:
        """A copy of the (TILE, TILE) values of a tile (row, column of tiles), as last written."""
        if key in self._open:
            return self._open[key].copy()
        if not self.counts[key] or self._only[key]:
            return np.full((TILE, TILE), self._only[key] if self.counts[key] else 0, np.uint8)
        values = np.frombuffer(zlib.decompress(self._packed(key)), np.uint8).reshape(TILE, TILE)
        return np.cumsum(values, axis=1, dtype=np.uint8) if self.smooth else values.copy()

    def _packed(self, key: Key) -> bytes:
        return self.spool.read(int(self._starts[key]), int(self.counts[key]))

    def packed(self) -> Iterator[bytes]:
        """Every tile as the TIFF has it, row by row; no bytes where none is stored."""
        for down, across in np.ndindex(self.counts.shape):
            yield self._packed((down, across)) if self.counts[down, across] else b""

    def flush(self) -> None:
        """Store the tiles that were written in parts."""
        for key in sorted(self._open):
            self._store(key, self._open.pop(key))

    def keep(self, key: Key) -> None:
        """Store a tile although it holds only 0."""
        if not self.counts[key]:
            self._starts[key], self.counts[key] = self._constant(0)


def number_of_overviews(width: int, height: int) -> int:
    """How many a raster has: sides are halved until both are shorter than a tile."""
    return (max(width, height) // TILE).bit_length()


def overviews(base: Plane) -> list[Plane]:
    """Planes of 1/2, 1/4, ... the size, the last shorter than a tile, each px one of the ``base``.

    Px i of a level is px floor(i * size / level size + 0.5) of the one before: where it starts, to the nearest px
    (as GDAL takes it).  Only the tiles that are there are looked at.
    """
    base.flush()
    levels: list[_Level] = []
    columns, rows = np.arange(base.width), np.arange(base.height)
    for number in range(number_of_overviews(base.width, base.height)):
        columns, rows = columns[_halved(columns.size)], rows[_halved(rows.size)]
        # A row of a strip's tiles meets two rows of a level's.
        wide = min(-(-columns.size // TILE), (STRIP >> (number + 1)) + 2)
        kept = 2 * wide + 2
        plane = Plane(base.spool, columns.size, rows.size, open_tiles=kept)
        levels.append(_Level(plane, columns, rows, 2 ** (number + 1)))
    for left in range(0, base.counts.shape[1], STRIP):
        for down, across in zip(*np.nonzero(base.counts[:, left : left + STRIP]), strict=True):
            key = int(down), left + int(across)
            values = base.tile(key)
            for one in levels:
                one.take(values, key)
    for one in levels:
        one.plane.flush()
    return [one.plane for one in levels]


def _halved(size: int) -> NDArray[np.int64]:
    """Which of ``size`` px those of half the size are."""
    half = -(-size // 2)
    halved: NDArray[np.int64] = np.floor(np.arange(half) * (size / half) + 0.5).astype(np.int64)
    return np.minimum(halved, size - 1)


@dataclass(frozen=True)
class _Level:
    """An overview in the making: its plane, and the column and row of the base that each of its px shows."""

    plane: Plane
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    factor: int

    def take(self, values: Values, key: Key) -> None:
        """Copy what the level shows of a tile of the base."""
        top, left = key[0] * TILE, key[1] * TILE
        row, below = np.searchsorted(self.rows, (top, top + TILE))
        column, behind = np.searchsorted(self.columns, (left, left + TILE))
        if below > row and behind > column:
            down = _evenly(self.rows[row:below] - top, self.factor)
            across = _evenly(self.columns[column:behind] - left, self.factor)
            self.plane.write(int(column), int(row), values[down][:, across])


def _evenly(places: NDArray[np.int64], factor: int) -> NDArray[np.int64] | slice:
    """The places as a slice where they lie ``factor`` apart, which is nearly everywhere, and many times as fast."""
    first, last = int(places[0]), int(places[-1])
    # No two are further apart: where the sum is all it can be, every step is.
    return slice(first, last + 1, factor) if last - first == factor * (places.size - 1) else places


def write_tiff(
    file: Path,
    path: Path,
    images: Sequence[Sequence[Plane]],
    spacing: float,
    description: str,
    names: Sequence[str] = (),
) -> None:
    """Write planes as a (Big)TIFF: DEFLATE, tiles of TILE px, those of an image's planes one after the other.

    Of the ``images`` the first is the raster, with its ``spacing`` in µm/px, ASCII ``description`` and a name per
    plane; the others are its overviews.  ``file`` is where it is written, ``path`` what errors call it: DiskError
    when it cannot be written.
    """
    for planes in images:
        for plane in planes:
            plane.flush()
            if plane.counts.size == 1:
                plane.keep((0, 0))  # tifffile gives the only tile of an image a place, though it has no bytes
    # What the directories take, at most.
    room = sum(16 * plane.counts.size for planes in images for plane in planes) + len(images) * 2**20
    size = sum(int(plane.counts.sum(dtype=np.int64)) for planes in images for plane in planes)
    big = size + room >= CLASSIC_LIMIT
    per_cm = _per_cm(spacing)
    told: dict[str, Any] = {
        "description": description,
        "resolution": (per_cm, per_cm),
        "resolutionunit": "centimeter",
        "extratags": [(GDAL_METADATA, _ASCII, None, _names_of_bands(names), True)] if names else (),
    }
    with (
        told_of(path),
        file.open("wb") as stream,
        tifffile.TiffWriter(stream, bigtiff=big, byteorder="<", ome=False, shaped=False) as writer,
    ):
        for planes in images:
            writer.write(
                (content for plane in planes for content in plane.packed()),
                shape=(len(planes), planes[0].height, planes[0].width),
                dtype=np.uint8,
                photometric="minisblack",
                planarconfig="separate" if len(planes) > 1 else None,
                tile=(TILE, TILE),
                compression="zlib",
                predictor=2 if planes[0].smooth else None,
                subfiletype=0 if planes is images[0] else 1,
                software=False,
                metadata=None,
                **(told if planes is images[0] else {}),
            )


def _per_cm(spacing: float) -> tuple[int, int]:
    """Px per cm as the nearest rational number whose two parts fit into 32 bits."""
    exact = Fraction(MICRONS_PER_CM / spacing)
    told = exact.limit_denominator(int(2**31 / max(exact, Fraction(1))))
    return told.numerator, told.denominator


def _names_of_bands(names: Sequence[str]) -> bytes:
    """What GDAL reads as the descriptions of bands."""
    items = (
        f'  <Item name="DESCRIPTION" sample="{number}" role="description">{escape(name)}</Item>\n'
        for number, name in enumerate(names)
    )
    return ("<GDALMetadata>\n" + "".join(items) + "</GDALMetadata>\n").encode()
