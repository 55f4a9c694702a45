from pathlib import Path

import made_config
import pytest

from hooknet.config.project import load_project
from hooknet.viewer.catalogue import view_dataset


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def viewed(tmp_path, results, experiments=None, **dataset):
    files = made_config.write(tmp_path, {"colon": made_config.dataset(**dataset)}, experiments)
    return view_dataset(load_project(*files), "colon", results / "slides" / "colon", results / "runs")


def keys(viewed):
    return {one.id: [layer.key for layer in one.layers] for one in viewed.slides}


def test_before_anything_is_made_there_are_the_slides(tmp_path, results):
    found = viewed(tmp_path, results)
    assert keys(found) == {"a": ["he"], "b": ["he"], "c": ["he"]}
    assert [one.note for one in found.slides] == ["training", "validation", "test"]
    assert not any(one.has_maps for one in found.slides)
    assert found.systems == ("unet",)


def test_layers_are_the_files_that_are_there(tmp_path, results):
    for role in ("tissue", "labels"):
        touched(results / "slides" / "colon" / "c" / f"{role}.tif")
    map_path = touched(results / "runs" / "unet" / "maps" / "c.tif")
    slide = viewed(tmp_path, results).slides[2]
    assert [one.key for one in slide.layers] == ["he", "tissue", "labels", "map-0", "diff-0"]
    assert slide.by_key["map-0"].path == slide.by_key["diff-0"].path == map_path
    assert slide.by_key["diff-0"].title == "Differences from annotation"
    assert [one.key for one in slide.layers if one.has_classes] == ["labels", "map-0"]
    assert slide.has_maps


def test_differences_are_from_dense_truth_where_there_is_any(tmp_path, results):
    for role in ("labels", "truth"):
        touched(results / "slides" / "colon" / "c" / f"{role}.tif")
    touched(results / "runs" / "unet" / "maps" / "c.tif")
    difference = viewed(tmp_path, results).slides[2].by_key["diff-0"]
    assert difference.reference == results / "slides" / "colon" / "c" / "truth.tif"
    assert difference.title == "Differences from dense truth"


def test_of_a_system_with_folds_the_run_that_tested_the_slide(tmp_path, results):
    made = touched(results / "runs" / "unet-fold1" / "maps" / "s1.tif")
    experiments = {"other": made_config.experiment(), "unet": made_config.experiment()}
    found = viewed(tmp_path, results, experiments, slides=made_config.folds(0, 1, 2))
    assert found.systems == ("other", "unet")
    assert keys(found) == {"s0": ["he"], "s1": ["he", "map-1"], "s2": ["he"]}
    assert found.slides[1].by_key["map-1"].path == made
    assert [one.note for one in found.slides] == ["fold 0", "fold 1", "fold 2"]
