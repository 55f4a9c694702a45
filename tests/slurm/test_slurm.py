"""The tiny configuration on a SLURM cluster, by profiles/slurm as it is shipped."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import made_workflow
import pytest
import slurm_cluster
from compared import assert_the_same
from made_workflow import SYSTEMS
from slurm_cluster import Cluster
from slurm_runs import end, rule_of, start

WHY_NOT = slurm_cluster.missing()
pytestmark = [pytest.mark.slurm, pytest.mark.skipif(WHY_NOT is not None, reason=f"no SLURM: {WHY_NOT}")]

#: Seconds for a node that is back to tell of its jobs.
LIMIT = 60
#: Training on the GPU's node, the rest where there is room.
ON_GPU = {"train", "infer", "infer_with_probabilities"}


def has_gpu(job: dict[str, str]) -> bool:
    """Whether it was given one, and no more."""
    return job.get("TresPerJob") == "gres:gpu:1"


def told(run: str, seconds: float) -> dict:
    """What happened, for a reader: written to the file that HOOKNET_SLURM_SUMMARY names, if it does."""
    jobs = slurm_cluster.jobs()
    summary = {
        "run": run,
        "seconds": round(seconds),
        "jobs": len(jobs),
        "states": dict(Counter(one["JobState"] for one in jobs)),
        "per node": dict(Counter(one.get("NodeList", "") for one in jobs)),
        "with a GPU": dict(Counter(rule_of(one) for one in jobs if has_gpu(one))),
        "requeues by SLURM": sum(int(one["Restarts"]) for one in jobs),
        "submitted again": {
            rule_of(one): one["JobState"] for one in jobs if one["JobState"] not in ("COMPLETED", "RUNNING")
        },
    }
    place = os.environ.get("HOOKNET_SLURM_SUMMARY")
    if place:
        with Path(place).open("a") as file:
            file.write(json.dumps(summary) + "\n")
    return summary


def test_a_run_on_a_cluster_ends_like_one_on_this_machine(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    made_workflow.write(folder)
    planned = made_workflow.jobs(folder)
    with slurm_cluster.running(tmp_path / "cluster"):
        begun = time.monotonic()
        end(start(folder), folder, lambda: None)
        summary = told("plain", time.monotonic() - begun)
        jobs = slurm_cluster.jobs()
    assert (folder / "results" / "report" / "tiny" / "index.html").exists()
    assert_the_same(folder, finished)
    assert summary["states"] == {"COMPLETED": len(jobs)}
    # All but `default`, which has nothing to do and is no job of the cluster.
    assert Counter(rule_of(one) for one in jobs) == planned
    with_gpu = [one for one in jobs if has_gpu(one)]
    assert {rule_of(one) for one in with_gpu} == ON_GPU
    assert len(with_gpu) == 2 * len(SYSTEMS)
    assert {one["Partition"] for one in with_gpu} == {"gpu"}
    assert {one["Partition"] for one in jobs if one not in with_gpu} == {"cpu"}
    assert not (slurm_cluster.CONFIGURATION / "slurm.conf").exists()


class Faults:
    """What goes wrong in a run, each thing once: what is done to a job, and to which."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.done: dict[str, str] = {}
        self.rules = {"cancelled": "rasterise", "hanging": "measure_calibration", "lost": "train"}

    def cause(self) -> None:
        """Once for each: take a job away, let one hang, cut the power of a node where one trains."""
        for job in slurm_cluster.jobs():
            for fault, rule in self.rules.items():
                if fault not in self.done and rule_of(job) == rule and job["JobState"] == "RUNNING":
                    self.done[fault] = job["JobId"]
                    time.sleep(1.5)
                    getattr(self, fault)(job)
                    return

    def cancelled(self, job: dict[str, str]) -> None:
        subprocess.run(["scancel", job["JobId"]], check=True)

    def hanging(self, job: dict[str, str]) -> None:
        self.cluster.stop_job(job["JobId"])

    def lost(self, job: dict[str, str]) -> None:
        self.cluster.lose_node(job["NodeList"])
        slurm_cluster.wait_until_silent(job["NodeList"])
        self.cluster.start_node(job["NodeList"])
        if self._ended(job["JobId"]) == "COMPLETED":  # it was faster than this test: the next one is for it
            del self.done["lost"]

    def _ended(self, number: str) -> str:
        """The state of a job once the node that is back has told of it, or it was put back into the queue."""
        until = time.monotonic() + LIMIT
        while True:
            (job,) = [one for one in slurm_cluster.jobs() if one["JobId"] == number]
            at_work = job["JobState"] in {"RUNNING", "COMPLETING"} and int(job["Restarts"]) == 0
            if not at_work or time.monotonic() > until:
                return job["JobState"]
            time.sleep(0.5)


@pytest.mark.slow
def test_lost_cancelled_hanging_and_too_large_jobs_end_in_the_same_results(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with slurm_cluster.running(tmp_path / "cluster") as cluster:
        faults, begun = Faults(cluster), time.monotonic()
        # A minute at first, and 100 MB, which libraries alone take; later attempts have more.
        scarce = ("measure_calibration:runtime=attempt", "index_centres:mem_mb=1000*attempt-900")
        end(start(folder, "--set-resources", *scarce), folder, faults.cause)
        told("faults", time.monotonic() - begun)
        jobs = {one["JobId"]: one for one in slurm_cluster.jobs()}
    assert_the_same(folder, finished)
    assert jobs[faults.done["cancelled"]]["JobState"] == "CANCELLED"
    assert jobs[faults.done["hanging"]]["JobState"] == "TIMEOUT"
    # Told by the node that is back (FAILED), or by SLURM, which then begins it again itself.
    lost = jobs[faults.done["lost"]]
    assert lost["JobState"] in {"FAILED", "NODE_FAIL"} or int(lost["Restarts"]) > 0
    indexing = [one for one in jobs.values() if rule_of(one) == "index_centres"]
    small = [one for one in indexing if "mem=100M" in one["TRES"]]
    assert len(small) == 4
    assert {one["JobState"] for one in small} <= {"FAILED", "OUT_OF_MEMORY"}
    assert all("exceeded memory limit" in Path(one["StdOut"]).read_text() for one in small)
    assert {one["JobState"] for one in indexing if one not in small} == {"COMPLETED"}
    again = [one for one in jobs.values() if rule_of(one) == "measure_calibration"]
    assert [one["TimeLimit"] for one in again] == ["00:01:00", "00:02:00"]
    rasterised = [one["TRES"] for one in jobs.values() if rule_of(one) == "rasterise"]
    assert Counter("mem=2000M" in one for one in rasterised) == {True: 4, False: 1}
