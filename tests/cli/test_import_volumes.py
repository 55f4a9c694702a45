"""From NIfTI files to what training reads, through the commands alone."""

import json
from pathlib import Path

import made_config
import made_volumes
import numpy as np
import pytest
from made_cohort import hooknet, refuse

from hooknet.coordinates import PatchSpec
from hooknet.data.index import SlideFiles, load_index
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.io.masks import Mask

DATASETS = Path("data/made/datasets.yaml")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def arguments(layout, folder):
    options = {"layout": layout, "folder": folder, "output": "data/made", "name": "made"}
    return ["import-volumes", *(text for key, value in options.items() for text in (f"--{key}", value))]


def imported(layout):
    outcome = hooknet(*arguments(layout, made_volumes.MAKERS[layout](Path("in"))))
    assert outcome.status == 0, outcome
    return outcome


def experiment(**changes):
    colours = {"stain": 0, "saturation": 0, "elastic_um": 0}
    network = {"filters": 1, "depth": 1}
    section = made_config.experiment(
        dataset="made", spacings=[1500.0], patch_size=44, augment=colours, network=network, **changes
    )
    made_config.write(Path(), None, {"unet": section})


def step(command, **options):
    common = {"dataset": "made", "datasets": DATASETS, "experiments": "experiments.yaml", **options}
    pairs = ((f"--{key.replace('_', '-')}", value) for key, value in common.items())
    return hooknet(command, *(text for pair in pairs for text in pair))


def test_help_teaches_the_layouts():
    outcome = hooknet("import-volumes", "--help")
    assert outcome.status == 0
    for word in ("acdc", "mnms", "brats", "synapse", "Info.cfg", "External code", "slides.tsv", "Example:"):
        assert word in outcome.out


@pytest.mark.parametrize(("layout", "bands"), [("acdc", 1), ("brats", 4)])
def test_slices_go_through_the_steps_before_training(layout, bands):
    imported(layout)
    experiment()
    assert hooknet("check", "--datasets", DATASETS, "--experiments", "experiments.yaml").status == 0
    slide = {"acdc": "patient002_ES_z002", "brats": "BraTS2021_00001_z002"}[layout]
    folder = Path("results") / slide
    assert step("check-slide", slide=slide, output=folder / "slide.json").status == 0
    record = json.loads((folder / "slide.json").read_text())
    width, height = {"acdc": (32, 28), "brats": (24, 26)}[layout]
    assert (record["size"], record["channels"], record["vendor"]) == ([width, height], bands, "hooknet-slice")
    source, labels = Path("data/made/masks") / f"{slide}.png", folder / "labels.tif"
    done = step("rasterise", slide=slide, source=source, output=labels, counts=folder / "labels.json")
    assert done.status == 0, done
    tissue = folder / "tissue.tif"
    assert step("detect-tissue", slide=slide, output=tissue).status == 0
    with Mask.open(tissue) as mask:
        assert (mask.read(0, 0, mask.grid.width, mask.grid.height) == 1).all()
    centres = folder / "centres.parquet"
    done = step("index-centres", slide=slide, labels=labels, output=centres, size=26, spacing=1500.0)
    assert done.status == 0, done
    names = {
        "acdc": ("background", "rv", "myo", "lv"),
        "brats": ("background", "necrotic_core", "oedema", "enhancing_tumour"),
    }[layout]
    spec = PatchSpec(44, 26, (1500.0,), bands)
    files = SlideFiles(slide, Path("data/made/slices") / f"{slide}.slice.tif", None, labels, centres)
    patches = PatchDataset(load_index([files], names, spec), spec, LabelSpec((0,), (26,)), None, 1)
    views, (label,), *_ = patches[(0, 0)]
    assert views.shape == (1, 44, 44, bands)
    assert set(np.unique(label)) <= {0, 1, 2, 3, 4}


def test_a_file_of_other_bands_than_the_dataset_is_told():
    imported("acdc")
    DATASETS.write_text(DATASETS.read_text().replace("channels: 1", "channels: 4"))
    experiment()
    slide = "patient001_ED_z000"
    outcome = step("check-slide", slide=slide, output="slide.json")
    assert (outcome.status, outcome.err) == (2, (
        f"hooknet: data/made/slices/{slide}.slice.tif: found 1 band(s), wanted 4, the dataset's `channels`; set "
        "channels: 1 in the datasets file, or take the slide out\n"
    ))  # fmt: skip


def test_colours_of_slices_of_one_band_are_refused_by_check():
    imported("acdc")
    section = made_config.experiment(dataset="made", spacings=[1500.0], augment={"elastic_um": 0})
    made_config.write(Path(), None, {"unet": section})
    outcome = hooknet("check", "--datasets", DATASETS, "--experiments", "experiments.yaml")
    assert outcome.status == 2
    assert outcome.err == (
        "hooknet: experiments.yaml: experiments.unet.augment.stain: found 0.03, but datasets.made.channels is 1, and "
        "stain varies red, green and blue; set it to 0\n"
    )


def test_a_damaged_file_is_one_line_and_leaves_nothing():
    folder = made_volumes.synapse(Path("in"), 1)
    path = folder / "img" / "img0001.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    assert refuse(*arguments("synapse", folder)) == (
        "in/img/img0001.nii.gz: cannot be read as NIfTI (Compressed file ended before the end-of-stream marker was "
        "reached); the file is damaged: copy it again"
    )


def test_an_unknown_layout_is_refused():
    assert hooknet(*arguments("dicom", "in")).status == 2
