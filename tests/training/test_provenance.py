import hashlib
import json
import platform
from dataclasses import replace

import made_runs
import made_slides
import numpy as np
import pytest
import torch

import hooknet
from hooknet.config.project import digest
from hooknet.config.steps import TissueSettings
from hooknet.data.index import SlideFiles, load_index
from hooknet.groundtruth.stain import measure_slide
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training import provenance as module
from hooknet.training.provenance import cohort, provenance


@pytest.fixture(scope="module")
def run():
    return made_runs.make_run()


@pytest.fixture(scope="module")
def slides(run, tmp_path_factory):
    return made_runs.make_slides(tmp_path_factory.mktemp("slides"), run)


def told(run, slides):
    indices = [load_index(some, run.dataset.label_map.names, run.patch_spec) for some in slides]
    return indices, provenance(run, *indices)


def test_counts_are_those_of_the_index(run, slides):
    (training, _), found = told(run, slides)
    patches = {"one": int((training.labels == 1).sum()), "two": int((training.labels == 2).sum())}
    assert min(patches.values()) > 10
    assert found["trained_on"] == {"slides": 1, "patients": 1, "patches": patches}
    assert found["validated_on"]["slides"] == 1
    assert found["fingerprint"] == digest(run.training_settings())
    assert found["normalisation"] == {"divided_by": 255, "outside": [255, 255, 255]}
    assert found["started_from"] is None


def test_ranges_are_those_of_the_training_slides(run, slides):
    _, found = told(run, slides)
    one = slides[0][0]
    with Slide(one.slide, one.spacing) as slide:
        measured = measure_slide(slide, TissueSettings())
    assert found["cohort"] == {
        "slides": 1,
        "ranges": {name: [value, value] for name, value in measured.items()},
    }
    assert set(measured) == {"spacing", "haematoxylin", "eosin", "density", "contrast"}


def test_weights_that_training_starts_from_are_named(run, slides, tmp_path):
    start = tmp_path / "start.ckpt"
    start.write_bytes(b"weights")
    _, found = told(made_runs.make_run(train={"init_from": str(start)}), slides)
    assert found["started_from"] == {
        "file": str(start),
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }


def test_a_slide_that_cannot_be_read_is_left_out_and_told(slides, tmp_path, caplog):
    one = slides[0][0]
    lost = replace(one, id="lost", slide=tmp_path / "lost.tif")
    found = cohort([one, lost], TissueSettings())
    assert found["slides"] == 1
    assert "lost: left out of the ranges of the cohort" in caplog.text


def test_of_many_slides_some_are_measured_evenly(tmp_path, monkeypatch):
    path = made_slides.write_slide(tmp_path / "a.tif", np.full((64, 64, 3), 120, np.uint8), spacing=0.5)
    many = [
        SlideFiles(str(number), path, made_slides.square(0.1 + number / 100), path, path)
        for number in range(10)
    ]
    monkeypatch.setattr(module, "MOST_MEASURED", 4)
    found = cohort(many, TissueSettings())
    # Every third: 0, 3, 6, 9.
    assert (found["slides"], found["ranges"]["spacing"]) == (4, [0.1, 0.19])


def test_best_and_last_tell_it_and_the_scores_of_their_epoch(run, slides, tmp_path):
    from hooknet.training.loop import train

    train(run, *slides, made_runs.results(tmp_path))
    _, wanted = told(run, slides)
    for name in ("best", "last"):
        found = load_checkpoint(tmp_path / f"{name}.ckpt")
        assert {key: found.spec[key] for key in wanted} == json.loads(json.dumps(wanted))
        assert found.spec["versions"] == {
            "hooknet": hooknet.__version__, "torch": str(torch.__version__), "python": platform.python_version(),
        }  # fmt: skip
        scores = found.extra["validation_f1"]
        assert list(scores) == ["one", "two"]
        assert np.mean(list(scores.values())) == pytest.approx(found.extra["validation_macro_f1"])
