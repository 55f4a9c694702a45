import numpy as np
import pytest

from hooknet.data.augment.numbers import (
    ELASTIC_LIMIT,
    UNIFORM,
    AugmentNumbers,
    draw_numbers,
    field_layout,
    label_margin,
)

LAYOUT = AugmentNumbers(6, 100.0)


def test_numbers_depend_on_seed_and_draw_only():
    one, other = draw_numbers(LAYOUT, 1, 7), draw_numbers(LAYOUT, 1, 7)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    for seed, draw in ((2, 7), (1, 8)):
        assert not np.array_equal(one[0], draw_numbers(LAYOUT, seed, draw)[0])


def test_numbers_are_uniform_and_the_field_normal_but_cut():
    drawn = [draw_numbers(LAYOUT, 1, draw) for draw in range(500)]
    uniform, field = np.stack([one[0] for one in drawn]), np.stack([one[1] for one in drawn])
    assert uniform.shape == (500, UNIFORM)
    assert field.shape == (500, 2, 6, 6)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    np.testing.assert_allclose(uniform.mean(axis=0), 0.5, atol=0.06)
    assert np.abs(field).max() == ELASTIC_LIMIT
    assert field.std() == pytest.approx(1, abs=0.03)
    assert field.mean() == pytest.approx(0, abs=0.03)


def test_no_layout_draws_nothing():
    uniform, field = draw_numbers(None, 1, 1)
    assert (uniform.size, field.size) == (0, 0)


@pytest.mark.parametrize(("widest", "scale"), [(142.0, 60.0), (2272.0, 60.0), (60.0, 60.0), (30.0, 200.0)])
def test_nodes_are_at_most_the_scale_apart_and_reach_beyond_the_widest_view(widest, scale):
    layout = field_layout(widest, scale)
    apart = layout.extent_um / (layout.nodes - 1)
    assert apart <= scale + 1e-9
    assert (layout.extent_um - widest) / 2 == pytest.approx(apart)


def test_the_number_of_nodes_is_bounded():
    layout = field_layout(10_000.0, 1.0)
    assert layout.nodes == 96
    assert layout.extent_um > 10_000


def test_the_margin_holds_the_largest_displacement():
    assert label_margin(3.0, 0.5) == 16  # 7.5 µm are 15 px
    assert label_margin(3.0, 8.0) == 2
    assert label_margin(0.0, 0.5) == 0
