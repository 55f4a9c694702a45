"""Cells of a heat map: which are wanted, and in which rectangles they are read."""

import made_slides
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.inference.patches import PatchLayout, Rectangle, rectangles
from hooknet.inference.regions import Wanted, share_of
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_every_wanted_cell_is_in_one_rectangle_and_no_other_is(seed, height, width, columns, rows):
    wanted = np.random.default_rng(seed).random((height, width)) < 0.6
    counted = np.zeros(wanted.shape, int)
    for one in rectangles(wanted, (columns, rows)):
        assert 1 <= one.columns <= columns
        assert 1 <= one.rows <= rows
        counted[one.row : one.row + one.rows, one.column : one.column + one.columns] += 1
    np.testing.assert_array_equal(counted, wanted)


def test_neighbours_are_read_together():
    wanted = np.array([[1, 1, 0, 1], [1, 1, 0, 1], [0, 1, 1, 1]], bool)
    assert list(rectangles(wanted, (4, 3))) == [
        Rectangle(0, 0, 2, 2),
        Rectangle(3, 0, 1, 2),
        Rectangle(1, 2, 3, 1),
    ]
    assert list(rectangles(np.ones((2, 4), bool), (2, 2))) == [Rectangle(0, 0, 2, 2), Rectangle(2, 0, 2, 2)]


def test_as_many_cells_are_read_at_once_as_a_read_holds(tmp_path):
    path = made_slides.write_slide(tmp_path / "s.tif", np.zeros((64, 64, 3), np.uint8), spacing=0.25)
    with Slide(path) as slide:
        assert PatchLayout(256, 256, 1.0).cells_at_once(slide) == (1, 4)  # four level-0 px a px
        assert PatchLayout(256, 128, 0.25).cells_at_once(slide) == (7, 31)
        assert PatchLayout(2000, 2000, 1.0).cells_at_once(slide) == (1, 1)


def share_naively(values, step, cell, rows, columns):
    """By counting points, 60 a side of a cell."""
    points = (np.arange(max(rows, columns) * 60) + 0.5) / 60 * cell / step
    index = points.astype(int)
    found = np.zeros((rows, columns))
    for row, column in np.ndindex(rows, columns):
        y, x = index[row * 60 : row * 60 + 60], index[column * 60 : column * 60 + 60]
        y, x = y[y < values.shape[0]], x[x < values.shape[1]]
        found[row, column] = values[np.ix_(y, x)].sum() / 3600
    return found


@pytest.mark.parametrize(("step", "cell"), [(4.0, 16.0), (4.0, 18.3), (7.0, 5.0), (3.0, 100.0)])
def test_the_share_of_a_cell_is_an_area(tmp_path, step, cell, monkeypatch):
    monkeypatch.setattr("hooknet.inference.regions.STRIP_PIXELS", 100)
    values = made_slides.random_bits(20, 31)
    path = made_slides.write_mask(tmp_path / "m.tif", values, step, step / 2)
    columns, rows = int(np.ceil(31 * step / cell)), int(np.ceil(20 * step / cell))
    grid = RasterGrid(columns, rows, cell / 2, cell, cell)
    with Mask.open(path) as mask:
        found = share_of(mask, grid)
    assert np.abs(found - share_naively(values, step, cell, rows, columns)).max() < 0.03
    total = values.sum() * step**2 / cell**2
    assert found.sum() == pytest.approx(total)


def test_a_share_as_large_as_wanted_suffices(tmp_path):
    values = np.zeros((10, 10), np.uint8)
    values[:, :3] = 1
    path = made_slides.write_mask(tmp_path / "m.tif", values, 1.0)
    grid = RasterGrid(1, 1, 5.0, 10.0, 10.0)
    with Mask.open(path) as mask:
        assert Wanted(mask).whole(grid, 0.3).all()
        assert not Wanted(mask).whole(grid, 0.301).any()
        assert Wanted(None).whole(grid, 1.0).all()


def test_a_mask_of_another_slide_is_refused(tmp_path):
    path = made_slides.write_mask(tmp_path / "m.tif", np.ones((10, 10), np.uint8), 1.0)
    with Mask.open(path) as mask, pytest.raises(MaskError, match="belong to different slides"):
        share_of(mask, RasterGrid(3, 1, 5.0, 10.0, 10.0))
