"""How much memory there is, and whether a tile's feature maps fit it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import torch

from hooknet.shapes.dense import DenseShape
from hooknet.shapes.memory import BESIDES, tile_bytes
from hooknet.shapes.tiles import Tile

#: Maps of more numbers are beyond the indices that fast kernels count with.
MOST_VALUES: Final = 2**31
#: Of what is free now so much may be taken: others live on the machine too.
SHARE: Final = 0.5
DEVICE_SHARE: Final = 0.85
_SIGNS = (
    "can't allocate memory",
    "bad_alloc",
    "out of memory",
    "failed to allocate",
    "could not allocate",
    "alloc_failed",
)


class OutOfMemory(Exception):
    """The network did not get the memory for a tile; a smaller tile may do."""


def fits(shape: DenseShape, budget: float) -> Callable[[Tile], bool]:
    """Whether the feature maps of a tile are within ``budget`` bytes, and each within what kernels can count."""

    def allowed(tile: Tile) -> bool:
        return shape.largest_values(tile) < MOST_VALUES and tile_bytes(shape, tile) <= budget

    return allowed


def network_budget(device: torch.device, memory: int | None) -> float:
    """Bytes for feature maps: of a GPU most of what is free there, else of what the process may hold.

    ``memory``: bytes that the process may hold in all, None for half of what is free on the machine.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return DEVICE_SHARE * free
    return (SHARE * free_bytes() if memory is None else memory) - BESIDES


def free_bytes() -> float:
    """Memory that this process can still get: of the machine, and of the control groups that limit it."""
    told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(told["MemAvailable"].split()[0]) * 1024.0
    return min([free, *(left for folder in _control_groups() if (left := _left_in(folder)) is not None)])


def _control_groups(told: Path = Path("/proc/self/cgroup")) -> Iterator[Path]:
    """The folders of this process's memory groups, those that hold them too (any of them may set a limit)."""
    try:
        lines = told.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers in ("", "memory"):
            root = Path("/sys/fs/cgroup", controllers)
            own = root / name.lstrip("/")
            yield from (one for one in (own, *own.parents) if one.is_relative_to(root))


def _left_in(folder: Path) -> float | None:
    """What a control group leaves to its processes; None where it sets no limit.  Files it caches can go."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            room = int((folder / limit).read_text()) - int((folder / used).read_text())
            return float(room + int(counts[cached]))
        except (OSError, ValueError, KeyError):  # no such group, or no limit ("max")
            continue
    return None


def free_memory() -> None:
    """Give back what nothing holds any more: to the machine what cycles kept, to the GPU what torch keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def noticing_out_of_memory() -> Iterator[None]:
    """Turn what torch and OpenVINO raise where memory runs out into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own for a GPU is a RuntimeError
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS):
            raise OutOfMemory(" ".join(str(error).split())[:200]) from error
        raise
