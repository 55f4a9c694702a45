import made_slides
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.io import resampling
from hooknet.io.resampling import WHOLE_BLOCK, Piece, axis_weights, resample

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


def exact_means(block, step):
    """Means of squares in whole numbers; a half goes to the even neighbour."""
    height, width = block.shape[0] // step, block.shape[1] // step
    sums = block.astype(np.int64).reshape(height, step, width, step, -1).sum(axis=(1, 3))
    whole, rest = np.divmod(sums, step * step)
    up = (2 * rest > step * step) | ((2 * rest == step * step) & (whole % 2 == 1))
    return (whole + up).astype(np.uint8)


@given(
    step=st.sampled_from(resampling.WHOLE_STEPS),
    columns=st.integers(1, 9),
    rows=st.integers(1, 9),
    left=st.integers(0, 3),
    top=st.integers(0, 3),
    near=st.sampled_from([0.0, 1e-10, -1e-10]),
    contrast=st.sampled_from([2, 256]),  # of two grey levels many means are halves
    seed=st.integers(0, 9),
)
def test_whole_steps_give_the_exact_means_and_the_same_as_the_general_way(
    step, columns, rows, left, top, near, contrast, seed
):
    shape = (top + rows * step + 1, left + columns * step + 1, 3)
    block = np.random.default_rng(seed).integers(0, contrast, shape, dtype=np.uint8)
    arguments = (block, (left + near, top - near), (float(step), float(step)), (columns, rows))
    found = resample(*arguments)
    own = block[top : top + rows * step, left : left + columns * step]
    np.testing.assert_array_equal(found, exact_means(own, step))
    general = resampling._weighted_means(*arguments, (WHOLE_BLOCK, WHOLE_BLOCK))
    np.testing.assert_array_equal(found, general)


def test_a_whole_step_beyond_the_block_repeats_its_edge():
    block = np.array([[0, 0, 0, 100], [0, 0, 0, 100]], np.uint8)[..., None]
    assert resample(block, (2.0, 0.0), (2.0, 2.0), (2, 1))[..., 0].tolist() == [[50, 100]]


@given(
    offset=st.tuples(st.floats(-2, 3), st.floats(-2, 3)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 9),
)
def test_a_mere_shift_gives_the_same_as_the_general_way(offset, size, seed):
    block = np.random.default_rng(seed).integers(0, 256, (25, 28, 3), dtype=np.uint8)
    found = resample(block, offset, (1.0, 1.0), size)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resampling, "_shifts", lambda *_: [])
        np.testing.assert_array_equal(found, resample(block, offset, (1.0, 1.0), size))


@pytest.mark.parametrize("step", [0.96, 1.0, 2.06, 7.3])
def test_results_do_not_depend_on_how_many_rows_are_averaged_at_once(step, monkeypatch):
    block = np.random.default_rng(0).integers(0, 256, (160, 90, 3), dtype=np.uint8)
    arguments = (block, (1.3, 2.4), (step, step), (11, 20))
    found = resample(*arguments)
    monkeypatch.setattr(resampling, "BAND", 1)
    np.testing.assert_array_equal(resample(*arguments), found)


@given(
    cut=st.integers(5, 35),
    margin=st.integers(1, 3),
    offset=st.floats(0, 10),
    step=st.one_of(st.just(1.0), st.floats(0.5, 6)),
)
def test_pieces_that_lie_on_one_grid_are_as_good_as_one(cut, margin, offset, step):
    whole = np.random.default_rng(cut).integers(0, 256, (1, 100, 3), dtype=np.uint8)
    count = int(80 / step)
    both = np.concatenate([whole[:, : cut + margin], whole[:, cut - margin :]], axis=1)
    pieces = (
        Piece(0, 0.0, -np.inf, float(cut)),
        Piece(cut + margin, float(cut - margin), float(cut), np.inf),
    )
    found = resample(both, (offset, 0.0), (step, 1.0), (count, 1), (pieces, WHOLE_BLOCK))
    wanted = resample(whole, (offset, 0.0), (step, 1.0), (count, 1))
    # The same weights, added up in another order.
    np.testing.assert_allclose(found.astype(int), wanted, atol=1)
    assert (found == wanted).mean() > 0.99


@given(phase=st.floats(-0.25, 0.25), offset=st.floats(2, 10), step=st.floats(1.1, 6))
def test_each_piece_speaks_from_where_it_really_lies(phase, offset, step):
    # Up to 20 the pixels start at whole numbers, from there on ``phase`` further: areas by hand, part by part.
    one, other = np.random.default_rng(3).integers(0, 256, (2, 60), dtype=np.uint8)
    block = np.concatenate([one[:22], other])[None, :, None]
    pieces = (Piece(0, 0.0, -np.inf, 20.0), Piece(22, 19.0 + phase, 20.0, np.inf))
    count = int(40 / step)
    found = resample(block, (offset, 0.0), (step, 1.0), (count, 1), (pieces, WHOLE_BLOCK))[0, :, 0]
    edges = offset + np.arange(count + 1) * step

    def areas(values, start, low, high):
        at = np.clip(edges, low, high) - start
        total = np.concatenate([[0.0], np.cumsum(values.astype(float))])
        return np.diff(np.interp(at, np.arange(len(total)), total))

    wanted = (areas(one, 0.0, 0.0, 20.0) + areas(other, 19.0 + phase, 20.0, 80.0)) / step
    np.testing.assert_allclose(found, wanted, atol=0.55)
