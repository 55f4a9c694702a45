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
# Where in a piece a tile starts, and which of the pieces in it are tissue.
Key = tuple[int, int, bytes]


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
    kinds, side = (reduced, np.full_like(reduced, 242)), len(reduced)
    known: dict[Key, bytes] = {}
    for row in range(0, size[0], TILE):
        for column in range(0, size[1], TILE):
            key = row % side, column % side, _held(held, side, column, row).tobytes()
            if key not in known:
                known[key] = _encoded(_tile(held, kinds, column, row))
            yield known[key]


def _held(held: NDArray[np.bool_], side: int, column: int, row: int) -> NDArray[np.bool_]:
    """Which of the pieces that a tile shows are tissue; beyond the slide as at its end."""
    rows, columns = (
        np.minimum(np.arange(start // side, (start + TILE - 1) // side + 1), length - 1)
        for start, length in zip((row, column), held.shape, strict=True)
    )
    return held[np.ix_(rows, columns)]


def _tile(held: NDArray[np.bool_], kinds: tuple[Pixels, Pixels], column: int, row: int) -> Pixels:
    """The pixels of a tile: a part of a piece, or several."""
    side = len(kinds[0])
    shown = _held(held, side, column, row)
    y, x = row % side, column % side
    pieces = [np.hstack([kinds[0 if one else 1] for one in line]) for line in shown]
    return np.vstack(pieces)[y : y + TILE, x : x + TILE]


def _reduced(image: Pixels, factor: int) -> Pixels:
    side = len(image) // factor
    return image.reshape(side, factor, side, factor, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def _encoded(tile: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(tile)).save(file, "JPEG", quality=80, subsampling=2)
    return file.getvalue()


if __name__ == "__main__":
    write_slide(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
