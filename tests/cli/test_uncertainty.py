from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import rasterio
import yaml
from made_cohort import EXPERIMENTS, FILES, RUN, SLIDES, hooknet, refuse, step, truth

from hooknet.io.masks import Mask
from hooknet.io.rasters import quiet

INFER = {"tile": 76, "tta": "dihedral", "ensemble": ["unet"], "probabilities": True, "uncertainty": True}
MEAN = Path("results/runs/mean")


@pytest.fixture
def mean(cohort):
    """An experiment that predicts with the weights of the cohort's own."""
    experiments = {**EXPERIMENTS, "mean": {**EXPERIMENTS["unet"], "infer": INFER}}
    Path("experiments.yaml").write_text(yaml.safe_dump({"experiments": experiments}))


def infer(*more):
    folder = SLIDES / "c"
    return [
        "infer", "--run", "mean", "--slide", "c", "--checkpoint", RUN / "best.ckpt",
        "--output", MEAN / "maps" / "c.tif",
        "--tissue", folder / "tissue.tif", "--labels", folder / "labels.tif", *more, *FILES,
    ]  # fmt: skip


def test_a_map_of_uncertainty_lies_on_the_map(mean):
    assert hooknet("check", *FILES).out.count("run mean: unet(1 µm/px)") == 1
    where = MEAN / "uncertainty" / "c.tif"
    outcome = hooknet(*infer("--probabilities", MEAN / "probabilities" / "c.tif", "--uncertainty", where))
    assert outcome.status == 0, outcome
    with Mask.open(MEAN / "maps" / "c.tif") as found, quiet(), rasterio.open(where) as unsure:
        labels, told = found.read(0, 0, 220, 180), json.loads(unsure.tags()["TIFFTAG_IMAGEDESCRIPTION"])
        assert (labels[truth() > 0] > 0).all()
        assert ((unsure.read(1) > 0) == (labels > 0)).all()
        assert (told["bands"], told["spacing"]) == (["entropy", "mutual information"], found.grid.spacing)
        assert told["made"] == dict(found.made)


def test_where_nobody_asks_none_is_written(mean):
    assert hooknet(*infer("--probabilities", MEAN / "probabilities" / "c.tif")).status == 0
    assert not (MEAN / "uncertainty").exists()


def test_it_goes_with_probabilities_and_with_an_experiment_that_says_so(mean):
    message = (
        "infer: --uncertainty without --probabilities, or infer.uncertainty of mean is false; give both where the "
        "experiment says so"
    )
    assert refuse(*infer("--uncertainty", "u.tif")) == message
    arguments = [
        "unet" if one == "mean" else one
        for one in infer("--probabilities", "p.tif", "--uncertainty", "u.tif")
    ]
    assert refuse(*arguments) == message.replace("mean", "unet")


def test_an_ensemble_is_compared_and_reported_as_all_others(mean):
    shares = MEAN / "probabilities" / "c.tif"
    unsure = ("--uncertainty", MEAN / "uncertainty" / "c.tif")
    assert hooknet(*infer("--probabilities", shares, *unsure)).status == 0
    steps = [step("evaluate", role=role) for role in ("labels", "truth")]
    steps += [step("measure-boundaries"), step("quantify")]
    for arguments in steps:
        moved = [
            Path(str(one).replace(str(RUN), str(MEAN))) if isinstance(one, Path) else one for one in arguments
        ]
        assert hooknet(*moved).status == 0
    calibration = MEAN / "calibration" / "c.csv"
    assert hooknet(
        "measure-calibration", "--slide", "c", "--truth", SLIDES / "c" / "truth.tif", "--probabilities", shares,
        "--output", calibration,
    ).status == 0  # fmt: skip
    for name in ("compare", "report"):
        outcome = hooknet(*step(name))
        assert outcome.status == 0, outcome
    summary = json.loads(Path("results/report/colon/summary.json").read_text())
    assert "mean" in json.dumps(summary)
    # Its uncertainty stands beside its map, and of the other system, which keeps none, nothing does.
    page = Path("results/report/colon/index.html").read_text()
    assert re.findall(r'<img class="whole" [^>]*alt="([^":]*): mean', page) == ["mean, uncertainty over c"]
    with Mask.open(MEAN / "maps" / "c.tif") as found, Mask.open(SLIDES / "c" / "truth.tif") as true:
        labels, wanted = found.read(0, 0, 220, 180), true.read(0, 0, 220, 180)
    (risk,) = summary["risk"]
    assert (risk["system"], risk["pixels"]) == ("mean", int((wanted > 0).sum()))
    assert risk["error"] == pytest.approx((labels != wanted)[wanted > 0].mean())
    assert 0.1 * risk["error_least_sure"] + 0.9 * risk["error_others"] == pytest.approx(risk["error"])
