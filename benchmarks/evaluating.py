"""Counting a gigapixel map against a sparse mask: `hooknet evaluate` beside reading everything, and how it grows."""

import math
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.rasterising import COLUMNS, cells, fitted
from benchmarks.table import Table, measured
from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask

SIDES = (8192, 16_384, 32_768)  # 1/16, 1/4 and all of 1 Gpx
CLASSES = ("stroma", "tumour", "fat", "necrosis")
PALETTE = {value: (value, 0, 0) for value in range(1, len(CLASSES) + 1)}
# One block in so many is annotated: a region of REGION px a side in it, as annotators draw them.
EVERY = 8
BLOCK, REGION = 2048, 1000

PLAIN = """
import sys
import numpy as np, rasterio
from rasterio.windows import Window
classes = int(sys.argv[3])
counts = np.zeros((classes + 1, classes + 1), np.int64)
with rasterio.open(sys.argv[1]) as truth, rasterio.open(sys.argv[2]) as found:
    for row in range(0, truth.height, 1024):
        for column in range(0, truth.width, 1024):
            window = Window(column, row, min(1024, truth.width - column), min(1024, truth.height - row))
            pairs = truth.read(1, window=window).astype(np.int64) * (classes + 1) + found.read(1, window=window)
            counts += np.bincount(pairs.ravel(), minlength=counts.size).reshape(counts.shape)
print(counts[1:].sum())
"""


# In a process of its own: a process is charged the memory of the one that started it.
PAIR = """
import sys
from pathlib import Path
from benchmarks.evaluating import write_pair
print(write_pair(Path(), int(sys.argv[1])))
"""


def smooth_labels(seed: int) -> np.ndarray:
    """BLOCK x BLOCK px of all classes with smooth borders, as a network predicts them."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(BLOCK, BLOCK)), 8, mode="wrap") for _ in CLASSES]
    labels: np.ndarray = np.argmax(fields, axis=0).astype(np.uint8) + np.uint8(1)
    return labels


def write_pair(folder: Path, side: int) -> int:
    """A map predicted everywhere and a sparse mask; how many px are annotated."""
    grid = RasterGrid(side, side, 0.5, 1.0, 1.0)
    predicted, drawn = smooth_labels(0), smooth_labels(1)[:REGION, :REGION]
    places = [(column, row) for row in range(0, side, BLOCK) for column in range(0, side, BLOCK)]
    with (
        create_mask(folder / "map.tif", grid, CLASSES, PALETTE) as found,
        create_mask(folder / "truth.tif", grid, CLASSES, PALETTE) as truth,
    ):
        for number, (column, row) in enumerate(places):
            found.write(column, row, predicted)
            if number % EVERY == 0:
                truth.write(column + 300, row + 300, drawn)
    return -(-len(places) // EVERY) * drawn.size


def main() -> None:
    """Print a table."""
    ours, notes = [], []
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        for side in SIDES:
            annotated = int(measured("-c", PAIR, str(side), cwd=folder).printed)
            files = ("--truth", "truth.tif", "--prediction", "map.tif", "--output", "counts.csv")
            done = measured("-m", "hooknet", "-q", "evaluate", "--slide", "a", *files, cwd=folder)
            ours.append(cells("hooknet evaluate", side**2, done))
        plain = measured("-c", PLAIN, "truth.tif", "map.tif", str(len(CLASSES)), cwd=folder)
        lines = (folder / "counts.csv").read_text(encoding="utf-8").splitlines()[1:]
    counted = sum(int(line.rpartition(",")[2]) for line in lines)
    if not counted == int(plain.printed) == annotated:
        raise AssertionError(f"counted {counted} and {plain.printed.strip()} px, annotated are {annotated}")
    share = annotated / math.prod((SIDES[-1], SIDES[-1]))
    notes.append(f"{share:.1%} of the px are annotated, all are predicted; both count the same.")
    rows = [*ours, fitted(ours), cells("plain: read all, block by block", SIDES[-1] ** 2, plain)]
    print(Table("A map of up to 1 Gpx against a sparse mask", COLUMNS, rows, tuple(notes)))
