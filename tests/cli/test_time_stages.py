import made_staged_project as project
import pytest
from made_cohort import hooknet, refuse

from hooknet.inference.timing import TIMES


@pytest.fixture(autouse=True)
def staged(tmp_path, monkeypatch):
    project.write(tmp_path)
    monkeypatch.chdir(tmp_path)


def arguments(*more, run="refined"):
    return project.step("time-stages", run, "--output", "times.csv", "--repeats", 2, *more)


def test_a_system_is_timed_stage_by_stage():
    own = ["--checkpoint", "refined.ckpt", "--parent-checkpoint", "patches.ckpt"]
    outcome = hooknet(*arguments(*own))
    assert outcome.status == 0, outcome
    rows = [dict(zip(TIMES.columns, row, strict=True)) for _, row in TIMES.read("times.csv")]
    assert [one["stage"] for one in rows] == ["tissue", "patch-wise", "refinement", "total"]
    means = [float(one["mean_s"]) for one in rows]
    assert means[3] == pytest.approx(sum(means[:3]), abs=3e-4)
    assert {(one["run"], one["slide"], one["width"], one["repeats"]) for one in rows} == {
        ("refined", "c", "220", "2")
    }
    printed = outcome.out.splitlines()
    assert [line.split()[0] for line in printed[-4:]] == ["tissue", "patch-wise", "refinement", "total"]
    assert "patches, 2 repeats" in outcome.out


@pytest.mark.parametrize("run", ["patches", "refined"])
def test_weights_by_chance_need_no_checkpoint(run):
    assert hooknet(*arguments("--random", run=run)).status == 0
    stages = [row[TIMES.columns.index("stage")] for _, row in TIMES.read("times.csv")]
    assert stages == ["tissue", "patch-wise", *(["refinement"] if run == "refined" else []), "total"]


def test_what_cannot_be_is_refused_in_a_line():
    both = "run refined: give either --checkpoint and --parent-checkpoint, or --random"
    assert refuse(*arguments()) == both
    assert refuse(*arguments("--checkpoint", "refined.ckpt")) == both
    assert refuse(*arguments("--checkpoint", "refined.ckpt", "--random")) == both
    assert refuse(*arguments(run="patches")) == "run patches: give either --checkpoint, or --random"
    assert "time-stages wants classifier or refiner" in refuse(*arguments("--random", run="unet"))
