"""A search over fields of view whose every step is a job of a SLURM cluster."""

from __future__ import annotations

import json

import made_workflow
import pytest
import slurm_cluster
from made_search import SEARCH
from slurm_runs import end, rule_of, start

WHY_NOT = slurm_cluster.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(WHY_NOT is not None, reason=f"no SLURM: {WHY_NOT}"),
]
TARGET = "results/search/fields/decision.json"


def test_trials_are_jobs_and_decide_as_on_one_machine(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        made_workflow.write(folder, SEARCH)
        # What trials draw from is made on this machine: here it is no matter who makes it.
        before = made_workflow.snakemake(folder, "--nocolor", "prepare")
        assert before.returncode == 0, before.stdout
    alone = made_workflow.snakemake(here, "--nocolor", TARGET)
    assert alone.returncode == 0, alone.stdout
    asked: dict[str, str] = {}
    with slurm_cluster.running(tmp_path / "cluster"):
        run = start(there, "--nocolor", TARGET, experiments=SEARCH)
        end(run, there, lambda: asked.update({one["JobId"]: rule_of(one) for one in slurm_cluster.jobs()}))
    trials = list(asked.values()).count("train_trial")
    entering = json.loads((there / "results/search/fields/rungs/entering.json").read_text())
    assert trials == sum(entering["sizes"])
    assert list(asked.values()).count("decide_views") == 1
    assert (there / TARGET).read_bytes() == (here / TARGET).read_bytes()
