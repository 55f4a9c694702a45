import made_slides
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooknet.coordinates import RasterGrid
from hooknet.inference.regions import Wanted, covered
from hooknet.io.masks import Mask
from hooknet.io.rasters import open_raster

SLIDE = (160, 120)


def grid_at(spacing):
    return RasterGrid.over(SLIDE, made_slides.square(0.5), spacing)


def mask_at(folder, name, spacing, seed=0, share=0.5):
    grid = grid_at(spacing)
    labels = (np.random.default_rng(seed).random((grid.height, grid.width)) < share).astype(np.uint8)
    made_slides.write_mask(folder / name, labels, grid.step_x, spacing)
    return Mask.open(folder / name), labels


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    return {
        spacing: mask_at(folder, f"{spacing}.tif", spacing, share=0.03) for spacing in (0.5, 0.7, 1.0, 4.0)
    }


def whole(wanted, grid):
    return wanted.pixels(grid, 0, 0, grid.width, grid.height)


@pytest.mark.parametrize("mine", [0.5, 0.7, 1.0, 4.0])
@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.0, 2.3])
def test_no_annotated_pixel_goes_unpredicted(masks, mine, spacing):
    mask, labels = masks[mine]
    grid = grid_at(spacing)
    found = covered(mask, grid, 0, 0, grid.width, grid.height)
    if mine <= spacing:
        wanted = np.zeros_like(found)
        rows, columns = np.nonzero(labels)
        to = (np.array([rows, columns]) + 0.5) * (mine / spacing)
        rows, columns = np.floor(to + 1e-6).astype(int)
        inside = (rows < grid.height) & (
            columns < grid.width
        )  # the last mask px may be centred off the slide
        wanted[rows[inside], columns[inside]] = True
        np.testing.assert_array_equal(found, wanted)
    else:  # a coarser mask: every map px whose centre it covers
        np.testing.assert_array_equal(found, mask.read_as(grid, 0, 0, grid.width, grid.height) > 0)
    assert found.any()


@settings(max_examples=40)
@given(
    column=st.integers(-30, 90),
    row=st.integers(-30, 70),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    mine=st.sampled_from([0.5, 0.7, 1.0, 4.0]),
)
def test_what_is_wanted_does_not_depend_on_the_blocks(masks, column, row, width, height, mine):
    grid = grid_at(1.0)
    wanted = Wanted(masks[4.0][0], (masks[mine][0],))
    everything = np.pad(whole(wanted, grid), 100)
    found = wanted.pixels(grid, column, row, width, height)
    np.testing.assert_array_equal(
        found, everything[100 + row : 100 + row + height, 100 + column : 100 + column + width]
    )


def test_everything_is_the_slide_and_nothing_beyond():
    grid = grid_at(1.0)
    found = Wanted(None).pixels(grid, -2, -3, grid.width + 4, grid.height + 6)
    assert found.sum() == grid.width * grid.height
    assert found[3:-3, 2:-2].all()


def test_annotated_pixels_are_added_to_the_tissue(masks):
    grid = grid_at(1.0)
    tissue, annotated = masks[4.0][0], masks[1.0][0]
    both = whole(Wanted(tissue, (annotated, masks[0.5][0])), grid)
    parts = [
        whole(Wanted(tissue), grid),
        covered(annotated, grid, 0, 0, 80, 60),
        covered(masks[0.5][0], grid, 0, 0, 80, 60),
    ]
    np.testing.assert_array_equal(both, np.logical_or.reduce(parts))
    assert both.sum() > max(part.sum() for part in parts)


def test_a_users_own_mask_of_another_size_is_stretched_over_the_slide(tmp_path):
    own = np.zeros((30, 40), np.uint8)
    own[10:20, 10:30] = 7
    made_slides.write_mask(tmp_path / "own.tif", own, 4.0, 2.0, classes=7)
    with open_raster(tmp_path / "own.tif", SLIDE) as raster:
        found = whole(Wanted(raster), grid_at(1.0))
    wanted = np.zeros((60, 80), bool)
    wanted[20:40, 20:60] = True
    np.testing.assert_array_equal(found, wanted)
