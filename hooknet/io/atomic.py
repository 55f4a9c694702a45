"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary neighbour of ``path`` (same suffix) that takes its place when the block ends well.

    On any failure the neighbour is removed and ``path`` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.errno in _FULL and error.filename is None:  # of a write: the system names no file then
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_stale(path: Path) -> None:
    """Remove what a killed process left beside ``path``; no exception handler runs on SIGKILL."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.*.partial{path.suffix}"):
        pid = left.name.removesuffix(f".partial{path.suffix}").rpartition(".")[2]
        if not pid.isdigit() or not _is_at_work(pid):
            left.unlink(missing_ok=True)


def _is_at_work(pid: str) -> bool:
    """Whether a process runs; one that was killed may stay listed as a zombie, in containers for ever."""
    try:
        status = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def write_text(path: str | Path, text: str) -> None:
    """Write a small UTF-8 file, atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
