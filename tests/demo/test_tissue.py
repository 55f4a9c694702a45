from itertools import combinations
from math import pi

import numpy as np
import pytest

from hooknet.demo.tissue import (
    FAT,
    IN_SITU,
    INVASIVE,
    LYMPHOID,
    SHEETS,
    VESSEL,
    WALL,
    Outline,
    depth_field,
    make_world,
)
from hooknet.errors import ConfigError


def test_the_depth_of_a_circle_is_its_radius_less_the_distance_to_its_centre():
    circle = Outline(10.0, 20.0, 5.0, ())
    np.testing.assert_allclose(
        circle.depth(np.array([10.0, 13.0, 18.0]), np.array([20.0, 24.0, 20.0])), [5, 0, -3]
    )


def test_points_of_an_outline_lie_at_depth_zero_and_inset_points_inside():
    outline = Outline(0.0, 0.0, 100.0, ((2, 0.1, 0.3), (5, 0.05, 1.0)), squared=True)
    for inset in (0.0, 4.0):
        x, y = outline.points(50, inset).T
        np.testing.assert_allclose(outline.depth(x, y), inset, atol=1e-9)


def test_a_depth_field_is_the_depth_in_the_nearest_outline():
    one, other = Outline(100.0, 100.0, 40.0, ()), Outline(220.0, 100.0, 40.0, ())
    field = depth_field(320.0, [one, other])
    found = field.on(np.array([100.0, 160.0, 220.0]), np.array([120.0]))[0]
    np.testing.assert_allclose(found, [20.0, 40 - np.hypot(60, 20), 20.0], atol=0.2)


@pytest.mark.parametrize("key", ["1/a", "1/b", "2/a"])
@pytest.mark.parametrize("size", [512.0, 2048.0])
def test_regions_with_their_walls_lie_in_the_tissue_and_apart_from_each_other(size, key):
    world = make_world(size, key)
    rims = []
    for region in world.regions:
        rims.append(region.outline.points(180, inset=-WALL if region.kind == IN_SITU else 0.0))
        assert world.tissue.depth(*rims[-1].T).min() > 0
    for one, other in combinations(rims, 2):
        assert np.hypot(*(one[:, None] - other[None]).T).min() > 4.0


def test_a_slide_of_full_size_holds_ducts_wide_enough_to_hide_their_walls():
    # Valid convolutions of depth 3 see 51 µm around a pixel of 1 µm.
    for key in ("1/a", "1/b", "1/c"):
        world = make_world(2048.0, key)
        assert [len(world.of(kind)) for kind in (*SHEETS, FAT, VESSEL)] == [3, 3, 2, 2, 1]
        radii = {kind: [region.outline.radius for region in world.of(kind)] for kind in SHEETS}
        assert 165 < min(radii[IN_SITU]) < max(radii[IN_SITU]) < 240
        for kind in (INVASIVE, LYMPHOID):
            assert abs(np.mean(radii[kind]) - np.mean(radii[IN_SITU])) < 15


def test_tissue_covers_about_seventy_per_cent_of_a_slide():
    angle = np.linspace(0, 2 * pi, 3600, endpoint=False)
    for key in ("1/a", "1/b"):
        reach = make_world(2048.0, key).tissue.reach(angle)
        assert 0.66 < (reach**2).mean() * pi / 2048.0**2 < 0.76


def test_a_world_depends_on_its_key_only():
    assert make_world(700.0, "1/a") == make_world(700.0, "1/a")
    assert make_world(700.0, "1/a") != make_world(700.0, "1/b")


def test_a_slide_too_small_for_five_classes_is_refused():
    with pytest.raises(ConfigError, match=r"^phantom 1/a: size_um 300 found, at least 400 wanted"):
        make_world(300.0, "1/a")
