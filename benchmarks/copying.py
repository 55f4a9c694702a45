"""A slide copied to a local disk with its checksums taken, and the same file copied plainly."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.table import Table
from hooknet.io.copies import Store

SIZE = 2_000_000_000
ROUNDS = 3


def main() -> None:
    """Print the speeds; both copies are on disk at their end, and the source is not in memory at their start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "slide.bin"
        with source.open("wb") as file:
            for _ in range(0, SIZE, 1 << 20):
                file.write(os.urandom(1 << 20))
        rows = [(f"round {number}", *_speeds(source, folder)) for number in range(1, ROUNDS + 1)]
    print(
        Table(
            "A file of 2 GB to another folder of its disk",
            ("", "plain, MB/s", "checked, MB/s", "ratio"),
            rows,
        )
    )


def _speeds(source: Path, folder: Path) -> tuple[float, float, float]:
    size = source.stat().st_size / 1e6
    _forget(source)
    start = time.perf_counter()
    shutil.copyfile(source, folder / "plain")
    with (folder / "plain").open("rb") as file:
        os.fsync(file.fileno())
    plain = size / (time.perf_counter() - start)
    (folder / "plain").unlink()
    _forget(source)
    with Store(folder / "store", 2 * SIZE).borrowing() as borrow:
        checked = size / borrow(source).seconds
    shutil.rmtree(folder / "store")
    return plain, checked, checked / plain


def _forget(path: Path) -> None:
    """Have the system read a file from its disk next time."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
