import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.demo.fields import Lattice, generator, nodes, noise, ramp


def test_a_generator_depends_on_its_parts_and_on_their_borders():
    assert generator(1, "a").integers(2**60) == generator(1, "a").integers(2**60)
    assert generator("ab", "c").integers(2**60) != generator("a", "bc").integers(2**60)


def test_the_first_draw_of_a_generator_never_changes_between_versions():
    assert generator("seed", 1).integers(0, 2**32, 3).tolist() == [2110676490, 3482380340, 546465536]


def test_the_first_node_lies_one_step_before_the_world_and_the_last_beyond_it():
    at = nodes(100.0, 30.0)
    assert at[0] == -30.0
    assert at[-1] >= 100.0 + 30.0


@pytest.mark.parametrize("cubic", [False, True])
def test_a_plane_is_read_back_exactly_at_any_place(cubic):
    at = nodes(64.0, 4.0)
    plane = Lattice(4.0, (2 * at[:, None] + 3 * at[None, :]).astype(np.float32), cubic)
    xs, ys = np.array([0.25, 7.5, 63.9]), np.array([0.1, 31.0])
    np.testing.assert_allclose(plane.on(xs, ys), 2 * ys[:, None] + 3 * xs[None, :], atol=1e-4)


def test_a_linear_lattice_gives_its_nodes_at_its_nodes():
    at = nodes(40.0, 4.0)
    values = np.random.default_rng(0).standard_normal((len(at), len(at))).astype(np.float32)
    inner = at[1:-4]
    np.testing.assert_allclose(Lattice(4.0, values, False).on(inner, inner), values[1:-4, 1:-4], atol=1e-6)


@given(first=st.integers(0, 150), count=st.integers(1, 50), cubic=st.booleans())
def test_a_block_is_the_same_read_alone_or_as_part_of_the_whole(first, count, cubic):
    field = noise(100.0, 7.0, np.random.default_rng(1))
    field = Lattice(field.step, field.values, cubic)
    xs = (np.arange(200) + 0.5) * 0.5
    part = slice(first, first + count)
    np.testing.assert_allclose(field.on(xs[part], xs), field.on(xs, xs)[:, part], atol=1e-5)


@given(first=st.integers(0, 150), count=st.integers(1, 50))
def test_no_value_exceeds_the_highest_around_its_block(first, count):
    field = noise(100.0, 7.0, np.random.default_rng(2))
    xs = (np.arange(200) + 0.5)[first : first + count] * 0.5
    assert field.on(xs, xs).max() <= field.highest(xs, xs) + 1e-5


def test_noise_has_about_zero_mean_and_unit_variance():
    xs = (np.arange(600) + 0.5) * 1.7
    field = noise(1024.0, 9.0, np.random.default_rng(3)).on(xs, xs)
    assert abs(field.mean()) < 0.05
    assert 0.85 < field.std() < 1.15


def test_a_ramp_is_half_way_at_the_outline_and_flat_beyond_half_its_width():
    depth = np.array([-9, -2, -1, 0, 1, 2, 9], dtype=np.float32)
    assert ramp(depth, 4.0).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
