"""A cohort becomes a dataset: every px comes back, the sheet says whose it is, and what broke off goes on."""

import csv
import logging
from pathlib import Path

import made_config
import made_volumes
import numpy as np
import pytest
import yaml
from PIL import Image

from hooknet.config.project import load_project, missing_files
from hooknet.config.sides import Side
from hooknet.errors import ConfigError, MaskError, SlideError
from hooknet.groundtruth.cohort import assign
from hooknet.groundtruth.volumes import cohort
from hooknet.groundtruth.volumes.cohort import import_volumes
from hooknet.groundtruth.volumes.layouts import LAYOUTS
from hooknet.groundtruth.volumes.slicing import read_labelled
from hooknet.io.slice_file import read_slice
from hooknet.io.slides import Slide

OUTPUT = Path("data/out")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(layout, patients=3):
    """The volumes of a made cohort, imported."""
    folder = made_volumes.MAKERS[layout](Path("in"), patients)
    import_volumes(LAYOUTS[layout], folder, OUTPUT, layout)
    return folder


def rows(folder=OUTPUT):
    with (folder / "slides.tsv").open(newline="") as sheet:
        return list(csv.DictReader(sheet, delimiter="\t"))


def contents(folder=OUTPUT):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(folder=OUTPUT):
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def project(layout):
    """The written dataset with an experiment on it."""
    experiment = {
        "dataset": layout, "model": "unet", "spacings": [2000.0],
        "augment": {"stain": 0, "saturation": 0, "elastic_um": 0},
    }  # fmt: skip
    _, experiments = made_config.write(Path(), None, {"unet": experiment})
    return load_project(OUTPUT / "datasets.yaml", experiments)


@pytest.mark.parametrize(
    ("layout", "volumes", "slices"), [("acdc", 6, 5), ("mnms", 6, 5), ("brats", 3, 4), ("synapse", 3, 5)]
)
def test_every_slice_of_every_volume_is_written_px_for_px(layout, volumes, slices):
    folder = made(layout)
    found = {row["id"]: row for row in rows()}
    assert len(found) == volumes * slices
    for files in LAYOUTS[layout].find(folder):
        volume = read_labelled(files, LAYOUTS[layout], lambda *_: None)
        for one in volume.slices():
            row = found.pop(f"{files.name}_z{one.info.position:03d}")
            pixels, info = read_slice(row["slide"])
            np.testing.assert_array_equal(pixels, one.pixels)
            assert info == one.info
            np.testing.assert_array_equal(np.asarray(Image.open(row["annotation"])), one.labels)
            assert row["truth"] == row["annotation"]
            assert (row["patient"], row["volume"]) == (files.patient, files.name)
            assert (int(row["position"]), float(row["thickness"])) == (one.info.position, info.thickness)
    assert not found


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_dataset_is_one_that_the_pipeline_takes(layout):
    made(layout)
    loaded = project(layout)
    dataset = loaded.datasets[layout]
    assert missing_files(loaded) == []
    assert dataset.channels == len(LAYOUTS[layout].bands)
    assert dataset.label_map.names == tuple(one.name for one in LAYOUTS[layout].classes)
    assert {one.volume for one in dataset.slides} == {row["volume"] for row in rows()}
    for one in dataset.slides:
        with Slide(one.slide) as slide, Image.open(one.annotation) as mask:
            assert mask.size == slide.size
            slide.require_channels(dataset.channels)


def test_the_splits_keep_both_phases_of_a_patient_together():
    made("acdc")
    dataset = project("acdc").datasets["acdc"]
    areas = {one.id: {"labels": dict.fromkeys(dataset.classes, 1.0)} for one in dataset.slides}
    sides = {}
    for slide, side in assign(dataset, areas).items():
        sides.setdefault(dataset.slide(slide).patient, set()).add(side)
    assert [len(one) for one in sides.values()] == [1, 1, 1]
    assert {next(iter(one)) for one in sides.values()} == {
        Side(split=name) for name in ("training", "validation", "test")
    }


def test_a_second_run_leaves_every_file_as_it_is(caplog):
    caplog.set_level(logging.INFO)
    folder = made("acdc")
    before = times()
    import_volumes(LAYOUTS["acdc"], folder, OUTPUT, "acdc")
    assert times() == before
    assert "30 slices of 6 volumes of 3 patients; 0 files written, 60 kept as they were" in caplog.text


@pytest.mark.parametrize("after", [0, 1, 7, 23])
def test_a_run_that_was_killed_goes_on_to_the_same_files(monkeypatch, after):
    folder = made("acdc")
    whole = contents()
    second = Path("data/second")
    calls = []

    def killed(*arguments):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(1)
        real(*arguments)

    real = cohort.write_slice
    with monkeypatch.context() as broken:
        broken.setattr(cohort, "write_slice", killed)
        with pytest.raises(KeyboardInterrupt):
            import_volumes(LAYOUTS["acdc"], folder, second, "acdc")
    left = times(second)
    assert len(left) == 2 * after
    assert not {"slides.tsv", "datasets.yaml"} & {path.name for path in second.glob("*")}
    import_volumes(LAYOUTS["acdc"], folder, second, "acdc")
    assert times(second).items() >= left.items()
    found = contents(second)
    assert set(found) == set(whole)
    for name, content in found.items():
        assert content.replace(b"data/second", b"data/out") == whole[name]


def test_files_that_are_not_what_they_should_be_are_written_again():
    folder = made("acdc", 3)
    whole = contents()
    slices, masks = sorted((OUTPUT / "slices").iterdir()), sorted((OUTPUT / "masks").iterdir())
    slices[0].write_bytes(slices[0].read_bytes()[:100])
    slices[1].write_bytes(slices[2].read_bytes())
    masks[0].write_bytes(masks[0].read_bytes()[:60])
    masks[3].write_bytes(masks[2].read_bytes()[:-30])
    masks[1].write_bytes(masks[0].read_bytes())
    (OUTPUT / "slides.tsv").write_text("id\n")
    import_volumes(LAYOUTS["acdc"], folder, OUTPUT, "acdc")
    assert contents() == whole


def test_progress_is_told_volume_by_volume():
    told = []
    folder = made_volumes.acdc(Path("in"))
    import_volumes(LAYOUTS["acdc"], folder, OUTPUT, "acdc", lambda *numbers: told.append(numbers))
    assert told == [(number, 6) for number in range(7)]


def test_paths_are_relative_to_where_one_works():
    folder = made_volumes.synapse(Path("in"))
    import_volumes(LAYOUTS["synapse"], folder, Path.cwd() / "data" / ".." / OUTPUT, "organs")
    assert rows()[0]["slide"] == "data/out/slices/case0001_z000.slice.tif"
    section = yaml.safe_load((OUTPUT / "datasets.yaml").read_text())["datasets"]["organs"]
    assert section["slides"] == "data/out/slides.tsv"


def spacings(caplog, *sides):
    """What is told of ACDC patients with px of these sides in mm, and the spacing of the written file."""
    for number, side in enumerate(sides, start=1):
        folder = Path(f"p{number}")
        made_volumes.acdc(folder, 1)
        place = Path("in") / f"patient{number:03d}"
        place.parent.mkdir(exist_ok=True)
        for path in sorted((folder / "training" / "patient001").glob("*frame*")):
            marked = made_volumes.labels((1, 2, 3))
            voxels = marked if "_gt" in path.name else made_volumes.image(marked)
            affine = made_volumes.affine_of((side, side, 8.0))
            made_volumes.write(place / path.name.replace("patient001", place.name), voxels, affine)
        (place / "Info.cfg").write_text("ED: 1\nES: 7\n")
    import_volumes(LAYOUTS["acdc"], Path("in"), OUTPUT, "acdc")
    return [record.getMessage() for record in caplog.records if "spacings" in record.getMessage()]


def test_one_spacing_of_all_is_told(caplog):
    caplog.set_level(logging.INFO)
    assert spacings(caplog, 1.3672, 1.3672) == [
        "all px are 1367.2 µm wide: experiments take spacings: [1367.2]"
    ]
    assert "spacings: [1367.2] (µm/px)" in (OUTPUT / "datasets.yaml").read_text()


def test_mixed_spacings_are_told_with_their_middle(caplog):
    assert spacings(caplog, 0.7, 1.25, 1.9) == [
        "px are 700 to 1900 µm wide, each slice as it was scanned: experiments bring all to one, such as "
        "spacings: [1250]"
    ]
    assert {Slide(row["slide"]).spacing.x for row in rows()} == {700.0, 1250.0, 1900.0}


def test_the_spacing_told_is_one_that_all_slices_can_be_brought_to(caplog):
    assert spacings(caplog, 0.7, 0.7, 1.9)[0].endswith("spacings: [950]")
    for row in rows():
        Slide(row["slide"]).require(950.0)


def test_what_had_to_be_assumed_is_told_once_for_all_files(caplog):
    folder = made_volumes.acdc(Path("in"), 2, unit="unknown")
    import_volumes(LAYOUTS["acdc"], folder, OUTPUT, "acdc")
    told = [line for line in caplog.messages if "does not say the unit" in line]
    assert told == [
        "in/training/patient001/patient001_frame01.nii.gz (and 3 more): does not say the unit of its spacing: taken "
        "as mm"
    ]


def test_px_beyond_the_bytes_are_counted(caplog):
    folder = made_volumes.brats(Path("in"), 1)
    voxels = np.full((24, 26, 4), 100, np.int16)
    voxels[::2] = 102
    voxels[0, 0, :3] = 3000
    made_volumes.write(
        folder / "BraTS2021_00000" / "BraTS2021_00000_t1.nii.gz", voxels, made_volumes.affine_of((1, 1, 1))
    )
    import_volumes(LAYOUTS["brats"], folder, OUTPUT, "brats")
    assert "3 of 9984 px (0.03 %) were beyond what bytes hold and became 0 or 255" in caplog.messages


def test_classes_that_no_volume_shows_are_told(caplog):
    import_volumes(LAYOUTS["brats"], made_volumes.brats(Path("in")), OUTPUT, "brats")
    assert not [line for line in caplog.messages if "no px of any volume" in line]
    import_volumes(LAYOUTS["synapse"], made_volumes.synapse(Path("ct")), OUTPUT, "ct")
    assert sum("no px of any volume is spleen or right_kidney or" in line for line in caplog.messages) == 1


@pytest.mark.parametrize(
    ("layout", "name", "kind", "message"),
    [
        ("acdc", "a b", ConfigError, "--name: found 'a b', wanted letters, digits, "),
        (
            "synapse",
            "ok",
            SlideError,
            "in: found no volume of the Synapse multi-organ (CT of the abdomen); is the layout",
        ),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_written(layout, name, kind, message):
    made_volumes.acdc(Path("in"))
    with pytest.raises(kind) as caught:
        import_volumes(LAYOUTS[layout], Path("in"), OUTPUT, name)
    assert str(caught.value).startswith(message)
    assert not OUTPUT.exists()


def test_a_folder_that_is_not_there_is_refused():
    with pytest.raises(SlideError, match="nowhere: found no such folder; correct the path"):
        import_volumes(LAYOUTS["acdc"], Path("nowhere"), OUTPUT, "acdc")


def test_a_volume_that_stands_twice_is_refused():
    made_volumes.synapse(Path("in/one"), 1)
    made_volumes.synapse(Path("in/two"), 1)
    with pytest.raises(SlideError, match=r"label0001\.nii\.gz: volume 'case0001' stands in in/one/label too"):
        import_volumes(LAYOUTS["synapse"], Path("in"), OUTPUT, "ct")


def test_missing_labels_of_the_last_volume_are_told_before_the_first_is_read():
    folder = made_volumes.synapse(Path("in"))
    (folder / "label" / "label0003.nii.gz").unlink()
    with pytest.raises(
        MaskError, match=r"label0003\.nii\.gz: found no such file, wanted the labels of case0003; add it"
    ):
        import_volumes(LAYOUTS["synapse"], folder, OUTPUT, "ct")
    assert not OUTPUT.exists()
