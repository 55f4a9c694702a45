import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.coordinates import (
    PatchSpec,
    RasterGrid,
    Spacing,
    Window,
    blocks,
    centred_window,
    concentric_windows,
    enclosing_pixels,
    nearest_index,
)


def test_a_window_of_ten_pixels_of_half_a_micrometre_is_twenty_level_0_pixels_of_a_quarter():
    assert centred_window(100.0, 50.0, 10, 0.5, Spacing(0.25, 0.25)) == Window(90.0, 40.0, 20.0, 20.0)


def test_pixels_that_are_not_square_give_a_window_that_is_not():
    assert centred_window(100.0, 50.0, 10, 0.5, Spacing(0.25, 0.5)) == Window(90.0, 45.0, 20.0, 10.0)


@given(
    x=st.floats(-1e5, 1e5),
    y=st.floats(-1e5, 1e5),
    size=st.integers(1, 2000),
    slide=st.floats(0.1, 1.0),
    ratios=st.lists(st.sampled_from([2.0, 3.0, 4.0, 16.0]), min_size=1, max_size=3),
)
def test_concentric_windows_share_their_centre_and_are_as_wide_as_their_spacing_says(
    x, y, size, slide, ratios
):
    spec = PatchSpec(size, size, (slide, *(slide * ratio for ratio in ratios)))
    for window, spacing in zip(
        concentric_windows(x, y, spec, Spacing(slide, slide)), spec.spacings, strict=True
    ):
        assert window.x + window.width / 2 == pytest.approx(x, abs=1e-6)
        assert window.y + window.height / 2 == pytest.approx(y, abs=1e-6)
        assert window.width * slide == pytest.approx(size * spacing)


@given(
    width=st.integers(1, 200_000),
    height=st.integers(1, 200_000),
    slide=st.floats(0.1, 1.0),
    ratio=st.floats(0.96, 64.0),
)
def test_a_grid_covers_the_slide_and_ends_less_than_a_pixel_beyond_it(width, height, slide, ratio):
    grid = RasterGrid.over((width, height), Spacing(slide, slide), slide * ratio)
    assert grid.width * grid.step_x >= width - 1e-3
    assert grid.height * grid.step_y >= height - 1e-3
    assert (grid.width - 1) * grid.step_x < width
    assert (grid.height - 1) * grid.step_y < height


def test_a_ratio_that_floats_place_just_above_a_whole_number_adds_no_column():
    # 0.3 / 0.1 is 2.9999999999999996, so that 300 px would be 100.00000000000001 columns.
    grid = RasterGrid.over((300, 600), Spacing(0.1, 0.1), 0.3)
    assert (grid.width, grid.height) == (100, 200)


def test_a_block_of_raster_pixels_has_its_own_level_0_window():
    grid = RasterGrid.over((1000, 800), Spacing(0.25, 0.5), 1.0)
    assert (grid.width, grid.height) == (250, 400)
    assert grid.window(10, -2, 3, 4) == Window(40.0, -4.0, 12.0, 8.0)


def test_a_pixel_centre_on_a_corner_of_source_pixels_belongs_to_the_right_one():
    # Two source px a pixel: centres at 1, 3, 5.  Half a source px a pixel: centres at .25, .75, 1.25, 1.75.
    assert nearest_index(0, 3, 2.0).tolist() == [1, 3, 5]
    assert nearest_index(0, 4, 0.5).tolist() == [0, 0, 1, 1]
    assert nearest_index(-2, 3, 1.0).tolist() == [-2, -1, 0]


@given(
    start=st.integers(-1000, 1000), ratio=st.sampled_from([1.0, 2.0, 4.0, 3.0]), slip=st.floats(-1e-8, 1e-8)
)
def test_rounding_errors_do_not_move_an_index(start, ratio, slip):
    np.testing.assert_array_equal(
        nearest_index(start + slip, 50, ratio), np.floor((start + np.arange(50) + 0.5) * ratio)
    )


def test_columns_of_a_coarser_grid_lie_under_its_pixel_centres():
    fine = RasterGrid.over((64, 64), Spacing(0.5, 0.5), 0.5)
    coarse = RasterGrid.over((64, 64), Spacing(0.5, 0.5), 2.0)
    assert fine.columns_of(coarse, 0, 3).tolist() == [2, 6, 10]
    assert coarse.rows_of(fine, 2, 4).tolist() == [0, 0, 1, 1]


def test_blocks_cover_a_raster_once():
    covered = np.zeros((7, 10), int)
    for column, row, width, height in blocks(10, 7, 4):
        covered[row : row + height, column : column + width] += 1
    assert (covered == 1).all()


def test_corners_that_rounding_moved_touch_no_further_pixel():
    assert enclosing_pixels(2.0 - 1e-9, 5.0 + 1e-9) == (2, 5)
    assert enclosing_pixels(1.5, 5.2) == (1, 6)
    assert enclosing_pixels(-1.5, 0.0) == (-2, 0)


def test_the_target_is_the_first_spacing():
    assert PatchSpec(284, 70, (0.5, 8.0)).target_spacing == 0.5


def test_a_spacing_is_told_once_where_pixels_are_square():
    assert str(Spacing(0.25, 0.25)) == "0.25"
    assert str(Spacing(0.25, 0.26)) == "0.25 x 0.26"
