"""Trainings on a SLURM cluster: on two nodes together, and put back into the queue in the middle."""

from __future__ import annotations

import copy
import subprocess
from dataclasses import dataclass
from pathlib import Path

import made_workflow
import numpy as np
import pandas as pd
import pytest
import slurm_cluster
import torch
from slurm_runs import end, rule_of, start

WHY_NOT = slurm_cluster.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(WHY_NOT is not None, reason=f"no SLURM: {WHY_NOT}"),
]

EPOCHS = 60
#: One training by one process, by two of one node and by one of each of two; and what is done to whom.
SHARED = {"one": {}, "processes": {"devices": 2}, "machines": {"nodes": 2}}
REQUEUED = {"one_requeued": "one", "machines_requeued": "machines"}


def experiments():
    """Without layers that look at a whole mini-batch, and without noise, which is drawn by the mini-batch."""
    found = copy.deepcopy(made_workflow.EXPERIMENTS)
    found["defaults"]["network"]["batch_norm"] = False
    found["defaults"]["augment"] = {"noise": 0}
    found["defaults"]["train"] |= {"epochs": EPOCHS, "steps": 1, "batch": 4, "learning_rate": 1e-4}
    wanted = SHARED | {name: SHARED[like] for name, like in REQUEUED.items()}
    hooknet = found["experiments"]["hooknet"]
    found["experiments"] = {name: {**hooknet, "train": more} for name, more in wanted.items()}
    return found


@dataclass(frozen=True)
class Trained:
    """What there is of the trainings, and what SLURM told of their jobs."""

    folder: Path
    jobs: dict[str, dict[str, str]]

    def curves(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / name / "metrics.csv")

    def weights(self, name: str, which: str) -> dict[str, torch.Tensor]:
        return torch.load(self.folder / name / f"{which}.ckpt", weights_only=True)["state"]

    def assert_the_same(self, name: str, other: str) -> None:
        assert (self.folder / name / "metrics.csv").read_bytes() == (
            self.folder / other / "metrics.csv"
        ).read_bytes()
        for which in ("best", "last"):
            one, two = self.weights(name, which), self.weights(other, which)
            assert [key for key in one if not torch.equal(one[key], two[key])] == []

    def log(self, name: str) -> str:
        return (self.folder.parent / "logs" / "train" / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """All that trainings need is made on this machine, trainings are jobs."""
    folder = tmp_path_factory.mktemp("trainings")
    made_workflow.write(folder, experiments())
    before = made_workflow.snakemake(folder, "--until", "index_centres", "make_splits")
    assert before.returncode == 0, before.stdout
    runs = folder / "results" / "runs"
    waiting = set(REQUEUED)

    def run_of(job: dict[str, str]) -> str:
        return job["Comment"].partition("_wildcards_")[2]

    def put_back() -> None:
        for job in slurm_cluster.jobs():
            name = run_of(job)
            if name in waiting and (runs / name / "state" / "state.ckpt").exists():
                subprocess.run(["scontrol", "requeue", job["JobId"]], check=True)
                waiting.discard(name)

    with pytest.MonkeyPatch.context() as patch, slurm_cluster.running(folder / "cluster", (2, 2)):
        # The names of virtual nodes are no addresses.
        patch.setitem(made_workflow.ENVIRONMENT, "MASTER_ADDR", "127.0.0.1")
        wanted = [f"results/runs/{name}/last.ckpt" for name in experiments()["experiments"]]
        end(start(folder, *wanted, experiments=experiments()), folder, put_back, 600)
        jobs = slurm_cluster.jobs()
    assert {rule_of(one) for one in jobs} == {"train"}
    return Trained(runs, {run_of(one): one for one in jobs})


def test_two_nodes_are_given_a_process_and_a_gpu_each(trained):
    told = trained.jobs["machines"]
    assert (told["NumNodes"], told["NumTasks"], told["NumCPUs"], told["NodeList"]) == (
        "2",
        "2",
        "2",
        "n[1-2]",
    )
    assert told["TresPerNode"] == "gres:gpu:1"
    assert (trained.jobs["processes"]["NumNodes"], trained.jobs["processes"]["TresPerJob"]) == (
        "1",
        "gres:gpu:2",
    )
    assert (trained.jobs["one"]["NumNodes"], trained.jobs["one"]["TresPerJob"]) == ("1", "gres:gpu:1")


def test_two_nodes_train_what_two_processes_of_one_node_do(trained):
    trained.assert_the_same("machines", "processes")


def test_two_nodes_train_as_one_process(trained):
    one, two = trained.curves("one"), trained.curves("machines")
    assert two["step"].tolist() == list(range(1, EPOCHS + 1))
    shown = [name for name in one if name.startswith("share_")]
    pd.testing.assert_frame_equal(one[shown], two[shown])
    assert two.loc[0, "train_loss"] == pytest.approx(one.loc[0, "train_loss"], rel=1e-6)
    np.testing.assert_allclose(two["train_loss"], one["train_loss"], rtol=1e-4)
    np.testing.assert_allclose(two["validation_loss"], one["validation_loss"], rtol=1e-4)
    first, second = trained.weights("one", "last"), trained.weights("machines", "last")
    for key, values in first.items():
        torch.testing.assert_close(second[key], values, rtol=0, atol=3e-4)


@pytest.mark.parametrize("name", ["processes", "machines"])
def test_the_first_of_several_processes_writes_and_tells(trained, name):
    told = [line for line in trained.log(name).splitlines() if "epoch " in line]
    assert len(told) == EPOCHS
    assert sorted(path.name for path in (trained.folder / name).iterdir()) == sorted(
        path.name for path in (trained.folder / "one").iterdir()
    )


@pytest.mark.parametrize("name", REQUEUED)
def test_what_was_put_back_into_the_queue_ends_in_the_same_weights(trained, name):
    assert trained.jobs[name]["Restarts"] == "1"
    assert trained.jobs[REQUEUED[name]]["Restarts"] == "0"
    assert "going on after epoch" in trained.log(name)
    trained.assert_the_same(name, REQUEUED[name])
