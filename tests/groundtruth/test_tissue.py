import logging

import made_slides
import numpy as np
import pytest

from hooknet.errors import SlideError
from hooknet.groundtruth import tissue
from hooknet.groundtruth.tissue import density, detect_tissue, find_tissue, otsu, read_overview
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide

PINK, GLASS = (200, 120, 180), (243, 242, 244)


def picture(height=60, width=80):
    image = np.full((height, width, 3), GLASS, np.uint8)
    image[20:40, 30:60] = PINK
    return image


def test_density_is_that_of_the_darkest_channel():
    image = np.array([[[255, 255, 255], [255, 0, 255], [255, 24, 255]]], np.uint8)
    np.testing.assert_allclose(density(image)[0], [0, -np.log10(1 / 256), -np.log10(25 / 256)], rtol=1e-6)


def test_otsu_splits_two_heaps_between_them():
    values = np.concatenate([np.full(900, 0.05), np.full(100, 0.9)]).astype(np.float32)
    assert 0.05 < otsu(values) < 0.9


@pytest.mark.parametrize("value", [0.0, 0.3, 2.3])
def test_otsu_of_one_value_is_a_number(value):
    assert np.isfinite(otsu(np.full(50, value, np.float32)))


def test_tissue_is_found_to_the_pixel():
    found = find_tissue(picture(), 8.0, 0.0, 0.0, None)
    wanted = np.zeros((60, 80), bool)
    wanted[20:40, 30:60] = True
    np.testing.assert_array_equal(found, wanted)


def test_a_slide_that_is_all_tissue_or_all_glass_is_not_split():
    assert find_tissue(np.full((30, 30, 3), PINK, np.uint8), 8.0, 32.0, 1e4, None).all()
    assert not find_tissue(np.full((30, 30, 3), GLASS, np.uint8), 8.0, 32.0, 1e4, None).any()
    noise = np.random.default_rng(0).integers(236, 250, (60, 60, 3), dtype=np.uint8)
    assert not find_tissue(noise, 8.0, 32.0, 1e4, None).any()


def test_a_threshold_of_the_users_counts():
    image = np.full((10, 10, 3), 200, np.uint8)  # density 0.105
    assert find_tissue(image, 8.0, 0, 0, 0.10).all()
    assert not find_tissue(image, 8.0, 0, 0, 0.11).any()


def test_specks_go_and_gaps_and_small_holes_are_filled_by_area():
    image = picture()
    image[5:7, 5:7] = PINK  # 4 px of 64 µm² = 256 µm²
    image[25:27, 40:42] = GLASS
    found = find_tissue(image, 8.0, 0.0, 257.0, None)
    assert not found[:10, :10].any()
    assert found[20:40, 30:60].all()
    kept = find_tissue(image, 8.0, 0.0, 256.0, None)
    assert kept[5:7, 5:7].all()
    assert not kept[25:27, 40:42].any()


def test_closing_bridges_gaps_up_to_its_length_and_moves_no_outline():
    image = picture()
    image[:, 44:46] = GLASS  # a gap of 16 µm
    assert not find_tissue(image, 8.0, 0.0, 0.0, None)[30, 44:46].any()
    closed = find_tissue(image, 8.0, 32.0, 0.0, None)
    assert closed[23:37, 30:60].all()
    wanted = np.zeros((60, 80), bool)
    wanted[20:40, 30:60] = True
    assert not closed[~wanted].any()


def test_closing_does_not_eat_tissue_at_the_border_of_the_slide():
    image = np.full((30, 30, 3), GLASS, np.uint8)
    image[:12] = PINK
    assert find_tissue(image, 8.0, 64.0, 0.0, None)[:12].all()


def test_the_overview_is_the_slide_at_the_spacing_whatever_the_blocks(tmp_path, monkeypatch):
    image = made_slides.coordinates_image(211, 163, 60)
    slide = Slide(made_slides.write_slide(tmp_path / "s.tif", image), made_slides.square(0.5))
    grid = slide.grid(1.3)
    whole = read_overview(slide, grid)
    exact = made_slides.area_image(image, np.arange(grid.width + 1) * 2.6, np.arange(grid.height + 1) * 2.6)
    np.testing.assert_allclose(whole, exact, atol=0.55)
    monkeypatch.setattr(tissue, "BLOCK", 17)
    np.testing.assert_array_equal(read_overview(slide, grid), whole)


def write_pink(path, height=400, width=500):
    image = np.full((height, width, 3), 255, np.uint8)
    image[100:300, 200:400] = PINK
    return Slide(made_slides.write_slide(path, image, spacing=1.0), made_slides.square(1.0))


def test_the_mask_lies_on_the_tissue(tmp_path):
    slide = write_pink(tmp_path / "s.tif")
    share = detect_tissue(slide, 10.0, 0.0, 0.0, None, tmp_path / "t.tif")
    with Mask.open(tmp_path / "t.tif") as mask:
        found = mask.read(0, 0, mask.grid.width, mask.grid.height)
        assert (mask.grid.width, mask.grid.height, mask.grid.spacing) == (50, 40, 10.0)
    wanted = np.zeros((40, 50), np.uint8)
    wanted[10:30, 20:40] = 1
    np.testing.assert_array_equal(found, wanted)
    assert share == pytest.approx(400 / 2000)


def test_a_slide_coarser_than_the_detection_is_looked_at_in_its_own_pixels(tmp_path):
    slide = write_pink(tmp_path / "s.tif", 400, 500)
    detect_tissue(slide, 0.3, 0.0, 0.0, None, tmp_path / "t.tif")
    with Mask.open(tmp_path / "t.tif") as mask:
        assert (mask.grid.width, mask.grid.spacing) == (500, 1.0)


def test_no_tissue_is_an_error_and_no_file(tmp_path):
    slide = Slide(
        made_slides.write_slide(tmp_path / "s.tif", np.full((90, 90, 3), 250, np.uint8)),
        made_slides.square(1.0),
    )
    with pytest.raises(SlideError, match=r"s\.tif: found no tissue at 8 µm/px; lower .* everything$"):
        detect_tissue(slide, 8.0, 0.0, 0.0, None, tmp_path / "t.tif")
    assert not (tmp_path / "t.tif").exists()


def test_all_tissue_is_told(tmp_path, caplog):
    slide = Slide(
        made_slides.write_slide(tmp_path / "s.tif", np.full((90, 90, 3), 150, np.uint8)),
        made_slides.square(1.0),
    )
    with caplog.at_level(logging.WARNING):
        assert detect_tissue(slide, 9.0, 0.0, 0.0, None, tmp_path / "t.tif") == 1.0
    assert "100 % of the slide counts as tissue" in caplog.text
