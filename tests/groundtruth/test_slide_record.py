import json
import logging

import made_slides
import numpy as np
import pytest
import tifffile

from hooknet.config.slides import SlideSettings
from hooknet.coordinates import Spacing
from hooknet.errors import SlideError
from hooknet.groundtruth.slide_record import check_place, describe_slide
from hooknet.io.slice_file import SliceInfo, write_slice
from hooknet.io.slides import Slide


@pytest.fixture
def slide(tmp_path):
    image = made_slides.coordinates_image(403, 301, 60)
    path = made_slides.write_slide(tmp_path / "s.tif", image, (made_slides.reduced(image, 4),), 0.5)
    return Slide(path)


def test_the_record_tells_size_levels_and_spacing(slide):
    record = describe_slide(slide, (0.5, 2.0))
    assert json.loads(json.dumps(record)) == record
    assert record["size"] == [403, 301]
    assert record["spacing"] == pytest.approx([0.5, 0.5])
    assert record["levels"][1]["size"] == [100, 75]
    assert record["levels"][1]["spacing"] == pytest.approx([2.0, 2.0])
    assert record["bounds_offset"] == [0.0, 0.0]
    assert record == describe_slide(slide, ())
    assert record["bytes"] == slide.path.stat().st_size
    assert record["vendor"] == "generic-tiff"


def test_interpolation_is_told_and_logged(slide, caplog):
    with caplog.at_level(logging.WARNING):
        describe_slide(slide, (0.48, 1.0))
    assert "at 0.5 µm/px, slightly coarser than 0.48: interpolated" in caplog.text


def test_a_slide_too_coarse_is_refused(slide):
    with pytest.raises(SlideError, match=r"finest possible spacing is 0\.4762 µm/px"):
        describe_slide(slide, (0.25,))


def test_an_override_that_differs_is_told(slide, caplog):
    with caplog.at_level(logging.WARNING):
        record = describe_slide(Slide(slide.path, made_slides.square(0.25)), (0.25,))
    assert "the file says 0.5 µm/px, the settings 0.25" in caplog.text
    assert record["file_spacing"] == pytest.approx([0.5, 0.5])


def test_every_level_is_read_in_both_corners_and_the_middle(slide, monkeypatch):
    seen = []
    read = Slide._read_level
    monkeypatch.setattr(Slide, "_read_level", lambda self, *a: seen.append(a) or read(self, *a))
    describe_slide(slide, (0.5,))
    assert [one[0] for one in seen] == [0, 0, 0, 1, 1, 1]


def test_a_damaged_tile_is_found_before_any_training(tmp_path):
    image = made_slides.coordinates_image(403, 301, 60)
    path = made_slides.write_slide(tmp_path / "s.tif", image, (made_slides.reduced(image, 4),), 0.5)
    with tifffile.TiffFile(path) as file:
        page = file.pages[1]
        start, length = page.dataoffsets[-1], page.databytecounts[-1]
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)
    with pytest.raises(SlideError, match="level 1 cannot be read") as caught:
        describe_slide(Slide(path, made_slides.square(0.5)), (0.5,))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"volume": "other"}, "found volume heart, the sheet says other"),
        ({"position": 4}, "found position 3, the sheet says 4"),
        ({"thickness": 8.0}, r"found thickness 9\.5, the sheet says 8\.0"),
    ],
)
def test_a_sheet_that_puts_a_slice_elsewhere_is_refused(tmp_path, changes, told):
    path = tmp_path / "a.slice.tif"
    info = SliceInfo(Spacing(1500.0, 1500.0), (0,), ("mr",), "heart", 3, 9.5)
    write_slice(path, np.zeros((20, 30, 1), np.uint8), info)
    place = {"id": "a", "slide": str(path), "volume": "heart", "position": 3, "thickness": 9.5}
    with Slide(path) as opened:
        check_place(opened, SlideSettings.model_validate(place))
        check_place(opened, SlideSettings(id="a", slide=str(path)))
        with pytest.raises(SlideError, match=told):
            check_place(opened, SlideSettings.model_validate({**place, **changes}))
