"""How many bytes a tile's feature maps take, and a process besides."""

from __future__ import annotations

from typing import Final

from hooknet.shapes.dense import DenseShape
from hooknet.shapes.tiles import Tile

#: Bytes held per number of :meth:`DenseShape.tile_values`, in fp32, and what there is of its own: measured by
#: ``python -m benchmarks memory``, the most over engines, networks and tiles.
BYTES_PER_VALUE: Final = 6.2
OWN_BYTES: Final = 64 << 20
#: What a process holds besides: libraries, views, blocks kept for later tiles, a row of the map's blocks.
BESIDES: Final = 2 << 30


def tile_bytes(shape: DenseShape, tile: Tile) -> float:
    """Bytes that a tile takes at most: its feature maps, and the weights once more in an order of the engine's."""
    return shape.tile_values(tile) * BYTES_PER_VALUE + 4 * shape.parameter_count + OWN_BYTES
