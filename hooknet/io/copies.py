"""Copies of large files on a local disk: whole, checked, bounded in all, and shared by the processes of a machine.

A store is a folder with one folder a copy, called by the source's path, size and time, so that a source that has
changed is copied anew.  Beside a copy lies its checksum, as `sha256sum --check` reads it.  Three kinds of locks, which
the system lets go of however a process ends:

- the store's, for moments: who holds it decides what is copied and what is removed;
- a copy's, while it is being made: whoever wants it too waits;
- a borrower's, as long as it reads: what it has borrowed, written in the locked file, is not removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from hooknet.io.atomic import atomic, write_text
from hooknet.io.checksums import sha256_of

logger = logging.getLogger(__name__)

RECORD = "sha256"
COPYING = "copying.lock"
BORROWED = ".borrowed"
# Bytes read, digested and written at once.
CHUNK = 8 << 20
# ns: some disks round the time of a file.
ROUNDED = 2_000_000_000
PLACE = re.compile(r"[0-9a-f]{16}_\d+_-?\d+")


class NoCopy(Exception):
    """Why a file is read where it is."""


@dataclass(frozen=True)
class Copy:
    """A copy and its size in bytes; ``seconds`` that making it took, 0 where it was there."""

    path: Path
    size: int
    seconds: float


@dataclass(frozen=True)
class Place:
    """The folder of a copy."""

    folder: Path

    @classmethod
    def of(cls, source: Path, store: Path) -> Place:
        """Where a source's copy belongs; OSError where there is no such source."""
        about = source.stat()
        key = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:16]
        return cls(store / f"{key}_{about.st_size}_{about.st_mtime_ns}")

    @property
    def size(self) -> int:
        """Bytes of the copy, once it is whole; its place is kept from the start."""
        return int(self.folder.name.split("_")[1])

    @property
    def modified(self) -> int:
        """The time of the source, in ns."""
        return int(self.folder.name.split("_")[2])

    @property
    def last_used(self) -> int:
        """When, in ns."""
        try:
            return (self.folder / COPYING).stat().st_mtime_ns
        except OSError:
            return 0

    def copy(self) -> Path | None:
        """The copy, if its checksum is there and it has the size and time of the source."""
        try:
            digest, name = (
                (self.folder / RECORD).read_text(encoding="utf-8").removesuffix("\n").split("  ", 1)
            )
            about = (self.folder / name).stat()
        except (OSError, ValueError):
            return None
        same_time = abs(about.st_mtime_ns - self.modified) < ROUNDED
        fits = len(digest) == 64 and about.st_size == self.size and same_time
        return self.folder / name if fits else None

    def touch(self) -> None:
        """Note that it is used."""
        now = time.time_ns()  # the system's own is coarser
        with contextlib.suppress(OSError):
            os.utime(self.folder / COPYING, ns=(now, now))

    def clear(self) -> None:
        """Of all but the lock, which is somebody's."""
        for path in self.folder.iterdir():
            if path.name != COPYING:
                path.unlink()

    def remove(self) -> None:
        """With all that lies there, or as much of it as can be."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Store:
    """Copies in a ``folder``, that take ``bound`` bytes at most; of this user alone, as slides are of patients."""

    def __init__(self, folder: Path, bound: int | None) -> None:
        """Makes the folder; ``bound`` None is half of what the disk has free, these copies counted as free."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise NoCopy(f"{folder} is another user's")
        self.folder = folder
        self._bound = bound

    @contextlib.contextmanager
    def borrowing(self) -> Iterator[Callable[[Path], Copy]]:
        """A function that gives the copy of a file, which stays until the block ends.

        It raises NoCopy where there is no room for one, OSError where a disk fails.
        """
        borrowed: list[Place] = []
        path = self.folder / f"{uuid4().hex}{BORROWED}"
        with self._alone():
            notes = path.open("x", encoding="utf-8")
            fcntl.flock(notes, fcntl.LOCK_EX)

        def borrow(source: Path) -> Copy:
            place = Place.of(source, self.folder)
            copy = self._borrow(source, place, notes)
            borrowed.append(place)
            return copy

        with notes:
            try:
                yield borrow
            finally:
                for place in borrowed:
                    place.touch()
                path.unlink(missing_ok=True)

    def _borrow(self, source: Path, place: Place, notes: IO[str]) -> Copy:
        with contextlib.ExitStack() as stack:
            while not self._claim(place, notes, stack):
                logger.info("%s: another process is copying it; waiting", source)
                with contextlib.suppress(FileNotFoundError), (place.folder / COPYING).open() as theirs:
                    fcntl.flock(theirs, fcntl.LOCK_SH)
            found = place.copy()
            return self._copied(source, place) if found is None else Copy(found, place.size, 0.0)

    def _claim(self, place: Place, notes: IO[str], stack: contextlib.ExitStack) -> bool:
        """Borrow what is there, or take the copying upon this process until the stack ends; not where another has."""
        with self._alone():
            if place.copy() is None:
                if not _taken(place.folder / COPYING, stack):
                    return False
                self._make_room(place)
            print(place.folder.name, file=notes, flush=True)
            place.touch()
            return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else takes or removes copies while the block runs."""
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make_room(self, place: Place) -> None:
        """Remove copies that are not in use, the longest unused first, until another fits; NoCopy where none would.

        Before, what a process that was killed has left.
        """
        in_use = self._in_use()
        used, idle = 0, []
        for other in self._places():
            if other == place:
                place.clear()
            elif other.folder.name in in_use:
                used += other.size
            elif other.copy() is None:
                other.remove()
            else:
                used += other.size
                idle.append(other)
        free = shutil.disk_usage(self.folder).free
        bound = (used + free) // 2 if self._bound is None else self._bound
        room, leaving = min(bound - used, free), []
        for other in sorted(idle, key=lambda one: one.last_used):
            if room >= place.size:
                break
            leaving.append(other)
            room += other.size
        if room < place.size:
            place.remove()
            raise NoCopy(_no_room(place.size, bound, free))
        for other in leaving:
            other.remove()

    def _places(self) -> list[Place]:
        return [Place(one) for one in self.folder.iterdir() if PLACE.fullmatch(one.name)]

    def _in_use(self) -> set[str]:
        """Names of the places that somebody reads or copies to."""
        found: set[str] = set()
        for path in self.folder.glob(f"*{BORROWED}"):
            with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as notes:
                if _locked(notes, fcntl.LOCK_SH):
                    path.unlink(missing_ok=True)  # whose was it has ended
                else:
                    found.update(notes.read().splitlines())
        return found

    def _copied(self, source: Path, place: Place) -> Copy:
        """Copy to a place that nobody else copies to; nothing stays there where that fails."""
        start, path = time.monotonic(), place.folder / source.name
        try:
            with atomic(path) as partial:
                digest = _copy(source, partial)
                if Place.of(source, self.folder) != place:
                    raise NoCopy("it was changed while it was copied")
                if sha256_of(partial) != digest:
                    raise NoCopy(f"{partial} does not hold what was written there; have that disk looked at")
                os.utime(partial, ns=(time.time_ns(), place.modified))
                write_text(place.folder / RECORD, f"{digest}  {path.name}\n")
        except BaseException:
            with self._alone():
                place.remove()
            raise
        return Copy(path, place.size, time.monotonic() - start)


def _copy(source: Path, path: Path) -> str:
    """Copy to disk, and tell the SHA-256 of what was read."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
    with source.open("rb", buffering=0) as given, path.open("wb") as copy:
        while count := given.readinto(buffer):
            digest.update(buffer[:count])
            copy.write(buffer[:count])
        copy.flush()
        os.fsync(copy.fileno())
        # To be read from the disk, and not from what the system remembers of it.
        os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest.hexdigest()


def _taken(path: Path, stack: contextlib.ExitStack) -> bool:
    """Whether this process now has the lock, until the stack ends; not where another has it."""
    path.parent.mkdir(exist_ok=True)
    return _locked(stack.enter_context(path.open("a")), fcntl.LOCK_EX)


def _locked(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _no_room(size: int, bound: int, free: int) -> str:
    if size > bound:
        return f"{size / 1e9:.4g} GB, and copies may take {bound / 1e9:.4g} GB in all"
    return (
        f"{size / 1e9:.4g} GB, and beside the copies in use there is no room "
        f"({bound / 1e9:.4g} GB in all, {free / 1e9:.4g} GB free on the disk)"
    )
