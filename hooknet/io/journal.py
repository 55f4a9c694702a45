"""Records that outlive the process that wrote them, so that the next one need not do their work again.

A line says what the records depend on.  Each record has its length and its checksum: of a file that ends in the
middle of one (a process was killed, a disk was full), or that has lost some, the whole ones before it count.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from zlib import crc32

logger = logging.getLogger(__name__)

_HEAD = struct.Struct("<II")  # length, checksum


class Journal:
    """Records in a file at ``path``; those of before, if they depend on the same, are there from the beginning.

    A journal is a help: where the disk refuses it the log says so and nothing is kept.  One process at a time:
    another one that asks for it goes without.
    """

    def __init__(self, path: Path, depends: Mapping[str, object]) -> None:
        self.path = path
        self._depends = json.dumps(depends, sort_keys=True).encode() + b"\n"
        self._file: IO[bytes] | None = None
        self._ends: list[int] = []  # where the line ends, and each record

    def __len__(self) -> int:
        """How many records there are."""
        return max(0, len(self._ends) - 1)

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            if self._is_ours():
                self._find()
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            if not len(self):
                self.path.unlink(missing_ok=True)
            self._file.close()

    def read(self, number: int) -> bytes:
        """One of the records."""
        assert self._file is not None
        start, end = self._ends[number : number + 2]
        self._file.seek(start + _HEAD.size)
        return self._file.read(end - start - _HEAD.size)

    def cut(self, count: int) -> None:
        """Keep the first ``count`` records."""
        if self._file is not None:
            del self._ends[count + 1 :]
            self._file.truncate(self._ends[-1])

    def append(self, content: bytes) -> None:
        """One more record."""
        if self._file is None:
            return
        try:
            self._write(_HEAD.pack(len(content), crc32(content)) + content)
        except OSError as error:
            self._give_up(error)
            return
        self._ends.append(self._ends[-1] + _HEAD.size + len(content))

    def _find(self) -> None:
        """Where whole records end, what is behind them cut off; none where they depend on something else."""
        assert self._file is not None
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        if self._file.read(len(self._depends)) != self._depends:
            if size:
                logger.info("%s: of other settings, weights or files, or damaged; not used", self.path)
            self._file.truncate(0)
            self._write(self._depends)
            size = len(self._depends)
        self._ends = [len(self._depends)]
        while (end := self._end_of_next(size)) is not None:
            self._ends.append(end)
        self.cut(len(self))

    def _end_of_next(self, size: int) -> int | None:
        """Where the record behind the last one ends, if it is whole."""
        assert self._file is not None
        start = self._ends[-1] + _HEAD.size
        if start > size:
            return None
        self._file.seek(self._ends[-1])
        length, checksum = map(int, _HEAD.unpack(self._file.read(_HEAD.size)))
        if start + length > size or crc32(self._file.read(length)) != checksum:
            return None
        return start + length

    def _write(self, content: bytes) -> None:
        assert self._file is not None
        left = memoryview(content)
        while left:
            left = left[self._file.write(left) :]

    def _is_ours(self) -> bool:
        """Whether no other process is at work on it."""
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("%s: another process is at work on it; this one keeps nothing", self.path)
            self._file.close()
            self._file = None
        except OSError:
            pass  # a disk that knows no locks
        return self._file is not None

    def _give_up(self, error: OSError) -> None:
        """Without a journal then; the map may need the room."""
        told = os.strerror(error.errno or 0)
        logger.warning("%s: cannot be kept (%s); interrupted now this begins anew", self.path, told)
        self._ends = []
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
