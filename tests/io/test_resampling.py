import made_slides
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.io.resampling import axis_weights, resample

ROW = np.array([[[10], [20], [40], [80]]], np.uint8)  # (1, 4, 1)


def resampled(offset, step, count, block=ROW):
    return resample(block, (offset, 0.0), (step, 1.0), (count, 1))[0, :, 0].tolist()


def test_a_step_of_two_averages_pairs():
    assert resampled(0.0, 2.0, 2) == [15, 60]


def test_a_pixel_that_covers_parts_weighs_them_by_area():
    # [0.5, 2.0): half of 10, all of 20, over 1.5.
    assert resampled(0.5, 1.5, 1) == [round((0.5 * 10 + 20) / 1.5)]


def test_a_shift_by_half_a_pixel_averages_neighbours():
    assert resampled(0.5, 1.0, 3) == [15, 30, 60]


def test_a_step_below_one_interpolates_between_pixel_centres():
    # Centres at 0.25, 0.75, 1.25, 1.75: 10 (the edge goes on), 12.5, 17.5, 25.
    assert resampled(0.0, 0.5, 4) == [10, 12, 18, 25]


def test_the_edge_goes_on_beyond_the_block():
    assert resampled(-2.0, 1.0, 8) == [10, 10, 10, 20, 40, 80, 80, 80]
    assert resampled(-4.0, 4.0, 3) == [10, 38, 80]


def test_rounding_happens_once_at_the_end():
    # Rows and columns of 2: rounded in between, 0.5 -> 0 and 0.5 -> 0 would give 0 instead of 1.
    block = np.array([[[0], [1]], [[1], [1]]], np.uint8)
    assert resample(block, (0.0, 0.0), (2.0, 2.0), (1, 1)).tolist() == [[[1]]]


def test_equal_grids_are_copied_and_not_computed():
    block = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resample(block, (2.0, 3.0), (1.0, 1.0), (5, 4)), block[3:7, 2:7])


def test_a_step_that_is_nearly_one_does_not_drift():
    # 1.00009 over 5000 px is 0.45 px at the end: grids so close are the same only for a few pixels.
    count = 5000
    block = made_slides.wave(count + 2, 120)[None, :, None]
    for step in (1.00009, 0.99992):
        found = resample(block, (0.0, 0.0), (step, 1.0), (count, 1))[0, :, 0]
        edges = np.arange(count + 1) * step
        wanted = made_slides.area_means(block[0, :, 0], edges)
        np.testing.assert_allclose(found[:-1], wanted[:-1], atol=0.55)


@given(
    length=st.integers(1, 60),
    offset=st.floats(-20, 60),
    step=st.floats(0.3, 20),
    count=st.integers(1, 40),
)
def test_weights_of_every_pixel_add_up_to_one_and_none_is_negative(length, offset, step, count):
    weights = axis_weights(length, offset, step, count).toarray()
    assert weights.shape == (count, length)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-5)
    assert weights.min() >= -1e-7


@given(offset=st.floats(0, 30), step=st.floats(1, 9), count=st.integers(1, 8), seed=st.integers(0, 9))
def test_area_averages_equal_the_integral_over_each_pixel(offset, step, count, seed):
    length = 110
    block = np.random.default_rng(seed).integers(0, 256, (1, length, 1), dtype=np.uint8)
    found = resample(block, (offset, 0.0), (step, 1.0), (count, 1))[0, :, 0]
    wanted = made_slides.area_means(block[0, :, 0], offset + np.arange(count + 1) * step)
    # 0.5 for the rounding; a sliver under 1e-4 px is dropped.
    np.testing.assert_allclose(found, wanted, atol=0.55)


@pytest.mark.parametrize("step", [0.7, 1.0, 1.3, 5.0])
def test_channels_rows_and_columns_do_not_mix(step):
    block = np.zeros((12, 12, 3), np.uint8)
    block[..., 0] = np.arange(12) * 20
    block[..., 1] = (np.arange(12) * 20)[:, None]
    block[..., 2] = 7
    found = resample(block, (1.2, 0.4), (step, step), (2, 2))
    assert (found[0, :, 0] == found[1, :, 0]).all()
    assert (found[:, 0, 1] == found[:, 1, 1]).all()
    assert (found[..., 2] == 7).all()
    centres = [(1.2 + (n + 0.5) * step - 0.5) * 20 for n in range(2)]
    np.testing.assert_allclose(found[0, :, 0], centres, atol=1.5)
