"""Which GPU a process takes, where a machine has several and jobs run side by side on it.

A scheduler shows a job only its own GPUs.  On a machine of one's own (`snakemake --resources gpu=4`) every job sees all
of them, and would take the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO

import torch

logger = logging.getLogger(__name__)

# Open for as long as the process lives: the system lets go of their locks however it ends.
_HELD: list[IO[str]] = []


def has_bf16() -> bool:
    """Whether the GPUs that are there compute in bf16 and tf32 by circuits of their own: NVIDIA's do since Ampere."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


@contextlib.contextmanager
def rounding_to_tf32(wanted: bool) -> Iterator[None]:
    """Whether GPUs that can may round the factors of products to 10 bits; torch does so of convolutions unasked."""
    of_convolutions, of_products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = of_convolutions.allow_tf32, of_products.allow_tf32
    of_convolutions.allow_tf32 = of_products.allow_tf32 = wanted
    try:
        yield
    finally:
        of_convolutions.allow_tf32, of_products.allow_tf32 = before


@contextlib.contextmanager
def in_fp32(place: torch.device) -> Iterator[None]:
    """Compute in fp32, whatever rounding to bf16 or tf32 is around it."""
    with torch.autocast(place.type, enabled=False), rounding_to_tf32(False):
        yield


def device() -> torch.device:
    """The device that this process computes on: a GPU of its own where there is one, else the processor."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    gpu = own_gpu()
    torch.cuda.set_device(gpu)
    return torch.device("cuda", gpu)


@cache
def own_gpu() -> int:
    """The number of a visible GPU that no other process holds; where all are held, of that with most memory left.

    The latter too where the temporary folder does not tell what others hold.
    """
    count = torch.cuda.device_count()
    if count == 1:
        return 0
    names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(count)]
    folder = Path(tempfile.gettempdir(), f"hooknet-gpus-{os.getuid()}")
    try:
        free, why = take_free(names, folder), f"all {count} GPUs are taken"
    except OSError as error:
        free, why = None, f"{folder}: locks of GPUs cannot be held there ({os.strerror(error.errno or 0)})"
    if free is None:
        free = max(range(count), key=lambda number: torch.cuda.mem_get_info(number)[0])
        logger.warning("%s; sharing GPU %d", why, free)
    else:
        logger.info("GPU %d of %d", free, count)
    return free


def take_free(names: Sequence[str], folder: Path) -> int | None:
    """Hold the first name that no other process holds, until this process ends; None where all are held.

    OSError where the folder is not ours, or its disk knows no locks.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, name in enumerate(names):
        file = (folder / name).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _HELD.append(file)
        return number
    return None
