"""What is written in any order, kept on the disk until it has its order."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from hooknet.errors import DiskError


@contextlib.contextmanager
def told_of(path: Path) -> Iterator[None]:
    """What the disk refuses, in one line that names the raster."""
    try:
        yield
    except DiskError:
        raise  # told already
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written ({error.strerror}); free space or correct the path, then run again"
        ) from error


class Spool:
    """Packed tiles of a raster under construction: a file in the folder of ``path``, the raster's, without a name.

    Nobody finds it, and it is gone with its process, also a killed one.  DiskError when it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        with told_of(path):
            # No buffer: what a full disk refuses is known at the write that it refused.
            self._file = tempfile.TemporaryFile(dir=path.parent, buffering=0)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, content: bytes) -> int:
        """Write at the end; where it starts."""
        start, left = self._end, memoryview(content)
        with told_of(self._path):
            self._go_to(start)
            while left:
                left = left[self._file.write(left) :]
        self._end += len(content)
        return start

    def read(self, start: int, count: int) -> bytes:
        """Bytes that were appended."""
        self._go_to(start)
        return self._file.read(count)

    def _go_to(self, start: int) -> None:
        """DiskError if the disk has lost something: a write behind its end would leave a hole unseen."""
        found = self._file.seek(0, os.SEEK_END)
        if found != self._end:
            raise DiskError(
                f"{self._path}: found {found} bytes of what was written so far, wanted {self._end}; "
                "the disk has lost some, run again"
            )
        self._file.seek(start)
