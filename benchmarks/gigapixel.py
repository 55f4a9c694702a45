"""A slide as large as real ones, in seconds: phantom tissue, encoded once and laid out many times.

``python -m benchmarks.gigapixel OUT.tif WIDTH HEIGHT`` writes one, a quarter of it tissue.
"""

from __future__ import annotations

import io
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hooknet.coordinates import Window
from hooknet.demo.cohort import PhantomSettings, make_slide
from hooknet.io.slides import Slide

TILE = 512
SPACING = 0.25
FACTORS = (1, 4, 16)
#: Level-0 px a side of the piece of tissue that is laid out: four tiles.
PIECE = 4 * TILE
WIDTH, HEIGHT = 100_000, 80_000
Pixels = NDArray[np.uint8]


def write_slide(
    path: Path, width: int, height: int, share: float = 0.25, factors: Sequence[int] = FACTORS
) -> None:
    """A JPEG pyramid of levels ``factors`` at 0.25 µm/px, ``share`` of it tissue in round patches, the rest glass."""
    piece = _piece()
    held = tissue_cells(width, height, share)
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16))
        link = file.tell() - 8  # where the place of the next directory goes
        for factor in factors:
            size = (height // factor, width // factor)
            places, counts = [], []
            for tile in _tiles(held, piece, factor, size):
                places.append(file.tell())
                counts.append(file.write(tile))
            link = _write_directory(file, link, factor, size, places, counts)


def _write_directory(
    file: BinaryIO, link: int, factor: int, size: tuple[int, int], places: list[int], counts: list[int]
) -> int:
    """One level's BigTIFF directory; where the place of the next one goes comes back."""
    per_cm = round(1e4 / SPACING / factor * 1000)
    short, long, ratio, big = 3, 4, 5, 16
    tags = [
        (254, long, [0 if factor == 1 else 1]), (256, long, [size[1]]), (257, long, [size[0]]),
        (258, short, [8, 8, 8]), (259, short, [7]), (262, short, [6]), (277, short, [3]),
        (282, ratio, [per_cm, 1000]), (283, ratio, [per_cm, 1000]), (284, short, [1]), (296, short, [3]),
        (322, long, [TILE]), (323, long, [TILE]), (324, big, places), (325, big, counts),
        (530, short, [2, 2]),
    ]  # fmt: skip
    entries = b""
    for tag, kind, values in tags:
        data = struct.pack(f"<{len(values)}{ {short: 'H', long: 'I', ratio: 'I', big: 'Q'}[kind] }", *values)
        if len(data) > 8:
            place = file.tell()
            file.write(data)
            data = struct.pack("<Q", place)
        entries += struct.pack("<HHQ", tag, kind, len(values) // (2 if kind == ratio else 1)) + data.ljust(
            8, b"\0"
        )
    start = file.tell()
    file.write(struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", 0))
    end = file.tell()
    file.seek(link)
    file.write(struct.pack("<Q", start))
    file.seek(end)
    return end - 8


def tissue_cells(width: int, height: int, share: float = 0.25) -> NDArray[np.bool_]:
    """Which cells of PIECE px are tissue: discs of several sizes until the share is reached."""
    rows, columns = -(-height // PIECE), -(-width // PIECE)
    rng, held = np.random.default_rng(5), np.zeros((rows, columns), bool)
    y, x = np.mgrid[:rows, :columns]
    while held.mean() < share:
        radius = rng.uniform(0.05, 0.16) * min(rows, columns) + 0.6
        held |= (y - rng.uniform(0, rows)) ** 2 + (x - rng.uniform(0, columns)) ** 2 < radius**2
    # No more than the share: what a disc has brought too much goes again, last cells first.
    extra = np.flatnonzero(held)[round(share * held.size) :]
    held.flat[extra] = False
    return held


def _piece() -> Pixels:
    """PIECE px a side of phantom tissue at the slide's spacing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "piece.tif")
        make_slide(
            "benchmark1", PhantomSettings(1024.0, SPACING), path, Path(folder, "a"), Path(folder, "t.tif")
        )
        with Slide(path) as slide:
            middle = (slide.size[0] - PIECE) / 2
            return slide.read(Window(middle, middle, PIECE, PIECE), (PIECE, PIECE))


def _tiles(held: NDArray[np.bool_], piece: Pixels, factor: int, size: tuple[int, int]) -> Iterator[bytes]:
    """The encoded tiles of a level, row by row; each kind is encoded once."""
    reduced = _reduced(piece, factor)
    glass = np.full_like(reduced, 242)
    known: dict[bytes, bytes] = {}
    side = len(reduced)
    for row in range(0, size[0], TILE):
        for column in range(0, size[1], TILE):
            tile = _tile(held, (reduced, glass), side, column, row)
            key = tile.tobytes()
            if key not in known:
                known[key] = _encoded(tile)
            yield known[key]


def _tile(held: NDArray[np.bool_], kinds: tuple[Pixels, Pixels], side: int, column: int, row: int) -> Pixels:
    """The pixels of a tile: a part of a piece, or several."""
    if side >= TILE:
        y, x = row % side, column % side
        tissue = held[row // side, column // side]
        return kinds[0 if tissue else 1][y : y + TILE, x : x + TILE]
    found = np.empty((TILE, TILE, 3), np.uint8)
    for y in range(0, TILE, side):
        for x in range(0, TILE, side):
            place = min((row + y) // side, len(held) - 1), min((column + x) // side, held.shape[1] - 1)
            found[y : y + side, x : x + side] = kinds[0 if held[place] else 1]
    return found


def _reduced(image: Pixels, factor: int) -> Pixels:
    side = len(image) // factor
    return image.reshape(side, factor, side, factor, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def _encoded(tile: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(tile)).save(file, "JPEG", quality=80, subsampling=2)
    return file.getvalue()


if __name__ == "__main__":
    write_slide(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
