"""Which weights an ensemble predicts with: those of all seeds of the experiments that it names, of its own fold."""

from __future__ import annotations

from pathlib import Path

import made_config
import pytest

from hooknet.config.project import load_project, missing_files
from hooknet.errors import ConfigError

ONE = made_config.experiment(seeds=[1, 2])
FOLDS = {"slides": made_config.folds(0, 1, 2, 0, 1, 2)}


def project(tmp_path, ensemble, dataset=None, **changes):
    mean = made_config.experiment(infer={"ensemble": ensemble}, **changes)
    datasets = {"colon": made_config.dataset(**(dataset or {})), "other": made_config.DATASET}
    experiments = {
        "one": ONE,
        "wide": made_config.experiment(network={"filters": 3}),
        "far": made_config.experiment(dataset="other"),
        "mean": mean,
    }
    return load_project(*made_config.write(tmp_path, datasets, experiments))


def paths(run):
    return [str(one) for one in run.members]


def best(*runs):
    return [f"results/runs/{one}/best.ckpt" for one in runs]


def test_an_experiment_gives_all_its_seeds(tmp_path):
    run = project(tmp_path, ["one", "w.ckpt"]).run("mean")
    assert paths(run) == [*best("one-seed1", "one-seed2"), "w.ckpt"]
    assert run.weights == run.members[0]
    assert not run.settings.is_trained
    assert run.passes == 3
    assert project(tmp_path, []).run("mean").weights == Path("results/runs/mean/best.ckpt")


def test_of_folds_each_is_predicted_by_those_that_have_not_seen_it(tmp_path):
    found = project(tmp_path, ["one"], FOLDS)
    for fold in range(3):
        assert paths(found.run(f"mean-fold{fold}")) == best(f"one-seed1-fold{fold}", f"one-seed2-fold{fold}")
    with pytest.raises(
        ConfigError, match=r"experiments\.mean\.infer\.ensemble: run 'mean-fold1' would test on slides that"
    ):
        project(tmp_path, best("one-seed1-fold0"), FOLDS)


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (["on"], "no experiment 'on', and no path of a checkpoint (.ckpt); did you mean 'one'? possible: far, one, "
         "wide"),
        (["mean"], "no experiment 'mean', which has no weights of its own; possible: far, one, wide"),
        (["far"], "'far' is of dataset 'other', wanted 'colon'; name its checkpoint by path"),
        (["one", "wide"], "'wide' has another network, and the members of an ensemble are one network trained several "
         "times; give both the same"),
    ],
)  # fmt: skip
def test_members_that_cannot_be_are_one_line(tmp_path, ensemble, message):
    with pytest.raises(ConfigError) as caught:
        project(tmp_path, ensemble)
    assert str(caught.value) == f"{tmp_path}/experiments.yaml: experiments.mean.infer.ensemble: {message}"


def test_an_ensemble_is_no_member_of_another_nor_offered_as_one(tmp_path):
    mean = {"dataset": "colon", "model": "unet", "spacings": [1.0], "infer": {"ensemble": ["other"]}}
    other = {**mean, "infer": {"ensemble": ["mean"]}}
    files = made_config.write(tmp_path, {"colon": made_config.DATASET}, {"mean": mean, "other": other})
    with pytest.raises(ConfigError, match=r"'other', which has no weights of its own; possible: none$"):
        load_project(*files)


def test_weights_that_are_not_there_are_told_before_any_job(tmp_path):
    lines = missing_files(project(tmp_path, ["one", "gone.ckpt", *best("one-seed1")]))
    assert [line for line in lines if "ckpt" in line] == [
        f"{tmp_path}/experiments.yaml: experiments.mean.infer.ensemble.1: found no file 'gone.ckpt'; correct the path "
        "(paths start at the working directory)"
    ]


def test_more_predictions_take_more_time(tmp_path):
    from hooknet.config.resources import Needs

    plain = project(tmp_path, [])
    mean = project(tmp_path, ["one"], network={}, patch_size=284)
    alone, twice = (Needs(one.run("mean")).infer_minutes(1000) for one in (plain, mean))
    assert 1.5 < twice / alone < 2


def test_an_ensemble_has_no_weights_that_another_could_name(tmp_path):
    """Nothing trains it, so that its own path is that of no file."""
    lines = missing_files(project(tmp_path, best("mean")))
    assert any(
        "experiments.mean.infer.ensemble.0: found no file 'results/runs/mean/best.ckpt'" in one
        for one in lines
    )
