"""A disk that is full or read-only under a step: one line, exit status 2, every file as it was.  It needs root."""

from __future__ import annotations

import contextlib
import math
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import fault_jobs
import fault_kills
from fault_jobs import Job

PAGE = 4096
FILLER = "filler"
#: MB; more than any run of the tests takes.
SIZE = 400
#: It gives a file a second name.
NEEDS_NO_ROOM = ("unbundle",)


class NoDisk(Exception):
    """Why there is no disk to try with."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk in memory at ``folder``; NoDisk where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "hooknet-faults", str(folder)]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoDisk(str(error)) from None
    if found.returncode:
        raise NoDisk(found.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full_but_for(disk: Path, pages: int) -> Iterator[None]:
    """Nothing free but so many pages of 4 KiB."""
    filler = disk / FILLER
    with filler.open("wb") as file:
        state = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - pages * PAGE)
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Nothing can be written, by root neither."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def pages_of(folder: Path, job: Job) -> int:
    """Those of the largest file that a job has written."""
    files = [
        path
        for output in job.outputs
        for path in ([folder / output] if (folder / output).is_file() else (folder / output).rglob("*"))
        if path.is_file()
    ]
    return max(math.ceil(path.stat().st_size / PAGE) for path in files)


def refused(folder: Path, job: Job, wanted: dict[str, str], remedy: str) -> list[str]:
    """What is wrong with how a job ended whose disk takes nothing more; its results of another time were there."""
    with tempfile.TemporaryDirectory() as elsewhere:
        log = Path(elsewhere, "log")
        held = fault_jobs.Held({"HOOKNET_CACHE": elsewhere})
        status, _ = fault_jobs.start(folder, job.words, log, held).wait()
        told = log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in told.splitlines() if line.startswith("hooknet: ")]
    if job.step in NEEDS_NO_ROOM and status == 0 and "free" in remedy:
        return [f"{job.step}: {one} is another" for one in fault_kills.differences(folder, wanted)]
    wrong = [] if status == 2 else [f"exit status {status}"]
    if len(lines) != 1 or remedy not in lines[0] or "Traceback" in told:
        wrong.append(f"said {told[-1500:]!r}")
    other = [name for name in fault_kills.differences(folder, wanted) if not fault_kills.KEPT.search(name)]
    if other:
        wrong.append(f"{other} are others")
    return [f"{job.step}: {one}" for one in wrong]


def of_full(folder: Path, jobs: Sequence[Job], wanted: dict[str, str], rng: random.Random) -> list[str]:
    """Each job on a disk that fills up somewhere in its largest file; what is wrong."""
    wrong = []
    for job in jobs:
        with full_but_for(folder, rng.randrange(pages_of(folder, job))):
            wrong += refused(folder, job, wanted, "free space")
        _drop_kept(folder)
    return wrong


def of_read_only(folder: Path, jobs: Sequence[Job], wanted: dict[str, str]) -> list[str]:
    """Each job on a disk that can only be read; what is wrong."""
    with read_only(folder):
        return [
            one for job in jobs for one in refused(folder, job, wanted, "correct the path or its permissions")
        ]


def _drop_kept(folder: Path) -> None:
    for name in fault_kills.contents(folder):
        if fault_kills.KEPT.search(name):
            (folder / name).unlink()
