"""How much memory a tile's feature maps take, and how much there is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import torch

from hooknet.shapes.tiles import Tile
from hooknet.shapes.unet import UNetShape

#: Bytes held per number of :meth:`UNetShape.tile_values`, in fp32, and what each has of its own: measured by
#: ``python -m benchmarks memory``, the most over networks and tiles.
BYTES_PER_VALUE: Final = {"torch": 6.2, "openvino": 5.2}
OWN_BYTES: Final = 64 << 20
#: What a process holds besides: libraries, views, blocks kept for later tiles, a row of the map's blocks.
BESIDES: Final = 2 << 30
#: Of what is free now so much may be taken: others live on the machine too.
SHARE: Final = 0.5
DEVICE_SHARE: Final = 0.85
_SIGNS = ("can't allocate memory", "bad_alloc", "out of memory", "failed to allocate", "could not allocate")


class OutOfMemory(Exception):
    """The network did not get the memory for a tile; a smaller tile may do."""


def fits(shape: UNetShape, engine: str, budget: float) -> Callable[[Tile], bool]:
    """Whether the feature maps of a tile are within ``budget`` bytes when ``engine`` computes them."""
    return lambda tile: tile_bytes(shape, engine, tile) <= budget


def tile_bytes(shape: UNetShape, engine: str, tile: Tile) -> float:
    """Bytes that a tile takes at most: its feature maps, and the weights once more in an order of the engine's."""
    return shape.tile_values(tile) * BYTES_PER_VALUE[engine] + 4 * shape.parameter_count + OWN_BYTES


def network_budget(device: torch.device, memory: int | None) -> float:
    """Bytes for feature maps: of a GPU most of what is free there, else of what the process may hold.

    ``memory``: bytes that the process may hold in all, None for half of what is free on the machine.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return DEVICE_SHARE * free
    return (SHARE * free_bytes() if memory is None else memory) - BESIDES


def free_bytes() -> float:
    """Memory that this process can still get: of the machine, and of the control group that limits it."""
    told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(told["MemAvailable"].split()[0]) * 1024.0
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
    return free


@contextlib.contextmanager
def noticing_out_of_memory() -> Iterator[None]:
    """Turn what torch and OpenVINO raise where memory runs out into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own for a GPU is a RuntimeError
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS):
            raise OutOfMemory(" ".join(str(error).split())[:200]) from error
        raise
