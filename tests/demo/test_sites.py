"""Sites: each cue is seen by the views that are to see it, and by no other."""

from itertools import product

import numpy as np
import pytest
from PIL import Image

from hooknet.demo import sites
from hooknet.demo.cohort import PhantomSettings, make_slide
from hooknet.errors import ConfigError
from hooknet.io.asap import read_asap
from hooknet.shapes.hooknet import HookNetSettings

SIZE = 2048.0


@pytest.fixture(scope="module")
def slide():
    return sites.make_sites(SIZE, "1/a")


@pytest.fixture(scope="module")
def grey(slide):
    return sites.paint_sites(slide, 1.0).astype(float).mean(axis=-1)


def averaged(grey, factor):
    """What is seen at ``factor`` µm/px."""
    side = grey.shape[0] // factor * factor
    return grey[:side, :side].reshape(side // factor, factor, -1, factor).mean(axis=(1, 3))


def ring(one, factor):
    """Which px of a view lie wholly in the ring of a site."""
    at = (np.arange(int(SIZE) // factor) + 0.5) * factor
    distance = np.hypot(*np.meshgrid(at - one.x, at - one.y))
    return (distance > sites.RING[0] + factor) & (distance < sites.RING[1] - factor)


def contrast(grey, one, factor):
    """Mean difference of neighbouring px in the annotated part: grain."""
    view = averaged(grey, factor)
    x, y, half = int(one.x / factor), int(one.y / factor), int(40 / factor)
    part = view[y - half : y + half, x - half : x + half]
    return np.abs(np.diff(part, axis=1)).mean()


def test_half_of_the_sites_have_each_cue(slide):
    assert len(slide.sites) == 4
    assert sum(one.grained for one in slide.sites) == 2
    assert sum(one.ringed for one in slide.sites) == 2


def test_grain_is_seen_at_1_and_not_at_4(slide, grey):
    fine = {one.grained: contrast(grey, one, 1) for one in slide.sites}
    coarse = {one.grained: contrast(grey, one, 4) for one in slide.sites}
    assert fine[True] > 4 * fine[False]
    assert coarse[True] < 1.3 * coarse[False]


def test_rings_are_seen_at_4_and_not_at_16(slide, grey):
    """At 4 µm/px a checker of 8 µm has squares of two px; at 16 each px has as many bright as dark ones."""
    spread = {one.ringed: averaged(grey, 4)[ring(one, 4)].std() for one in slide.sites}
    assert spread[True] > 2 * spread[False]
    blurred = {one.ringed: averaged(grey, 16)[ring(one, 16)] for one in slide.sites}
    assert all(len(one) == 0 for one in blurred.values()), "no px of 16 µm lies wholly in a ring of 28"
    at = np.arange(int(SIZE)) + 0.5
    for one in slide.sites:
        distance = np.hypot(*np.meshgrid(at - one.x, at - one.y))
        inside = grey[(distance > sites.RING[0]) & (distance < sites.RING[1])].mean()
        around = grey[(distance > sites.RING[1]) & (distance < sites.RING[1] + 20)].mean()
        assert inside == pytest.approx(around, abs=4)


def test_no_cue_reaches_into_a_view_that_is_not_to_see_it():
    """A U-Net of depth 4 sees as far as its rim: from the annotated part not to the ring, nor the surroundings."""
    shape = HookNetSettings(spacings=(1.0,), classes=2, patch_size=252, filters=1, depth=4).shape
    reach = (252 - shape.output_size()) / 2
    assert reach == 107
    assert sites.ANNOTATED + reach < sites.RING[0]
    furthest = sites.PITCH / 2 + 2 + sites.ANNOTATED
    assert furthest + 4 * reach < sites.SURROUNDINGS + 1
    # And what is to be seen is within reach.
    assert sites.RING[1] < 4 * reach
    assert sites.SURROUNDINGS + furthest < 16 * reach


def test_surroundings_are_dark_or_pale():
    means = {}
    for number in range(8):
        one = sites.make_sites(SIZE, f"1/{number}")
        means.setdefault(one.dark, []).append(sites.paint_sites(one, 8.0)[:20].mean())
    assert set(means) == {True, False}
    assert max(means[True]) < min(means[False]) - 30


@pytest.mark.parametrize("context", list(sites.VIEWS))
def test_classes_are_named_by_the_cues_of_the_context_alone(context):
    named = {}
    for grained, ringed, dark in product((False, True), repeat=3):
        one = sites.Site(0.0, 0.0, grained, ringed)
        named[grained, ringed, dark] = sites.class_of(one, dark, context)
    assert set(named.values()) == set(sites.CLASSES[context])
    near, far = context in ("near", "both"), context in ("far", "both")
    changed = {
        "ring": any(named[g, True, d] != named[g, False, d] for g, d in product((False, True), repeat=2)),
        "surroundings": any(
            named[g, r, True] != named[g, r, False] for g, r in product((False, True), repeat=2)
        ),
    }
    assert changed == {"ring": near, "surroundings": far}
    assert all(named[True, r, d] != named[False, r, d] for r, d in product((False, True), repeat=2))


def test_pixels_are_the_same_whatever_names_the_classes(tmp_path):
    for context in ("near", "far"):
        folder = tmp_path / context
        folder.mkdir()
        settings = PhantomSettings(2000.0, 2.0, 1, context)
        make_slide("s1", settings, folder / "s.tif", folder / "s.xml", folder / "s.png")
    assert (tmp_path / "near" / "s.tif").read_bytes() == (tmp_path / "far" / "s.tif").read_bytes()
    near, far = (np.asarray(Image.open(tmp_path / one / "s.png")) for one in ("near", "far"))
    assert ((near > 0) == (far > 0)).all()
    assert (near != far).any()


def test_annotations_are_circles_of_the_class_of_their_site(tmp_path):
    settings = PhantomSettings(2000.0, 2.0, 1, "near")
    make_slide("s1", settings, tmp_path / "s.tif", tmp_path / "s.xml", tmp_path / "s.png")
    found = read_asap(tmp_path / "s.xml")
    drawn = sites.make_sites(2000.0, "1/s1")
    assert len(found) == 4
    for annotation, one in zip(found, drawn.sites, strict=True):
        assert annotation.groups[0] == sites.class_of(one, drawn.dark, "near")
        x, y = np.asarray(annotation.points, float).T * 2.0
        assert np.hypot(x - one.x, y - one.y) == pytest.approx(sites.ANNOTATED, abs=1e-3)


def test_a_slide_too_small_for_its_surroundings_is_refused():
    with pytest.raises(ConfigError, match="size_um 1000 found, 2000 or more wanted"):
        sites.make_sites(1000.0, "1/a")
