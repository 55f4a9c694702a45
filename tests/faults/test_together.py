"""Two at once: two runs in one folder, and one command twice at the same outputs."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import fault_jobs
import pytest
from made_workflow import ENVIRONMENT, command, jobs, snakemake

#: So short that both are at it, so long that neither waits for the other's start.
TWICE = ("rasterise", "index-centres", "infer", "measure-calibration", "detect-objects", "evaluate", "export")


def is_held(lock):
    with contextlib.suppress(FileNotFoundError), lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_second_run_in_a_folder_is_told_so_and_does_nothing(project):
    (project.folder / "results" / "report" / "tiny" / "index.html").unlink()
    first = subprocess.Popen(
        command(), cwd=project.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    lock = project.folder / ".snakemake" / "run.lock"
    until = time.monotonic() + 120
    try:
        while not is_held(lock) and first.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        # Stopped, so that it is at work as long as the second needs to find that out.
        os.killpg(first.pid, signal.SIGSTOP)
        second = snakemake(project.folder)
        os.killpg(first.pid, signal.SIGCONT)
        told, _ = first.communicate(timeout=240)
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    assert second.returncode == 1
    assert [line for line in second.stdout.splitlines() if line.startswith("hooknet: ")] == [
        "hooknet: .snakemake/run.lock: another process is at work in this folder; wait until it is done, or end it"
    ]
    assert "rule " not in second.stdout.partition("hooknet: ")[2]
    assert first.returncode == 0, told
    assert project.differences() == []
    assert jobs(project.folder) == {}


@pytest.mark.parametrize("step", TWICE)
def test_one_command_twice_at_once_ends_in_whole_files(project, step):
    job = next(one for one in project.jobs if one.step == step)
    both = [fault_jobs.start(project.folder, job.words, Path(f"twice{number}.log")) for number in (1, 2)]
    statuses = [one.wait()[0] for one in both]
    logs = [(project.folder / f"twice{number}.log").read_text() for number in (1, 2)]
    assert statuses == [0, 0], logs
    assert project.differences() == []


def test_second_training_of_a_run_is_told_so(project):
    job = next(one for one in project.jobs if one.step == "train")
    job.prepare(project.folder)
    first = fault_jobs.start(project.folder, job.words, Path("first.log"))
    lock = (project.folder / job.outputs[0]).with_name(".state.lock")
    until = time.monotonic() + 60
    while not is_held(lock) and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(first.process.pid, signal.SIGSTOP)
    second, _ = fault_jobs.start(project.folder, job.words, Path("second.log")).wait()
    os.killpg(first.process.pid, signal.SIGCONT)
    assert second == 2
    log = (project.folder / "second.log").read_text()
    assert "another process is at work in this folder" in log.splitlines()[-1]
    assert first.wait()[0] == 0
    assert project.differences() == []
