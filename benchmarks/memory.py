"""What a tile's feature maps take in memory, beside what the model says that picks the tile.

``python -m benchmarks.memory ENGINE MODEL FILTERS PIXELS`` measures one tile in a process of its own.
"""

import sys

import numpy as np
import torch

from benchmarks.networks import PAPER, paper_network
from benchmarks.table import MIB, Table, measured, now_mib, peak_mib
from hooknet.inference.engines import Engine, TorchEngine
from hooknet.inference.openvino_engine import OpenVinoEngine
from hooknet.shapes.memory import tile_bytes

CASES = (
    ("hooknet", 4, 1244),
    ("hooknet", 16, 732),
    ("hooknet", 16, 1244),
    ("hooknet", 16, 2268),
    ("hooknet", 64, 732),
    ("unet", 16, 1244),
    ("mrn", 16, 1024),
)


def one_tile(engine: str, model: str, filters: int, pixels: int) -> None:
    """Print the values of a tile, what the model says it takes, and what it took (MiB)."""
    network = paper_network(filters, model, PAPER[:1] if model == "unet" else PAPER)
    tile = network.shape.tile(pixels)
    views = [np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8) for size in tile.sizes]
    # What libraries take when they first run is not the tile's.
    with torch.inference_mode():
        network.target_logits([torch.rand(1, 3, size, size) for size in next(network.shape.tiles()).sizes])
    before = now_mib()
    made: Engine
    if engine == "torch":
        made = TorchEngine(network, tile, False, "fp32")
    else:
        made = OpenVinoEngine(network, tile, False, "fp32", 2)
    made.start(views)()
    made.start(views)()
    values, told = network.shape.tile_values(tile), tile_bytes(network.shape, tile) / MIB
    print(tile.stride, values, told, peak_mib() - before)


def main() -> None:
    """Print a row an engine and tile."""
    rows = []
    for engine in ("torch", "openvino"):
        for model, filters, pixels in CASES:
            process = measured("-m", "benchmarks.memory", engine, model, str(filters), str(pixels))
            stride, values, told, taken = map(float, process.printed.split()[-4:])
            rows.append(
                (
                    f"{engine}, {model} F = {filters}",
                    int(stride),
                    values / 1e6,
                    told,
                    taken,
                    taken * MIB / values,
                )
            )
    title = "Memory of a tile: the model that picks its size, and what was taken"
    columns = ("engine, network", "stride, px", "million values", "model, MiB", "taken, MiB", "bytes a value")
    print(Table(title, columns, rows))


if __name__ == "__main__":
    one_tile(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
