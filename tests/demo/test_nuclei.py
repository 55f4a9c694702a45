import numpy as np
from scipy.spatial import cKDTree

from hooknet.demo.nuclei import BINS, EDGE, RADIUS, SOLID, VESICULAR, make_nuclei, profiles
from hooknet.demo.rendering import make_scene
from hooknet.demo.tissue import IN_SITU, INVASIVE, LYMPHOID, SHEETS, WALL, make_world

SQUARED = (np.arange(BINS) + 0.5) / BINS * EDGE**2


def test_both_textures_have_the_same_integral_and_the_same_second_moment():
    _, dark = profiles()
    # Equal steps of the squared radius are rings of equal area.
    np.testing.assert_allclose(dark[VESICULAR].sum(), dark[SOLID].sum(), rtol=1e-4)
    np.testing.assert_allclose((dark[VESICULAR] * SQUARED).sum(), (dark[SOLID] * SQUARED).sum(), rtol=1e-4)


def test_a_vesicular_nucleus_has_a_dark_dot_a_pale_body_and_a_dark_rim_and_a_solid_one_is_even():
    cover, dark = profiles()
    rho = np.sqrt(SQUARED)
    share = dark / np.maximum(cover, 1e-6)
    dot, body, rim = (share[VESICULAR][np.searchsorted(rho, at)] for at in (0.05, 0.55, 0.9))
    assert dot > 0.9
    assert body < 0.15
    assert rim > 0.4
    inside = share[SOLID][cover > 0.01]
    assert inside.max() - inside.min() < 1e-5


def test_coverage_falls_from_one_to_nothing_before_the_edge():
    cover, _ = profiles()
    assert cover[0] == 1
    assert cover[-1] == 0
    assert (np.diff(cover) <= 0).all()


def test_every_sheet_has_the_same_density_and_size_of_nuclei_and_its_own_texture():
    world = make_world(1024.0, "1/a")
    nuclei = make_scene(world).nuclei
    density, radius = {}, {}
    for kind in SHEETS:
        outline = world.of(kind)[0].outline
        inside = outline.depth(nuclei.x, nuclei.y) > 20.0
        angle = np.linspace(0, 2 * np.pi, 3600, endpoint=False)
        density[kind] = inside.sum() / (np.pi * ((outline.reach(angle) - 20.0) ** 2).mean())
        radius[kind] = np.sqrt(nuclei.long * nuclei.short)[inside].mean()
        assert set(nuclei.texture[inside]) == {SOLID if kind == LYMPHOID else VESICULAR}
    for kind in (INVASIVE, LYMPHOID):
        assert abs(density[kind] / density[IN_SITU] - 1) < 0.06
        assert abs(radius[kind] - radius[IN_SITU]) < 0.04 * RADIUS


def test_nuclei_stay_inside_their_sheet_and_spindles_outside_of_all_walls():
    world = make_world(700.0, "1/a")
    nuclei = make_nuclei(world, make_scene(world).fibres)
    round_ones = nuclei.short > 0.6 * RADIUS
    depth = np.max([region.outline.depth(nuclei.x, nuclei.y) for region in world.regions], axis=0)
    assert depth[round_ones].min() > RADIUS
    duct = world.of(IN_SITU)[0].outline
    assert duct.depth(nuclei.x, nuclei.y)[~round_ones].max() < -WALL


def test_hardly_any_nuclei_of_a_sheet_lie_over_each_other():
    world = make_world(700.0, "1/a")
    nuclei = make_scene(world).nuclei
    some = nuclei.take(nuclei.short > 0.6 * RADIUS)
    distance = cKDTree(np.column_stack([some.x, some.y])).query(np.column_stack([some.x, some.y]), k=2)[0][
        :, 1
    ]
    assert (distance < 1.6 * RADIUS).mean() < 0.02
