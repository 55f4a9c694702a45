"""A search from slides to the report, run by Snakemake on a tiny cohort."""

import copy
import json
import shlex
import subprocess

import made_workflow
import pandas as pd
import pytest
from made_search import SEARCH
from made_workflow import BIN, ENVIRONMENT, jobs, snakemake

from hooknet.config.project import load_project

SINGLES = ["fields_2", "fields_4"]
COMBINED = ["fields_2_4_concat_0.5", "fields_2_4_concat_1"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder in which everything has run."""
    folder = tmp_path_factory.mktemp("search")
    made_workflow.write(folder, SEARCH)
    outcome = snakemake(folder, "--nocolor")
    assert outcome.returncode == 0, outcome.stdout[-5000:]
    return folder


def results(folder, *parts):
    return folder.joinpath("results", "search", "fields", *parts)


def test_single_views_are_trained_first_and_the_rest_follows_from_them(tmp_path):
    made_workflow.write(tmp_path, SEARCH)
    assert jobs(tmp_path) == {
        "make_demo_slide": 3, "check_slide": 3, "read_annotations": 3, "rasterise": 4, "index_centres": 4,
        "make_splits": 1, "train_trial": 2, "rank_views": 1, "decide_views": 1, "compare": 1,
        "report": 1,
    }  # fmt: skip


def test_trials_go_from_rung_to_rung(searched):
    entering = json.loads(results(searched, "rungs", "entering.json").read_text())["trials"]
    assert entering[:2] == SINGLES
    assert set(entering) <= {*SINGLES, *COMBINED}
    first = pd.read_csv(results(searched, "rungs", "rung0.csv"))
    assert sorted(first["trial"]) == sorted(entering)
    on = json.loads(results(searched, "rungs", "after0.json").read_text())["trials"]
    assert sorted(first.loc[first["goes_on"], "trial"]) == sorted(on)
    assert len(on) == 2
    last = pd.read_csv(results(searched, "last_rung.csv"))
    assert sorted(last["trial"]) == sorted(on)
    # A budget of four trainings of four epochs: four trials of one epoch, two of them trained to the fourth.
    assert set(first["epochs"]) == {1}
    assert set(last["epochs"]) == {4}
    for name in entering:
        rows = {rung: results(searched, "trials", name, f"rung{rung}", "metrics.csv") for rung in (0, 1)}
        assert len(pd.read_csv(rows[0])) == 1
        assert rows[1].exists() == (name in on)
        assert name not in on or len(pd.read_csv(rows[1])) == 4


def test_what_is_decided_for_is_trained_in_full_and_compared_on_test_slides(searched):
    decision = json.loads(results(searched, "decision.json").read_text())
    last = pd.read_csv(results(searched, "last_rung.csv"))
    assert decision["winner"] == last.loc[last["goes_on"], "trial"].item()
    assert {decision["winner"], decision["runner_up"]} == set(last["trial"])
    full = decision["trained_in_full"]
    assert set(full) == {decision["winner"], decision["runner_up"], *SINGLES}
    for name in full:
        run = searched / "results" / "runs" / name
        assert len(pd.read_csv(run / "metrics.csv")) == 4
        assert (run / "maps" / "c1.tif").is_file()
    tables = searched / "results" / "report" / "tiny" / "comparison"
    scores = pd.concat(pd.read_csv(path) for path in tables.glob("*_scores.csv") if "slide" not in path.name)
    assert set(scores["system"]) == set(full)
    others = {path.name for path in (searched / "results" / "runs").iterdir()} - {*full}
    assert others == set()


def test_the_report_tells_the_decision_and_how_sure_it_is(searched):
    page = (searched / "results" / "report" / "tiny" / "index.html").read_text()
    decision = json.loads(results(searched, "decision.json").read_text())
    assert f"The search decides for {decision['winner']}" in page
    assert f"in {100 * decision['sure']:.0f} % of cohorts" in page
    figures = searched / "results" / "report" / "tiny" / "figures"
    assert (figures / "search_fields_views.svg").is_file()
    assert (figures / "search_fields_rungs.svg").is_file()


def test_nothing_runs_again_and_a_lost_trial_alone_does(searched):
    again = snakemake(searched, "-n", "--nocolor")
    assert "Nothing to be done" in again.stdout
    points = results(searched, "trials", "fields_4", "rung0", "points.parquet")
    before = points.read_bytes()
    points.unlink()
    outcome = snakemake(searched, "--nocolor", str(points.relative_to(searched)))
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert "train_trial" in outcome.stdout
    assert points.read_bytes() == before


def test_other_searches_settings_decide_anew_without_training_what_is_trained(searched):
    """Another tolerance changes the decision only: no trial is trained again."""
    changed = copy.deepcopy(SEARCH)
    changed["search"]["fields"]["tolerance"] = 0.5
    made_workflow.write(searched, changed)
    try:
        counts = jobs(searched)
        assert counts["rank_views"] == 1
        assert "train_trial" not in counts
    finally:
        made_workflow.write(searched, SEARCH)


def test_another_first_rung_trains_single_views_again_before_they_are_ranked(searched):
    """The ranking on disk still tells of shorter rungs; no view is to be compared with others trained longer."""
    changed = copy.deepcopy(SEARCH)
    changed["search"]["fields"]["budget"] = 7.0
    made_workflow.write(searched, changed)
    try:
        planned = load_project(*(searched / "config" / f"{one}.yaml" for one in ("datasets", "experiments")))
        assert planned.searches["fields"].settings.rungs.epochs[0] == 4
        assert jobs(searched)["train_trial"] == len(SINGLES)
    finally:
        made_workflow.write(searched, SEARCH)


@pytest.mark.slow
def test_several_processes_rung_by_rung_are_what_they_are_at_once(tmp_path):
    shared = copy.deepcopy(SEARCH)
    shared["search"]["fields"]["train"] = {"devices": 2}
    made_workflow.write(tmp_path, shared)
    last = results(tmp_path, "trials", "fields_4", "rung1")
    outcome = snakemake(tmp_path, "--nocolor", str((last / "points.parquet").relative_to(tmp_path)))
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    words = (
        f"{BIN}/python -m hooknet train-trial --run fields_4 --epochs 4 --slides-folder results/slides/tiny "
        "--splits results/slides/tiny/splits.tsv --best one/best.ckpt --metrics one/metrics.csv "
        "--points one/points.parquet --kept one/state --state one/working"
    )
    subprocess.run(shlex.split(words), cwd=tmp_path, env=ENVIRONMENT, check=True)
    for name in ("best.ckpt", "metrics.csv", "points.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (last / name).read_bytes()
