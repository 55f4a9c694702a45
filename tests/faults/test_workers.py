"""A process that reads patches for a training is killed, as a system does that runs out of memory."""

import copy
import os
import signal
import time
from pathlib import Path

import fault_jobs
import made_workflow
import pytest

#: Seconds until a training without its reader has to say so.
LIMIT = 60


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_training_whose_reader_is_killed_ends_with_one_line_and_goes_on(project, number):
    longer = copy.deepcopy(made_workflow.EXPERIMENTS)
    longer["experiments"]["hooknet"]["train"] = {"workers": 1, "epochs": 3000}
    made_workflow.write(project.folder, longer)
    job = next(one for one in project.jobs if one.step == "train" and "hooknet" in one.words)
    job.prepare(project.folder)
    training = fault_jobs.start(project.folder, job.words, Path("train.log"))
    state = (project.folder / job.outputs[0]).parent / "state" / "state.ckpt"
    until = time.monotonic() + LIMIT
    while not state.exists() and training.process.is_alive() and time.monotonic() < until:
        time.sleep(0.05)
    pid = training.process.pid
    readers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert readers, (project.folder / "train.log").read_text()
    os.kill(int(readers[0]), number)
    status, _ = training.wait(LIMIT)
    log = (project.folder / "train.log").read_text()
    assert status == 2, log
    assert "Traceback" not in log
    # Of a crash torch's reader says a line of its own before it goes, which ends with a zero.
    (line,) = [one.lstrip("\0 ") for one in log.splitlines() if "hooknet: " in one]
    # What torch says of it depends on who notices first: it, or the pipe to that process.
    assert line.startswith(
        "hooknet: a process that reads patches has ended; where memory ran out, give the job more or lower "
        "train.workers or train.cache_mb, and start again: the training goes on after its last epoch ("
    )
    # Nothing that looks finished, and no process left.
    assert not any((project.folder / output).exists() for output in job.outputs)
    assert not any(Path("/proc", reader).exists() for reader in readers)
    # By the settings of before it is another training, which starts afresh.
    made_workflow.write(project.folder)
    fault_jobs.run(project.folder, job)
    assert project.differences() == []
