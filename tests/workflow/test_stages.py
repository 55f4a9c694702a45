"""The workflow of a system of stages: a tissue map, classifiers with and without clusters, refiners on heat maps."""

import copy
import re

import made_workflow
import pandas as pd
import pytest
from made_workflow import jobs, snakemake

TRAIN = {"epochs": 1, "batch": 2, "threads": 1}
PATCHES = {"steps": 2, "validation_patches": 4, "workers": 0}
EXPERIMENTS = {
    "defaults": {
        "dataset": "tiny",
        "classifier": {"spacing": 2.0, "patch_size": 32, "train": TRAIN | PATCHES},
        "refiner": {
            "size": 64,
            "parts": 2,
            "foreground": ["fat", "in_situ", "invasive", "lymphoid"],
            "train": TRAIN | {"accumulate": 1},
        },
    },
    "experiments": {
        "otsu": {"model": "tissue", "inside": "invasive", "outside": "stroma"},
        "mob": {"model": "classifier"},
        "mob_km": {"model": "classifier", "clusters": {"k": 2, "patches": 8, "components": 2}},
        "bare": {"model": "refiner", "infer": {"probabilities": True}},
        "refined": {"model": "refiner", "parent": "mob"},
    },
}
SYSTEMS = list(EXPERIMENTS["experiments"])
PARTS = ("mob-part0of2", "mob-part1of2")


@pytest.fixture(scope="module")
def cohort():
    """The tiny cohort with a second training slide, so that there are two parts, and without objects."""
    dataset = copy.deepcopy(made_workflow.DATASET)
    dataset["slides"].insert(1, {"id": "a2", "split": "training", "truth": "-", "grade": "II"})
    del dataset["classes"]["lymphoid"]["objects"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_workflow, "DATASET", dataset)
        yield


@pytest.fixture(scope="module")
def finished(cohort, tmp_path_factory):
    """A complete run; not to be changed."""
    folder = tmp_path_factory.mktemp("stages")
    made_workflow.write(folder, EXPERIMENTS)
    found = snakemake(folder)
    assert found.returncode == 0, found.stdout
    return folder


def test_each_stage_is_a_job_of_its_rule(cohort, tmp_path):
    made_workflow.write(tmp_path, EXPERIMENTS)
    counts = jobs(tmp_path)
    staged = {
        name: counts[name]
        for name in ("paint_tissue", "fit_clusters", "train_classifier", "classify_patches", "train_refiner")
    }
    # Heat maps: of mob on the slides that validate and test, of mob_km on the latter, of each part on its slide.
    assert staged == {
        "paint_tissue": 1, "fit_clusters": 1, "train_classifier": 4, "classify_patches": 2 + 1 + 2,
        "train_refiner": 2,
    }  # fmt: skip
    assert (counts["refine"], counts["refine_with_probabilities"]) == (1, 1)
    assert not {"train", "infer"} & set(counts)


def test_every_system_has_maps_scores_and_a_place_in_the_report(finished):
    runs = finished / "results" / "runs"
    assert {path.name for path in runs.iterdir()} == {*SYSTEMS, *PARTS}
    report = finished / "results" / "report" / "tiny"
    scores = pd.read_csv(report / "comparison" / "truth_scores.csv")
    assert set(scores["system"]) == set(SYSTEMS)
    page = (report / "index.html").read_text(encoding="utf-8")
    assert 'id="stages"' in page
    assert (report / "figures" / "stages_refined.png").is_file()
    for system in SYSTEMS:
        assert (runs / system / "maps" / "c1.tif").is_file()
    kept = {name for name in SYSTEMS if (runs / name / "probabilities").is_dir()}
    assert kept == {"mob", "mob_km", "bare"}


def test_heat_maps_of_training_slides_are_of_the_parts_that_left_them_out(finished):
    runs = finished / "results" / "runs"
    seen = {
        name: {path.stem for path in (runs / name / "probabilities").iterdir()} for name in ("mob", *PARTS)
    }
    assert seen["mob"] == {"b1", "c1"}
    assert sorted(map(sorted, (seen[name] for name in PARTS))) == [["a1"], ["a2"]]


def test_what_was_drawn_is_told_by_grade_slide_and_class(finished):
    drawn = pd.read_csv(finished / "results" / "runs" / "mob" / "draws.csv", dtype={"value": str})
    assert set(drawn["level"]) == {"grade", "slide", "class"}
    assert set(drawn.loc[drawn["level"] == "grade", "value"]) == {"II", "none"}


def test_nothing_is_left_to_do(finished):
    assert jobs(finished) == {}


@pytest.mark.parametrize(
    ("name", "section", "again"),
    [
        # What stands on a stage is made again with it, and nothing else.
        (
            "refined",
            {"model": "refiner", "parent": "mob", "train": {"learning_rate": 1e-3}},
            {"train_refiner"},
        ),
        ("mob", {"model": "classifier", "infer": {"min_tissue": 0.4}}, {"classify_patches"}),
    ],
)
def test_a_changed_stage_runs_again(finished, tmp_path, name, section, again):
    changed = copy.deepcopy(EXPERIMENTS)
    changed["experiments"][name] = section
    made_workflow.write(tmp_path, changed)
    options = [f"--config={key}={tmp_path}/config/{key}.yaml" for key in ("datasets", "experiments")]
    found = snakemake(finished, "-n", "--config", *(one.removeprefix("--config=") for one in options))
    assert found.returncode == 0, found.stdout
    rules = set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", found.stdout, re.MULTILINE))
    assert again <= rules
    assert not {"fit_clusters", "train_classifier", "paint_tissue", "rasterise"} & rules
    if name == "mob":
        assert "train_refiner" in rules  # its heat maps are others
