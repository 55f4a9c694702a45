"""Jobs of a workflow as Snakemake would start them, each in a process of its own that can be killed at any instant.

Processes are forked from a server that has loaded all that commands need, so that an instant falls on what a command
does and not on what it loads, and so that a hundred kills take minutes.  What a kill leaves is on the disk either way.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from unittest import mock

import made_workflow
from made_workflow import snakemake

VARIABLES = {
    "HOOKNET_DATASETS": "config/datasets.yaml",
    "HOOKNET_EXPERIMENTS": "config/experiments.yaml",
    # Compiled models, which else are kept from one run for the next.
    "HOOKNET_CACHE": "cache",
}
#: Seconds that any job of the tests may take.
LIMIT = 120
JOB = re.compile(r"^(?=(?:local)?(?:rule|checkpoint) \w+:$)", re.MULTILINE)
DIVISION = re.compile(r"\$\(\((\d+) / (\d+)\)\)")


@dataclass(frozen=True)
class Job:
    """A job of a rule: what it writes, and its command as words after ``hooknet``."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    words: tuple[str, ...]

    @property
    def step(self) -> str:
        """The command, which several rules may run."""
        return self.words[0]

    def prepare(self, folder: Path) -> None:
        """As Snakemake does before a job: no outputs of another time, and folders for new ones."""
        for output in self.outputs:
            path = folder / output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
        (folder / self.log).parent.mkdir(parents=True, exist_ok=True)


def planned(folder: Path, *options: str) -> list[Job]:
    """The jobs of a complete run of a folder, in an order in which each finds its inputs."""
    found = snakemake(folder, "-n", "-F", "-p", "--nocolor", *options)
    assert found.returncode == 0, found.stdout
    jobs = [one for text in JOB.split(found.stdout)[1:] if (one := _job(text)) is not None]
    ordered: list[Job] = []
    while jobs:
        waiting = {output for one in jobs for output in one.outputs}
        ready = [one for one in jobs if not waiting.intersection(one.inputs)]
        assert ready, jobs
        ordered += ready
        jobs = [one for one in jobs if one not in ready]
    return ordered


def _job(text: str) -> Job | None:
    def told(key: str) -> str | None:
        found = re.search(rf"^(?:    {key}|{key}): (.*)$", text, re.MULTILINE)
        return found[1] if found else None

    command, log = told("Shell command"), told("log")
    if command is None or log is None:
        return None
    line = DIVISION.sub(lambda found: str(int(found[1]) // int(found[2])), command.split(" > ")[0])
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "hooknet"], words
    rule = text.split(":", 1)[0].split()[-1]
    # Marked as what goes or is shown, which is no part of the name.
    names = [
        [one.split(" (")[0] for one in (told(key) or "").split(", ") if one] for key in ("input", "output")
    ]
    return Job(rule, tuple(names[0]), tuple(names[1]), log, tuple(words[3:]))


@dataclass(frozen=True)
class Started:
    """A job at work since ``begun`` (time.monotonic), in a group of processes of its own."""

    process: ForkServerProcess
    begun: float

    def wait(self, limit: float = LIMIT) -> tuple[int, float]:
        """Exit status (-9 if killed) and seconds; after ``limit`` AssertionError, and it is killed."""
        self.process.join(limit)
        hangs = self.process.is_alive()
        if hangs:
            self.kill()
        seconds = time.monotonic() - self.begun
        assert not hangs, f"it did not end within {limit} s"
        status = self.process.exitcode
        assert status is not None
        return status, seconds

    def kill(self) -> None:
        """``kill -9`` of the job and all processes it has started."""
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()


@functools.cache
def _server() -> ForkServerContext:
    """Forks from here on are of a process that has loaded the commands and done nothing."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["fault_modules"])
    # Its Python is told where to look for modules by this alone.
    paths = os.pathsep.join([str(made_workflow.ROOT / "tests"), str(made_workflow.ROOT)])
    with mock.patch.dict(os.environ, {"PYTHONPATH": paths}):
        forkserver.ensure_running()
    return server


@dataclass(frozen=True)
class Held:
    """What is kept from a job: variables, bytes a file may have, a function that runs in its process before it."""

    variables: Mapping[str, str] | None = None
    file_bytes: int | None = None
    before: Callable[[], object] | None = None


FREE = Held()


def start(folder: Path, words: tuple[str, ...], log: Path, held: Held = FREE) -> Started:
    """Start a command in a folder; it has begun when this returns."""
    ours, theirs = _server().Pipe(duplex=False)
    process = _server().Process(target=_work, args=(str(folder), words, str(folder / log), held, theirs))
    process.start()
    theirs.close()
    assert ours.recv() == "begun"
    return Started(process, time.monotonic())


def run(folder: Path, job: Job) -> float:
    """Do a job as Snakemake does, to its end; its seconds."""
    job.prepare(folder)
    status, seconds = start(folder, job.words, Path(job.log)).wait()
    assert status == 0, (job, (folder / job.log).read_text())
    return seconds


def run_all(folder: Path, jobs: list[Job]) -> dict[Job, float]:
    """A complete run; the seconds of each job."""
    return {job: run(folder, job) for job in jobs}


def _work(folder: str, words: tuple[str, ...], log: str, held: Held, parent: Connection) -> None:
    """The command's own front door, in this process."""
    os.setsid()
    os.chdir(folder)
    # As of any Python here; it is ours only because of the server.
    multiprocessing.set_start_method("fork", force=True)
    os.environ.update(VARIABLES | dict(held.variables or {}))
    # A shell that starts the tests in the background has its children ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    if held.file_bytes is not None:
        # Without a limit on the log, which is on another disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (held.file_bytes, held.file_bytes))
    if held.before is not None:
        held.before()
    sys.argv = ["hooknet", *words]
    from hooknet.cli.main import main

    parent.send("begun")
    parent.close()
    try:
        main()
    except SystemExit as exit:
        sys.stdout.flush()
        sys.stderr.flush()
        raise SystemExit(exit.code) from None
