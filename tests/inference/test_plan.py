"""Plans hold every wanted pixel once, and cost least."""

from itertools import islice

import made_slides
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooknet.coordinates import RasterGrid
from hooknet.inference.plan import make_plan
from hooknet.inference.plan import plan_of as laid
from hooknet.inference.regions import Wanted
from hooknet.io.masks import Mask
from hooknet.shapes.hooknet import HookNetSettings

SHAPE = HookNetSettings(spacings=(0.5, 8.0), classes=2, filters=4, patch_size=284).shape
UNET = HookNetSettings(spacings=(0.5,), classes=2, filters=4, patch_size=284).shape


class Inside:
    """A mask in memory."""

    def __init__(self, pixels):
        self.pixels = pixels

    def read_as(self, grid, column, row, width, height):
        return self.pixels[row : row + height, column : column + width]


def covered(plan, height, width):
    """How many kept squares lie over each px."""
    stride = plan.tile.stride
    seen = np.zeros((height + 2 * stride, width + 2 * stride), int)
    for column, row in plan.places:
        seen[stride + row : 2 * stride + row, stride + column : 2 * stride + column] += 1
    return seen[stride : stride + height, stride : stride + width]


def plan_of(shape, pixels, fits=lambda tile: tile.sizes[0] <= 1300, **more):
    height, width = pixels.shape
    grid = RasterGrid(width, height, 0.5, 1.0, 1.0)
    return make_plan(shape, grid, Wanted(Inside(pixels)), fits, **more)


@given(
    seed=st.integers(0, 2**31), width=st.integers(1, 1500), height=st.integers(1, 1500), unet=st.booleans()
)
@settings(max_examples=30, deadline=None)
def test_every_wanted_pixel_is_in_one_square_and_no_square_is_empty(seed, width, height, unet):
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(0, 4)):
        pixels[rng.integers(0, height), rng.integers(0, width)] = 1
    plan = plan_of(UNET if unet else SHAPE, pixels)
    seen = covered(plan, height, width)
    assert seen.max() <= 1
    assert (seen[pixels > 0] == 1).all()
    for column, row in plan.places:
        assert (
            column % plan.tile.stride == row % plan.tile.stride == -(plan.tile.stride // 2) % plan.tile.stride
        )
        here = np.s_[
            max(row, 0) : max(row + plan.tile.stride, 0), max(column, 0) : max(column + plan.tile.stride, 0)
        ]
        assert pixels[here].any()
    assert plan.places == tuple(sorted(plan.places, key=lambda one: one[::-1]))


def test_a_speck_is_predicted_in_a_small_tile_and_a_large_field_in_large_ones():
    pixels = np.zeros((6656, 6656), np.uint8)  # six tiles of 1024 px and a half
    pixels[3000, 3000] = 1
    assert plan_of(SHAPE, pixels).tile.stride == 256
    pixels[:] = 1
    assert plan_of(SHAPE, pixels).tile.stride == 1024  # of 1244 px, the largest that fits


@pytest.mark.parametrize("at_most", [1, 284, 476, 740, 1244])
def test_no_other_seamless_tile_costs_less(at_most):
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(0, 5, (8, 10)) == 0, np.ones((300, 300))).astype(np.uint8)
    plan = plan_of(SHAPE, pixels, at_most=at_most)
    cost = len(plan.places) * SHAPE.tile_work(plan.tile)
    grid, wanted = RasterGrid(pixels.shape[1], pixels.shape[0], 0.5, 1.0, 1.0), Wanted(Inside(pixels))
    others = [one for one in islice(SHAPE.tiles(), 8) if one.sizes[0] <= max(at_most, 476)]
    costs = [len(laid(one, grid, wanted).places) * SHAPE.tile_work(one) for one in others]
    assert cost == min(costs)
    assert plan.tile in others


def test_the_fullest_place_is_where_most_is():
    pixels = np.zeros((3000, 3000), np.uint8)
    pixels[10, 10] = 1
    pixels[2000:2600, 2000:2600] = 1
    plan = plan_of(SHAPE, pixels)
    column, row = plan.places[plan.fullest]
    stride = plan.tile.stride
    quarters = pixels[row : row + stride, column : column + stride].reshape(2, stride // 2, 2, stride // 2)
    assert quarters.any(axis=(1, 3)).all()  # something in each of its cells; the speck has one


def test_nothing_wanted_is_no_place():
    assert plan_of(SHAPE, np.zeros((500, 700), np.uint8)).places == ()


def test_without_memory_the_smallest_tile_is_taken():
    plan = plan_of(SHAPE, np.ones((2000, 2000), np.uint8), fits=lambda tile: False)
    assert plan.tile == next(SHAPE.tiles())


def test_cells_are_true_where_a_pixel_of_any_mask_is_wanted(tmp_path):
    tissue = np.zeros((40, 50), np.uint8)
    tissue[3, 4] = 1  # 4 px of the map a px: columns 16..19, rows 12..15
    labels = np.zeros((160, 200), np.uint8)
    labels[100, 190] = 2
    grid = RasterGrid(200, 160, 0.5, 1.0, 1.0)
    with (
        Mask.open(made_slides.write_mask(tmp_path / "t.tif", tissue, 4.0, 2.0)) as inside,
        Mask.open(made_slides.write_mask(tmp_path / "l.tif", labels)) as annotated,
    ):
        found = Wanted(inside, (annotated,)).cells(grid, 8)
    assert np.argwhere(found).tolist() == [[1, 2], [12, 23]]
    assert Wanted(None).cells(grid, 64).shape == (3, 4)
