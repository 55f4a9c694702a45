"""The tiny configuration on a Grid Engine, by profiles/sge as it is shipped."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from datetime import datetime
from itertools import pairwise

import made_workflow
import pytest
import sge_cluster
from compared import assert_the_same
from made_workflow import BIN, ROOT, SYSTEMS
from sge_cluster import Cluster, wait_until
from slurm_runs import end

WHY_NOT = sge_cluster.missing()
pytestmark = [
    pytest.mark.sge,
    pytest.mark.slow,
    pytest.mark.skipif(WHY_NOT is not None, reason=f"no Grid Engine: {WHY_NOT}"),
]

ON_GPU = {"train", "infer", "infer_with_probabilities"}
#: How long the status of a job that is neither in the queue nor in the accounts is waited for, s.
PATIENCE = {"HOOKNET_SGE_PATIENCE": "5"}


def status(cluster: Cluster, number: str, **environment: str) -> str:
    """What the profile's script says of a job."""
    done = subprocess.run(
        [ROOT / "profiles" / "sge" / "status.sh", number],
        cwd=cluster.folder,
        env={**cluster.environment, **PATIENCE, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def submit(cluster: Cluster, *words: str, output: str = "/dev/null") -> str:
    options = ("-terse", "-b", "y", "-cwd", "-j", "y", "-S", "/bin/bash", "-o", output)
    return cluster.told("qsub", *options, *words).strip()


def state(cluster: Cluster, number: str) -> str:
    return next((one["state"] for one in cluster.queued() if one["number"] == number), "ended")


def reaches(cluster: Cluster, number: str, wanted: str) -> None:
    wait_until(lambda: state(cluster, number) == wanted, f"job {number} is {wanted}")


def test_the_status_script_tells_jobs_that_run_wait_end_fail_and_vanish(tmp_path):
    with sge_cluster.running(tmp_path / "cluster") as cluster:
        # Minutes as rules ask for them: three days are more than 59.
        holder = submit(cluster, "-pe", "smp", "3", "-l", "gpu=1,h_rt=0:4320:0", "sleep", "600")
        reaches(cluster, holder, "r")
        waiting, doomed = (submit(cluster, "-l", "gpu=1", "sleep", "600") for _ in range(2))
        well, badly = submit(cluster, "true"), submit(cluster, "false")
        unable = submit(cluster, "true", output="/no/such/folder/log")
        for number, last in ((well, "ended"), (badly, "ended"), (unable, "Eqw"), (waiting, "qw")):
            reaches(cluster, number, last)
        assert "h_rt=259200" in cluster.told("qstat", "-j", holder)
        assert [status(cluster, one) for one in (holder, waiting)] == ["running\n"] * 2
        wait_until(lambda: status(cluster, well) == "success\n", "an account of what went well")
        wait_until(lambda: status(cluster, badly) == "failed\n", "an account of what went badly")
        # Cannot begin: it is not left to begin one day beside the job that takes its place.
        assert status(cluster, unable) == "failed\n"
        assert state(cluster, unable) == "ended"
        # Deleted before it began: of that there is no account, and nobody waits for one for ever.
        cluster.told("qdel", doomed)
        assert status(cluster, doomed, HOOKNET_SGE_PATIENCE="300") == "running\n"
        time.sleep(5)
        assert status(cluster, doomed) == "failed\n"
        cluster.told("qdel", holder)
        wait_until(lambda: status(cluster, holder) == "failed\n", "an account of what was deleted")
        nobody = str(sge_cluster.free_ports(1)[0])
        assert status(cluster, well, SGE_QMASTER_PORT=nobody) == "running\n"
        assert status(cluster, well) == "success\n"


class Faults:
    """What goes wrong in a run, each thing once: what is done to a job, of which rule, in which state."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.done: dict[str, str] = {}
        self.wanted = {
            "killed": ("rasterise", "r"),
            "hanging": ("measure_calibration", "r"),
            "deleted": ("train", "qw"),
            "broken": ("train", "qw"),
        }

    def cause(self) -> None:
        queued = self.cluster.queued()
        if "deleted" not in self.done and ("train", "r") not in {
            (one["name"], one["state"]) for one in queued
        }:
            # Trainings that wait do so for the GPU, not for the scheduler's next round.
            queued = [one for one in queued if one["name"] != "train"]
        for job in queued:
            for fault, (rule, state) in self.wanted.items():
                free = fault not in self.done and job["number"] not in self.done.values()
                if free and (job["name"], job["state"]) == (rule, state):
                    self.done[fault] = job["number"]
                    getattr(self, fault)(job["number"])
                    return

    def killed(self, number: str) -> None:
        time.sleep(1)
        self.cluster.told("qdel", number)

    def hanging(self, number: str) -> None:
        time.sleep(1)
        self.cluster.stop_job(number)

    def deleted(self, number: str) -> None:
        self.cluster.told("qdel", number)

    def broken(self, number: str) -> None:
        """It cannot begin where its log cannot be written."""
        self.cluster.told("qalter", "-o", "/no/such/folder/log", number)


def when(account: dict[str, str]) -> tuple[datetime, datetime]:
    begun, ended = (datetime.strptime(account[key], "%c") for key in ("start_time", "end_time"))
    return begun, ended


def test_killed_hanging_deleted_and_broken_jobs_end_in_the_same_results(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    made_workflow.write(folder)
    (folder / "profiles").symlink_to(ROOT / "profiles")
    words = [
        str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), "--profile", "profiles/sge", "--latency-wait", "10",
        "--set-resources", "measure_calibration:runtime=attempt",
    ]  # fmt: skip
    with sge_cluster.running(tmp_path / "cluster") as cluster, (folder / "run.log").open("wb") as log:
        faults, environment = Faults(cluster), {**cluster.environment, **PATIENCE}
        run = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        end(run, folder, faults.cause)
        accounts = cluster.accounts()
        assert cluster.queued() == []
    assert_the_same(folder, finished)
    assert set(faults.done) == set(faults.wanted)
    told = (folder / "run.log").read_text()
    of = {one["jobnumber"]: one for one in accounts}
    codes = {fault: of[number]["failed"].split()[0] for fault, number in faults.done.items() if number in of}
    assert codes == {"killed": "100", "hanging": "37", "broken": "26"}
    assert f"job {faults.done['deleted']} is neither in the queue nor in the accounts" in told
    assert f"job {faults.done['broken']} cannot start and is deleted" in told
    # Each attempt asks for more.
    asked = Counter((one["jobname"], one["category"]) for one in accounts)
    assert (
        sum(n for (name, want), n in asked.items() if name == "rasterise" and "mem_free=2000M" in want) == 4
    )
    assert (
        sum(n for (name, want), n in asked.items() if name == "rasterise" and "mem_free=4000M" in want) == 1
    )
    hung = [want for name, want in asked if name == "measure_calibration"]
    assert sorted("h_rt=120," in want for want in hung) == [False, True]
    # One has the GPU at a time.
    with_gpu = [
        one
        for one in accounts
        if "gpu=1," in one["category"] and (one["failed"], one["exit_status"]) == ("0", "0")
    ]
    assert {one["jobname"] for one in with_gpu} == ON_GPU
    times = sorted(map(when, with_gpu))
    assert len(times) == 2 * len(SYSTEMS)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(times))
