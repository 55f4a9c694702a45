from dataclasses import replace

import numpy as np
import pytest

from hooknet.demo import rendering
from hooknet.demo.rendering import make_scene, paint
from hooknet.demo.tissue import IN_SITU, INVASIVE, LYMPHOID, VALUES, World, make_world

SIZE = 512.0


def picture(world: World, spacing: float = 1.0):
    side = round(world.size_um / spacing)
    rgb, truth = np.zeros((side, side, 3)), np.zeros((side, side), np.uint8)
    for column, row, tile, classes in paint(make_scene(world), side, side, spacing):
        height, width = classes.shape
        rgb[row : row + height, column : column + width] = tile
        truth[row : row + height, column : column + width] = classes
    return rgb, truth


def means(rgb, factor):
    height, width = rgb.shape[0] // factor, rgb.shape[1] // factor
    return (
        rgb[: height * factor, : width * factor].reshape(height, factor, width, factor, -1).mean(axis=(1, 3))
    )


@pytest.fixture(scope="module")
def worlds():
    """One world three times: its invasive sheet as it is, as a duct and as lymphoid tissue."""
    world = make_world(SIZE, "1/a")
    number = next(k for k, region in enumerate(world.regions) if region.kind == INVASIVE)

    def with_kind(kind):
        regions = list(world.regions)
        regions[number] = replace(regions[number], kind=kind)
        return replace(world, regions=tuple(regions))

    return {kind: with_kind(kind) for kind in (INVASIVE, IN_SITU, LYMPHOID)}


@pytest.fixture(scope="module")
def pictures(worlds):
    return {kind: picture(world)[0] for kind, world in worlds.items()}


@pytest.fixture(scope="module")
def depth(worlds):
    centres = np.arange(SIZE) + 0.5
    return worlds[INVASIVE].of(INVASIVE)[0].outline.depth(centres[None, :], centres[:, None])


def test_inside_a_sheet_a_duct_and_an_invasive_growth_are_the_same_pixels(pictures, depth):
    inside = depth > 5
    assert inside.sum() > 10_000
    np.testing.assert_array_equal(pictures[IN_SITU][inside], pictures[INVASIVE][inside])


def test_only_the_wall_of_a_duct_differs_and_it_differs_clearly(pictures, depth):
    band = (depth < -10) & (depth > -20)
    difference = np.abs(pictures[IN_SITU] - pictures[INVASIVE])
    assert difference[band].mean() > 20
    assert difference[depth < -60].mean() < 0.5


def test_at_eight_micrometres_invasive_and_lymphoid_are_the_same_colours(pictures, depth):
    inside = means(depth, 8)[..., 0] > 14
    one, other = (means(pictures[kind], 8)[inside] for kind in (INVASIVE, LYMPHOID))
    np.testing.assert_allclose(one.mean(axis=0), other.mean(axis=0), atol=0.5)
    np.testing.assert_allclose(one.std(axis=0), other.std(axis=0), rtol=0.06)
    assert np.sqrt(((one - other) ** 2).mean()) < 2.5


def test_at_one_micrometre_invasive_and_lymphoid_differ_in_texture(pictures, depth):
    inside = depth > 10
    one, other = (pictures[kind][inside].std(axis=0) for kind in (INVASIVE, LYMPHOID))
    assert (one > 1.15 * other).all()


def test_a_slide_has_no_seams_between_its_tiles(monkeypatch):
    world = make_world(SIZE, "1/b")
    whole, truth = picture(world)
    monkeypatch.setattr(rendering, "_TILE", 96)
    tiled, tiled_truth = picture(world)
    np.testing.assert_array_equal(tiled_truth, truth)
    # Only the noise of the camera differs: 1.6 grey levels, twice.
    difference = np.abs(tiled - whole)
    assert difference.max() < 16
    assert difference.mean() < 2.0


def test_one_world_is_the_same_tissue_at_another_spacing():
    world = make_world(400.0, "1/a")
    coarse, truth = picture(world, 1.0)
    fine, fine_truth = picture(world, 0.5)
    assert np.abs(means(fine, 2) - coarse).mean() < 5
    assert np.abs(means(fine, 8) - means(coarse, 4)).mean() < 0.6
    assert (fine_truth[::2, ::2] == truth).mean() > 0.99


def test_truth_follows_the_outlines_and_leaves_out_glass_and_vessels(worlds, depth):
    world = worlds[INVASIVE]
    _, truth = picture(world)
    assert set(np.unique(truth)) == {0, *VALUES.values()}
    assert (truth[depth > 1] == VALUES[INVASIVE]).all()
    assert truth[0, 0] == 0
    vessel = world.of("vessel")[0].outline
    assert truth[int(vessel.y), int(vessel.x)] == 0
    assert (truth[(depth < -1) & (depth > -4)] == VALUES["stroma"]).all()


def test_the_wall_of_a_duct_is_stroma_in_the_truth(worlds, depth):
    _, truth = picture(worlds[IN_SITU])
    assert (truth[depth > 1] == VALUES[IN_SITU]).all()
    assert (truth[(depth < -1) & (depth > -8)] == VALUES["stroma"]).all()


def test_glass_is_whiter_than_any_tissue():
    rgb, truth = picture(make_world(400.0, "1/a"))
    glass = rgb[:6].reshape(-1, 3)
    assert (glass.mean(axis=0) > 235).all()
    assert (rgb[truth > 0].mean(axis=0) < 225).all()
