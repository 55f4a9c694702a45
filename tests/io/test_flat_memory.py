"""A mask four times as wide takes no more memory to write; at all sizes: ``python -m benchmarks flat_memory``."""

import subprocess
import sys

WRITE = """
import sys
from pathlib import Path
import numpy as np
from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask
width, height = int(sys.argv[1]), 4096
tile = np.kron(np.arange(64).reshape(8, 8) % 2 + 1, np.ones((64, 64))).astype(np.uint8)
grid, colours = RasterGrid(width, height, 0.5, 1.0, 1.0), {1: (0, 0, 0), 2: (1, 1, 1)}
with create_mask(Path(sys.argv[2]), grid, ("a", "b"), colours) as mask:
    for row in range(0, height, 512):
        for column in range(0, width, 512):
            mask.write(column, row, tile)
told = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(int(told) / 1024)
"""


def peak_mib(width, folder):
    """Of a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", WRITE, str(width), str(folder / f"{width}.tif")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(found.stdout)


def test_memory_of_a_mask_does_not_grow_with_its_width(tmp_path):
    narrow, wide = peak_mib(16_384, tmp_path), peak_mib(65_536, tmp_path)  # 64 and 256 Mpx
    assert wide < narrow + 20  # of 43 MiB more when overviews were made row by row
