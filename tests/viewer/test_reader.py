import io

import made_slides
import made_view
import numpy as np
import pytest
from PIL import Image

from hooknet.coordinates import Spacing
from hooknet.errors import MaskError
from hooknet.io.slice_file import SliceInfo, write_slice
from hooknet.viewer import pictures
from hooknet.viewer.catalogue import Layer, ViewedSlide
from hooknet.viewer.reader import SlideReader


def pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA")).astype(int)


def level_of(reader, layer, level):
    """A whole level put together from its tiles, as the browser does."""
    width, height = reader.pyramid.size(level)
    rows = [
        np.hstack([pixels(reader.encoded(layer, level, column, row)) for column in range(-(-width // 256))])
        for row in range(-(-height // 256))
    ]
    whole = np.vstack(rows)
    assert whole.shape == (height, width, 4)
    return whole


@pytest.fixture(scope="module")
def reader(viewed):
    opened = SlideReader(viewed.slides[0], viewed.classes)
    yield opened
    opened.close()


@pytest.mark.parametrize("key", ["labels", "truth", "map-0", "map-1"])
def test_a_place_of_the_slide_is_in_the_same_px_of_the_h_and_e_and_of_every_mask(reader, key):
    """Masks have 2, 3 and 4 level-0 px a px: the dark box of the slide is theirs, but for the map that is wrong."""
    box = made_view.MOVED if key == "map-1" else made_view.BOX
    for level in range(reader.pyramid.first, reader.pyramid.last + 1):
        step = reader.pyramid.step(level)
        dark = (240 - level_of(reader, reader.viewed.by_key["he"], level)[..., 0]) / 180
        gland = (level_of(reader, reader.viewed.by_key[key], level)[..., :3] == (0x2A, 0x9D, 0x8F)).all(
            axis=-1
        )
        row, column = round(540 / step), round(600 / step)
        for line, low, high, drawn in (
            (dark[row], *made_view.BOX[::2], 0.1),
            (dark[:, column], *made_view.BOX[1::2], 0.1),
            (gland[row], *box[::2], 0.5),
            (gland[:, column], *box[1::2], 0.5),
        ):
            inside = np.flatnonzero(line > 0.5)
            assert abs(inside[0] - low / step) <= 0.5, (level, drawn)
            assert abs(inside[-1] + 1 - high / step) <= 0.5, (level, drawn)


def test_the_h_and_e_is_the_mean_of_what_a_px_covers(tmp_path):
    """Also on levels that are made of finer ones, and at edges that are no whole number of px."""
    image = made_slides.coordinates_image(2300, 1301, 350)
    path = made_slides.write_slide(tmp_path / "s.tif", image, (made_slides.reduced(image, 4),))
    reader = SlideReader(ViewedSlide("s", "", path, None, (Layer("he", "H&E"),)), made_view.CLASSES)
    for level in range(reader.pyramid.first, reader.pyramid.last + 1):
        width, height = reader.pyramid.size(level)
        step = reader.pyramid.step(level)
        wanted = made_slides.area_image(image, np.arange(width + 1) * step, np.arange(height + 1) * step)
        found = level_of(reader, reader.viewed.layers[0], level)[..., :3]
        assert np.abs(found - wanted).mean() < 2  # as JPEG has it
        for channel, axis in ((0, 1), (1, 0)):
            slope = np.gradient(wanted[..., channel], axis=axis)
            away = ((found - wanted)[..., channel] * np.sign(slope)).sum() / np.abs(slope).sum()
            assert abs(away) < 0.1, (level, axis)  # in px of the level: half a px would be 0.5
    reader.close()


def test_differences_are_where_truth_has_a_class_and_the_map_another(reader):
    level = reader.pyramid.last
    assert level_of(reader, reader.viewed.by_key["diff-0"], level)[..., 3].max() == 0
    found = level_of(reader, reader.viewed.by_key["diff-1"], level)
    assert tuple(found[found[..., 3] > 0][0]) == (*pictures.DIFFERENCE_PALETTE[1], 255)
    left, top, right, bottom = made_view.BOX
    wanted = np.zeros(found.shape[:2], bool)
    wanted[top:bottom, left : left + 120] = wanted[top:bottom, right : right + 120] = True
    assert np.array_equal(found[..., 3] > 0, wanted)


def test_what_is_not_annotated_does_not_differ():
    prediction = np.array([[0, 1, 2, 2]], np.uint8)
    reference = np.array([[1, 0, 2, 1]], np.uint8)
    assert pictures.differences(prediction, reference).tolist() == [[1, 0, 0, 1]]


def test_labels_have_the_colours_of_their_classes_and_none_where_0(tmp_path):
    labels = np.array([[0, 1], [2, 0]], np.uint8)
    found = pixels(pictures.png(labels, {1: (10, 20, 30), 2: (40, 50, 60)}, tmp_path))
    assert found[0, 1].tolist() == [10, 20, 30, 255]
    assert found[1, 0].tolist() == [40, 50, 60, 255]
    assert found[0, 0, 3] == found[1, 1, 3] == 0


def test_a_value_without_a_class_gets_no_colour_by_chance(tmp_path):
    with pytest.raises(MaskError, match=r"m\.tif: found value 3, wanted at most 2"):
        pictures.png(np.full((2, 2), 3, np.uint8), {1: (1, 1, 1), 2: (2, 2, 2)}, tmp_path / "m.tif")


@pytest.mark.parametrize("bands", [1, 4])
def test_a_slice_of_a_volume_is_shown_in_the_greys_of_its_first_band(tmp_path, bands):
    path = tmp_path / "v.slice.tif"
    values = np.zeros((301, 299, bands), np.uint8)
    values[..., 0] = 40
    values[100:200, 50:150, 0] = 200
    about = SliceInfo(
        Spacing(1500.0, 1500.0), (40,) * bands, ("t1", "t1ce", "t2", "flair")[:bands], "v", 0, 5.0
    )
    write_slice(path, values, about)
    he = Layer("he", "H&E")
    reader = SlideReader(ViewedSlide("v", "", path, None, (he,)), made_view.CLASSES)
    finest = level_of(reader, he, reader.pyramid.last)
    np.testing.assert_allclose(finest[..., :3], np.repeat(values[..., :1], 3, axis=-1), atol=12)
    coarser = level_of(reader, he, reader.pyramid.last - 1)
    assert coarser.shape == (151, 150, 4)
    # The last row and column are half outside, where the fill is as the slice's own background.
    np.testing.assert_allclose(coarser[-1, :, :3], 40, atol=4)
    reader.close()
