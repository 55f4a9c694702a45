"""A run that goes on without slides that cannot be used, says which, and fails at its very end."""

import copy
import json
import re
import shutil

import made_workflow
import pytest
import tifffile
import yaml
from made_workflow import CLASSES, EXPERIMENTS, jobs, snakemake

from hooknet.io.skipped import START, reason_in

# Of the slides of a run that is whole: another id, the slide it is a copy of, its split.
SLIDES = (
    ("a1", "a1", "training"),
    ("cut", "a1", "training"),
    ("b1", "b1", "validation"),
    ("drawn", "b1", "validation"),
    ("c1", "c1", "test"),
    ("torn", "c1", "test"),
)


def datasets(folder, on_error):
    dataset = {
        key: one for key, one in made_workflow.DATASET.items() if key in ("classes", "hole_groups", "centres")
    }
    dataset["files"] = {"slide": "data/{id}.tif", "annotation": "data/{id}.xml"}
    dataset["slides"] = [{"id": name, "split": split} for name, _, split in SLIDES]
    content = {"on_error": on_error, "datasets": {"tiny": dataset}}
    (folder / "config" / "datasets.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """Six slides of which three cannot be used, each for a reason that another step finds."""
    folder = tmp_path_factory.mktemp("skipping")
    experiments = copy.deepcopy(EXPERIMENTS)
    experiments["experiments"] = {name: experiments["experiments"][name] for name in ("unet",)}
    made_workflow.write(folder, experiments)
    datasets(folder, "skip")
    (folder / "data").mkdir()
    for name, source, _ in SLIDES:
        shutil.copy(finished / "results/demo/slides" / f"{source}.tif", folder / "data" / f"{name}.tif")
        shutil.copy(finished / "results/demo/annotations" / f"{source}.xml", folder / "data" / f"{name}.xml")
    cut = folder / "data" / "cut.tif"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 3])
    drawn = folder / "data" / "drawn.xml"
    drawn.write_text(drawn.read_text().replace(f'PartOfGroup="{CLASSES[0]}"', 'PartOfGroup="unheard_of"'))
    torn = folder / "data" / "torn.tif"
    with tifffile.TiffFile(torn) as file:
        # The upper right one of four: neither a corner nor the middle that the check of slides reads.
        start, length = file.pages[0].dataoffsets[1], file.pages[0].databytecounts[1]
    content = bytearray(torn.read_bytes())
    content[start : start + length] = b"\xff" * length
    torn.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def outcome(folder):
    return snakemake(folder)


def test_all_that_can_be_made_is_there_and_the_exit_status_tells(folder, outcome):
    assert outcome.returncode == 1
    line = re.search(r"^hooknet: (dataset tiny: skipped .*)$", outcome.stdout, re.MULTILINE)[1]
    assert line.startswith(
        "dataset tiny: skipped 3 of 6 slides, cut (and 2 more): check-slide: data/cut.tif: "
    )
    report = folder / "results" / "report" / "tiny"
    summary = json.loads((report / "summary.json").read_text())
    assert list(summary["skipped"]) == ["cut", "drawn", "torn"]
    assert summary["skipped"]["cut"].startswith("check-slide: cut.tif: ")
    assert "unheard_of" in summary["skipped"]["drawn"]
    assert "cannot be read" in summary["skipped"]["torn"]
    assert summary["skipped"]["torn"].startswith("run ")
    assert [one["slide"] for one in summary["slides"]] == ["a1", "b1", "c1"]
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "3 slides were skipped and are in no score" in page
    assert not (report / "verdict.txt").exists()


def test_maps_without_scores_end_so_too(folder, outcome):
    found = snakemake(folder, "--nocolor", "predict")
    assert found.returncode == 1
    assert "\nhooknet: dataset tiny: skipped 3 of 6 slides, cut (and 2 more): " in found.stdout
    assert not (folder / "results/report/tiny/verdict_of_predictions.txt").exists()


def test_scores_are_those_of_the_slides_that_could_be_used(folder, outcome):
    sheet = (folder / "results/slides/tiny/splits.tsv").read_text().splitlines()
    assert sheet[1:] == ["a1\t\ttraining", "b1\t\tvalidation", "c1\t\ttest", "torn\t\ttest", "cut\t\tskipped",
                         "drawn\t\tskipped"]  # fmt: skip
    scores = (folder / "results/report/tiny/comparison/labels_slide_scores.csv").read_text()
    assert "c1" in scores
    assert "torn" not in scores


def test_nothing_in_the_place_of_a_missing_file_can_be_taken_for_one(folder, outcome):
    lost = {path.relative_to(folder / "results"): path for path in (folder / "results").rglob("*")}
    lost = {str(name): path for name, path in lost.items() if reason_in(path) is not None}
    assert {"slides/tiny/cut/slide.json", "slides/tiny/drawn/labels.tif", "runs/unet/maps/torn.tif",
            "runs/unet/counts/labels/torn.csv", "runs/unet/exports/torn.geojson"} <= set(lost)  # fmt: skip
    for path in lost.values():
        assert path.read_text().startswith(START)
        assert path.read_text().count("\n") == 1
    # Of a slide of which one file can be made that file is whole, not taken for anything.
    assert not [name for name in lost if "/a1" in name or "/b1" in name or "/c1" in name]


@pytest.mark.slow
def test_a_slide_that_was_mended_is_used_and_the_run_then_ends_well(folder, outcome, finished):
    again = jobs(folder)
    assert again == {"verdict": 1}
    for name, source, _ in SLIDES:
        if name in ("cut", "torn"):
            shutil.copy(finished / "results/demo/slides" / f"{source}.tif", folder / "data" / f"{name}.tif")
            (folder / "data" / f"{name}.tif").touch()
    shutil.copy(folder / "data" / "b1.xml", folder / "data" / "drawn.xml")
    (folder / "data" / "drawn.xml").touch()
    found = snakemake(folder)
    assert found.returncode == 0, found.stdout
    assert (folder / "results/report/tiny/verdict.txt").read_text() == "all 6 slides of tiny were used\n"
    assert not [path for path in (folder / "results").rglob("*") if reason_in(path) is not None]


def test_by_default_such_a_slide_ends_the_run(folder):
    datasets(folder, "fail")
    damaged = folder / "data" / "cut.tif"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 3])
    found = snakemake(folder, "--nocolor", "results/slides/tiny/cut/slide.json")
    assert found.returncode == 1
    assert "hooknet: data/cut.tif" in found.stdout
    assert not (folder / "results/slides/tiny/cut/slide.json").exists()
