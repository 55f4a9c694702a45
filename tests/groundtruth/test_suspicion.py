"""Warnings about slides that look wrong though every step works."""

import logging

import made_config
import made_slides
import numpy as np
import pytest
import tifffile

from hooknet.config.datasets import DatasetSettings
from hooknet.config.steps import TissueSettings
from hooknet.groundtruth.suspicion import warn_outside_tissue, warn_spacings
from hooknet.groundtruth.tissue import detect_tissue
from hooknet.io.masks import create_mask
from hooknet.io.records import write_json
from hooknet.io.slides import Slide

# µm/px, and a slide of 1600 px: 1.6 mm a side.
SPACING, SIDE = 1.0, 1600
SETTINGS = TissueSettings(min_area_um2=100, close_um=0)


def slide_with_tissue(path, box):
    image = np.full((SIDE, SIDE, 3), 250, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = (180, 90, 150)
    return made_slides.write_slide(path, image, spacing=SPACING)


@pytest.mark.parametrize(
    ("left", "share"),
    # Tissue is x < 800; what is annotated is 400 px wide.
    [(0, 0), (500, 25), (600, 50), (680, 70), (800, 100)],
)
def test_what_is_annotated_on_glass_is_told_from_half_of_it_on(tmp_path, caplog, left, share):
    slide_with_tissue(tmp_path / "a.tif", (0, 0, 800, SIDE))
    with Slide(tmp_path / "a.tif") as slide:
        with create_mask(tmp_path / "labels.tif", slide.grid(SPACING), ("a",), {1: (0, 0, 0)}) as writer:
            labels = np.zeros((SIDE, SIDE), np.uint8)
            labels[400:800, left : left + 400] = 1
            writer.write(0, 0, labels)
        with caplog.at_level(logging.WARNING):
            warn_outside_tissue(slide, tmp_path / "labels.tif", SETTINGS)
    told = [record.message for record in caplog.records]
    assert len(told) == (share > 50)
    if share > 50:
        assert f": {share} % of what is annotated lies outside tissue" in told[0]


def test_a_slide_that_cannot_be_read_somewhere_is_told_and_no_error(tmp_path, caplog):
    """A rasterised annotation needs no pixel of the slide; nor need training look where it is damaged."""
    path = slide_with_tissue(tmp_path / "a.tif", (0, 0, SIDE, SIDE))
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)
    with Slide(path) as slide:
        with create_mask(tmp_path / "labels.tif", slide.grid(SPACING), ("a",), {1: (0, 0, 0)}) as writer:
            writer.write(0, 0, np.ones((64, 64), np.uint8))
        with caplog.at_level(logging.WARNING):
            warn_outside_tissue(slide, tmp_path / "labels.tif", SETTINGS)
    (told,) = [record.message for record in caplog.records]
    assert told.endswith("so it was not looked whether what is annotated lies on tissue")


@pytest.mark.parametrize(
    ("side", "told"), [(64, "0.16 %"), (96, None), (1576, None), (1592, "99 %"), (1600, "100 %")]
)
def test_a_slide_of_hardly_any_tissue_or_hardly_any_glass_is_told(tmp_path, caplog, side, told):
    slide_with_tissue(tmp_path / "a.tif", (0, 0, side, side))
    with Slide(tmp_path / "a.tif") as slide, caplog.at_level(logging.WARNING):
        detect_tissue(slide, **SETTINGS.model_dump(), path=tmp_path / "tissue.tif")
    messages = [record.message.partition(": ")[2] for record in caplog.records]
    wanted = [] if told is None else [f"{told} of the slide counts as tissue; look at its tissue mask"]
    assert messages == wanted


def test_spacings_far_from_the_cohorts_are_told(tmp_path, caplog):
    spacings = {"a": (0.25, 0.25), "b": (0.23, 0.24), "c": (0.37, 0.37), "d": (0.25, 0.5), "e": (0.1, 0.1)}
    for name, (x, y) in spacings.items():
        write_json(tmp_path / name / "slide.json", {"spacing": [x, y]})
    rows = [
        {**made_config.SLIDES[0], "id": name, "slide": f"{name}.tif"} for name in [*spacings, "unchecked"]
    ]
    dataset = DatasetSettings.model_validate(made_config.dataset(slides=rows))
    with caplog.at_level(logging.WARNING):
        warn_spacings(dataset, tmp_path)
    assert [record.message.partition(", ")[0] for record in caplog.records] == [
        "d: 0.5 µm/px",
        "e: 0.1 µm/px",
    ]
    caplog.clear()
    warn_spacings(dataset, tmp_path, {"d", "e"})
    assert not caplog.records
