"""A gigapixel map as GeoJSON, ASAP XML and pictures: `hooknet export`, and how it grows."""

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
PALETTE = {value: (50 * value, 0, 0) for value in range(1, len(CLASSES) + 1)}
BLOCK = 2048
# How rough borders are: with this 25,000 regions in a gigapixel.
FINE = 0.003
FORMATS = ("geojson", "asap", "ome-tiff", "colours")

WRITE = """
import sys
from pathlib import Path
from benchmarks.exporting import write_map
write_map(Path("map.tif"), int(sys.argv[1]))
"""


def tissue(seed: int = 0) -> np.ndarray:
    """BLOCK x BLOCK px of regions with smooth borders, a sixth of them glass, that fit to themselves on all sides."""
    rng = np.random.default_rng(seed)
    fields = [
        ndimage.gaussian_filter(rng.normal(size=(BLOCK, BLOCK)), 80, mode="wrap")
        + FINE * ndimage.gaussian_filter(rng.normal(size=(BLOCK, BLOCK)), 6, mode="wrap")
        for _ in range(len(CLASSES) + 1)
    ]
    labels: np.ndarray = np.argmax(fields, axis=0).astype(np.uint8)
    return labels


def write_map(path: Path, side: int) -> None:
    """A map of ``side`` px a side."""
    piece, grid = tissue(), RasterGrid(side, side, 0.5, 1.0, 1.0)
    with create_mask(path, grid, CLASSES, PALETTE) as writer:
        for row in range(0, side, BLOCK):
            for column in range(0, side, BLOCK):
                writer.write(column, row, piece)


def main() -> None:
    """Print a table."""
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        done = []
        for side in SIDES:
            measured("-c", WRITE, str(side), cwd=folder)
            found = measured("-m", "hooknet", "-q", "export", *_arguments("geojson"), cwd=folder)
            done.append(cells("geojson", side**2, found))
        text = (folder / "out.geojson").read_text(encoding="utf-8")
        notes.append(f"{text.count('Polygon'):,} regions, {len(text) / 2**20:.0f} MiB of GeoJSON.")
        rows = [*done, fitted(done)]
        for name in FORMATS[1:]:
            found = measured("-m", "hooknet", "-q", "export", *_arguments(name), cwd=folder)
            rows.append(cells(name, SIDES[-1] ** 2, found))
    print(Table("A map of up to 1 Gpx exported", COLUMNS, rows, tuple(notes)))


def _arguments(name: str) -> tuple[str, ...]:
    return ("--input", "map.tif", "--format", name, "--output", f"out.{name}")
