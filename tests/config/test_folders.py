from pathlib import Path

import made_config
import pytest

from hooknet.config.folders import SUFFIXES, folder_rows, is_folder, name_of, named_slides
from hooknet.config.project import load_project
from hooknet.errors import ConfigError

REMEDY = "rename one"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.svs", "a.TIFF", "c.ndpi", "notes.txt", ".hidden.svs", "thumb.png"):
        Path("new", name).parent.mkdir(exist_ok=True)
        Path("new", name).touch()
    Path("new/d.svs").mkdir()
    return Path("new")


def test_a_folder_gives_its_slides_by_name(folder):
    assert named_slides([folder], REMEDY) == {
        "a": folder / "a.TIFF", "b": folder / "b.svs", "c": folder / "c.ndpi",
    }  # fmt: skip


def test_a_pattern_gives_what_it_fits(folder):
    assert list(named_slides([folder / "?.svs"], REMEDY)) == ["b"]
    assert is_folder("new/*.svs")
    assert is_folder("new")
    assert not is_folder("new.tsv")


def test_files_stay_in_the_order_given_whatever_they_are_called(folder):
    assert list(named_slides([Path("z.unknown"), folder / "b.svs"], REMEDY)) == ["z", "b"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("x/CMU-1.svs", "CMU-1"), ("a b (1).svs", "a_b_1_"), ("ä.tif", "slide"), ("..odd.tif", "odd"),
        ("scan.slice.tif", "scan"), ("one.two.svs", "one.two"), (f"{'n' * 300}.svs", "n" * 100),
    ],
)  # fmt: skip
def test_names_are_fit_for_files(file, name):
    assert name_of(Path(file)) == name


def test_two_of_one_name_are_refused(tmp_path):
    with pytest.raises(ConfigError) as caught:
        named_slides([Path("x/A.svs"), Path("y/a.tif")], REMEDY)
    assert str(caught.value) == "y/a.tif: its results would be called a as those of x/A.svs; rename one"
    # One slide named twice is one slide.
    assert len(named_slides([Path("x/A.svs"), Path("x/A.svs")], REMEDY)) == 1


def test_a_folder_without_slides_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"found no slide, wanted files that end in \.svs, .*; correct the path"
    ):
        named_slides([tmp_path], REMEDY)
    assert ".svs" in SUFFIXES


def test_a_dataset_may_name_a_folder_whose_slides_are_for_test(folder):
    dataset = {**made_config.dataset(), "slides": "new/*", "files": {}}
    made_config.write(Path(), {"colon": dataset}, {"unet": made_config.experiment(checkpoint="best.ckpt")})
    found = load_project("datasets.yaml", "experiments.yaml").datasets["colon"].slides
    assert [(one.id, one.slide, one.split, one.annotation) for one in found] == [
        ("a", "new/a.TIFF", "test", None), ("b", "new/b.svs", "test", None), ("c", "new/c.ndpi", "test", None),
    ]  # fmt: skip


def test_a_folder_without_slides_is_told_with_its_key(tmp_path):
    with pytest.raises(ConfigError) as caught:
        folder_rows(str(tmp_path), "datasets.yaml: datasets.colon.slides")
    assert str(caught.value).startswith(
        f"datasets.yaml: datasets.colon.slides: {tmp_path}: found no slide, wanted "
    )
