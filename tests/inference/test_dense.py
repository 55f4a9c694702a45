"""What is written is where the slide has it, whatever the tiles: seen through networks of known weights."""

import threading
import time
from dataclasses import replace

import made_networks
import made_slides
import numpy as np
import pytest
import torch
from made_maps import planned, segmented

from hooknet.inference import dense
from hooknet.inference.canvas import Canvas
from hooknet.inference.dense import Canvases, elsewhere, segment, views_of
from hooknet.inference.engines import TorchEngine
from hooknet.inference.regions import Wanted
from hooknet.io import supertiles
from hooknet.io.masks import Mask
from hooknet.io.patches import read_views
from hooknet.io.slides import Slide
from hooknet.shapes.tiles import Tile, stride_unit


@pytest.mark.parametrize(("depth", "patch"), [(1, 26), (2, 30), (3, 62)])
@pytest.mark.parametrize("at_most", [10, 100, 300])
def test_a_map_of_the_target_view_is_the_slide_pixel_by_pixel(noise_slide, depth, patch, at_most):
    path, bits = noise_slide
    network = made_networks.looking_at(0, (0.5, 0.5 * 2**depth), depth, patch)
    found = segmented(network, Slide(path, made_slides.square(0.5)), at_most)
    np.testing.assert_array_equal(found, bits + 1)


@pytest.mark.parametrize(("depth", "patch"), [(1, 14), (2, 38), (3, 94)])
@pytest.mark.parametrize("at_most", [64, 250])
def test_a_map_of_the_context_view_is_the_slide_pixel_by_pixel(tmp_path, depth, patch, at_most):
    # Context px are 2^depth target px wide; the slide is made of such squares.
    ratio = 2**depth
    bits = made_slides.random_bits(-(-150 // ratio), -(-211 // ratio), seed=6)
    coarse = np.kron(bits, np.ones((ratio, ratio), np.uint8))
    slide = Slide(
        made_slides.write_slide(tmp_path / "s.tif", made_slides.grey(coarse * 255)), made_slides.square(0.5)
    )
    network = made_networks.looking_at(1, (0.5, 0.5 * ratio), depth, patch)
    found = segmented(network, slide, at_most)
    np.testing.assert_array_equal(found, coarse + 1)


@pytest.mark.parametrize("at_most", [10, 100, 300])
def test_an_mrn_map_of_the_target_view_is_the_slide_pixel_by_pixel(noise_slide, at_most):
    path, bits = noise_slide
    network = made_networks.mrn_looking_at(0, (0.5, 2.0), 2, 32)
    found = segmented(network, Slide(path, made_slides.square(0.5)), at_most)
    np.testing.assert_array_equal(found, bits + 1)


@pytest.mark.parametrize("ratio", [2, 8])
@pytest.mark.parametrize("across", [False, True])
def test_an_mrn_map_of_the_context_view_has_its_borders_where_the_slide_has(tmp_path, ratio, across):
    # Stripes as wide as a context px: interpolated, they cross a half where they meet.
    stripes = np.kron(made_slides.random_bits(1, -(-240 // ratio), seed=6), np.ones((180, ratio), np.uint8))
    image = np.ascontiguousarray(stripes.T if across else stripes)
    slide = Slide(
        made_slides.write_slide(tmp_path / "s.tif", made_slides.grey(image * 255)), made_slides.square(0.5)
    )
    network = made_networks.mrn_looking_at(1, (0.5, 0.5 * ratio), 2, 32)
    found = segmented(network, slide, 100)
    inner = (slice(ratio, -ratio), slice(ratio, -ratio))  # the glass outside the slide bends its border
    np.testing.assert_array_equal(found[inner], image[inner] + 1)


@pytest.mark.parametrize(
    ("place", "length", "kept", "wanted"),
    [(0, 2048, 576, 1024), (576, 2048, 576, 1600), (1152, 2048, 576, 288), (2304, 2048, 576, 1280),
     (1000, 2048, 576, 1760), (100, 300, 400, 150)],
)  # fmt: skip
def test_elsewhere_is_half_a_slide_away_and_on_the_slide(place, length, kept, wanted):
    assert elsewhere(place, length, kept) == wanted


@pytest.mark.parametrize(("depth", "patch"), [(1, 14), (2, 38)])
def test_a_shuffled_context_is_that_of_a_tile_elsewhere(tmp_path, depth, patch):
    # Squares as large as a context px, and half a slide is a multiple of it.
    ratio = 2**depth
    bits = made_slides.random_bits(40, 56, seed=7)
    coarse = np.kron(bits, np.ones((ratio, ratio), np.uint8))
    path = made_slides.write_slide(tmp_path / "s.tif", made_slides.grey(coarse * 255))
    slide = Slide(path, made_slides.square(0.5))
    network = made_networks.looking_at(1, (0.5, 0.5 * ratio), depth, patch)
    found = segmented(network, slide, 64, shuffle_context=True)
    height, width = coarse.shape
    plan, wanted = planned(network, slide, 64).plan, np.zeros((height + 400, width + 400), np.uint8)
    stride, half = plan.tile.stride, plan.tile.stride // 2
    for left, top in plan.places:
        x = int(elsewhere(left + half, width, stride))
        y = int(elsewhere(top + half, height, stride))
        there = coarse[y - half : y + half, x - half : x + half]
        assert there.shape == (stride, stride)  # nothing from beside the slide
        wanted[200 + top : 200 + top + stride, 200 + left : 200 + left + stride] = there
    np.testing.assert_array_equal(found, wanted[200 : 200 + height, 200 : 200 + width] + 1)
    assert 0.4 < (found == coarse + 1).mean() < 0.6  # two slides of random squares agree on a half
    np.testing.assert_array_equal(segmented(network, slide, 64), coarse + 1)


def test_a_shuffled_context_leaves_the_target_in_its_place(noise_slide):
    path, bits = noise_slide
    network = made_networks.looking_at(0, (0.5, 2.0), 2, 38)
    found = segmented(network, Slide(path, made_slides.square(0.5)), 64, shuffle_context=True)
    np.testing.assert_array_equal(found, bits + 1)


@pytest.mark.parametrize(
    ("spacing", "target", "levels"),
    [
        (0.25, 0.5, ()),
        (0.25, 1.0, (4,)),
        (0.2277, 0.5, ()),
        (0.2277, 1.0, (4,)),
        (0.499, 0.5, ()),
        (0.25, 0.33, ()),
    ],
)
def test_a_map_at_any_spacing_lies_on_the_tissue(tmp_path, spacing, target, levels):
    # Discs and bars, sharp at level 0; truth is their share of each map pixel.
    y, x = np.mgrid[:423, :507] + 0.5
    dark = ((x - 150) ** 2 + (y - 130) ** 2 < 70**2) | ((x > 330) & (x < 341)) | ((y > 301) & (y < 350))
    image = made_slides.grey(np.where(dark, 0, 255))
    made = tuple(made_slides.reduced(image, factor) for factor in levels)
    slide = Slide(made_slides.write_slide(tmp_path / "s.tif", image, made), made_slides.square(spacing))
    network = made_networks.looking_at(0, (target,), 2, 30)
    found = segmented(network, slide, 120)
    grid = slide.grid(target)
    edges = np.arange(grid.width + 1) * grid.step_x, np.arange(grid.height + 1) * grid.step_y
    share = made_slides.area_image(image, *edges)[..., 0] / 255
    # Coarser levels are themselves rounded, and cells of theirs are covered in part.
    clear = np.abs(share - 0.5) > (0.26 if levels else 0.004)
    if levels:
        clear[-3:] = clear[:, -3:] = False
    np.testing.assert_array_equal((found == 2)[clear], (share > 0.5)[clear])
    assert clear.mean() > 0.9
    assert 0.1 < (found == 1).mean() < 0.9


@pytest.mark.parametrize(
    ("spacings", "depth", "patch", "more"),
    [
        ((0.5,), 2, 34, {}),
        ((0.5,), 2, 52, {"convolutions": 2}),
        ((0.5, 1.0), 2, 38, {}),
        ((0.5, 4.0), 3, 78, {}),
        ((0.5, 1.0, 4.0), 2, 38, {"merge": "add"}),
        ((0.5, 1.0), 2, 38, {"merge": "attention", "window": 3}),
        ((0.5, 1.0, 4.0), 2, 38, {"merge": "attention", "window": 3}),
        ((0.5, 1.0), 2, 32, {"model": "mrn"}),
        ((0.5, 2.0, 4.0), 2, 32, {"model": "mrn"}),
    ],
)
def test_no_tile_size_shows_in_the_map(noise_slide, spacings, depth, patch, more):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.random_network(spacings, depth, patch, **more)
    found = [segmented(network, slide, at_most, bands=3) for at_most in (1, patch + 40, 260)]
    strides = {planned(network, slide, at_most).plan.tile.stride for at_most in (1, patch + 40, 260)}
    assert len(strides) >= 2
    for labels, shares in found[1:]:
        # Sums in another order differ in the last bits: a byte of probability may round the other way.
        assert np.abs(shares.astype(int) - found[0][1]).max() <= 1
        assert (labels != found[0][0]).mean() < 1e-3
    assert found[0][1][0].std() > 1  # the noise of the slide does reach the map


@pytest.mark.parametrize(
    ("spacings", "depth", "more"),
    [((0.5, 1.0), 2, {}), ((0.5,), 2, {}), ((0.5, 1.0), 2, {"merge": "attention", "window": 3})],
)
def test_the_map_is_that_of_one_forward_pass_over_one_big_patch(noise_slide, spacings, depth, more):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.random_network(spacings, depth, 38, **more)
    found, shares = segmented(network, slide, 60, bands=3)
    size = 38 + 16 * 16  # larger than the slide
    x, y = 104.0, 72.0  # a multiple of the stride unit, so that the pooling grid is the same
    assert x % stride_unit(spacings, depth) == y % stride_unit(spacings, depth) == 0
    views = read_views(slide, x, y, replace(network.patch_spec, size=size))
    with torch.inference_mode():
        inputs = [torch.from_numpy(view).permute(2, 0, 1)[None].float() / 255 for view in views]
        wanted = torch.softmax(network(inputs)[0][0], dim=0).numpy()
    side = wanted.shape[-1]
    left, top = int(x) - side // 2, int(y) - side // 2
    assert left <= 0
    assert top <= 0
    cut = wanted[:, -top : -top + 150, -left : -left + 211]
    np.testing.assert_allclose(shares / 255, cut, atol=0.0025)
    clear = np.sort(cut, axis=0)[-1] - np.sort(cut, axis=0)[-2] > 1e-4
    np.testing.assert_array_equal(found[clear], cut.argmax(axis=0)[clear] + 1)


def test_a_pyramid_whose_levels_drop_odd_rows_shows_no_tile_either(tmp_path):
    # OpenSlide interpolates such levels by where a read starts: blocks start at their own places, whatever the tile.
    image = made_slides.coordinates_image(811, 603, 60)
    level = made_slides.reduced(image, 4)
    slide = Slide(made_slides.write_slide(tmp_path / "s.tif", image, (level,)), made_slides.square(0.25))
    network = made_networks.random_network((1.0, 2.0), 2, 38)
    one, other = (segmented(network, slide, at_most, bands=3)[1].astype(int) for at_most in (1, 400))
    assert np.abs(one - other).max() <= 1
    assert one.std() > 1


def test_only_wanted_pixels_are_predicted_and_only_tiles_that_hold_some_are_read(
    noise_slide, tmp_path, monkeypatch
):
    path, bits = noise_slide
    tissue = np.zeros((150, 211), np.uint8)
    tissue[70:80, 100:103] = 1
    slide = Slide(path, made_slides.square(0.5))
    reads = []
    read = Slide.read
    monkeypatch.setattr(Slide, "read", lambda self, *a: reads.append(a) or read(self, *a))
    with Mask.open(made_slides.write_mask(tmp_path / "t.tif", tissue)) as mask:
        found, shares = segmented(
            made_networks.looking_at(0, (0.5,), 2, 30), slide, 40, Wanted(mask), bands=2
        )
    np.testing.assert_array_equal(found, np.where(tissue > 0, bits + 1, 0))
    assert not shares[:, tissue == 0].any()
    assert len(reads) <= 9


def test_probabilities_are_bytes_of_the_softmax(noise_slide):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.looking_at(0, (0.5,), 2, 30)
    found, shares = segmented(network, slide, 64, bands=2)
    likely = round(255 / (1 + np.exp(-1.0)))  # logits are half apart from 0: a difference of 1
    np.testing.assert_array_equal(shares[1], np.where(found == 2, likely, 255 - likely))


def test_the_middle_of_a_tile_is_predicted():
    network = made_networks.looking_at(0, (0.5,), 1, 12)
    view = np.zeros((40, 40, 3), np.uint8)
    view[18, 23] = 255
    found = TorchEngine(network, Tile((40,), 16), True, "fp32").start([view], logits=True)()
    assert found.labels.shape == (16, 16)
    assert np.argwhere(found.labels == 2).tolist() == [[6, 11]]  # 12 px are left out on each side
    np.testing.assert_array_equal(found.logits.argmax(axis=0) + 1, found.labels)
    np.testing.assert_array_equal(found.shares.argmax(axis=0) + 1, found.labels)


def test_progress_is_told_tile_by_tile(noise_slide):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network, told = made_networks.looking_at(0, (0.5,), 2, 30), []
    work = planned(network, slide, 64)
    canvas = Canvas(211, 150, 1, lambda *_: None)
    engine = TorchEngine(network, work.plan.tile, False, "fp32")
    segment(work, engine, Canvases(canvas), lambda *a: told.append(a))
    assert told == [(number + 1, len(told)) for number in range(len(told))]
    assert len(told) == len(work.plan.places) > 3


def test_views_of_a_tile_are_concentric_patches(noise_slide):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.looking_at(1, (0.5, 2.0), 2, 38)
    work = planned(network, slide, 64)
    stride = work.plan.tile.stride
    for left, top in work.plan.places:
        found = views_of(work, (left, top))
        for view, size, spacing in zip(found, work.plan.tile.sizes, work.spacings, strict=True):
            spec = replace(network.patch_spec, size=size, spacings=(spacing,))
            wanted = read_views(slide, left + stride / 2, top + stride / 2, spec)[0]
            np.testing.assert_array_equal(view, wanted)


def test_a_read_that_fails_ends_the_segmentation(noise_slide, monkeypatch):
    slide = Slide(noise_slide[0], made_slides.square(0.5))

    def broken(*_):
        raise OSError("bad tile")

    monkeypatch.setattr(Slide, "read", broken)
    with pytest.raises(OSError, match="bad tile"):
        segmented(made_networks.looking_at(0, (0.5,), 2, 30), slide, 64)


def test_after_an_error_what_was_begun_ahead_is_not_read(noise_slide, monkeypatch):
    slide, read = Slide(noise_slide[0], made_slides.square(0.5)), Slide.read
    failed, after = threading.Event(), []

    def slow(self, window, size):
        if failed.is_set():
            after.append(window)
        # Slow enough that some is left to read then, and that a busy machine has time to leave it.
        time.sleep(0.3 if failed.is_set() else 0.02)
        return read(self, window, size)

    class Broken(TorchEngine):
        def start(self, views, logits=False):
            failed.set()
            raise OSError("no GPU any more")

    monkeypatch.setattr(dense, "DECODERS", 1)
    monkeypatch.setattr(supertiles, "SIDE", 8)
    monkeypatch.setattr(supertiles, "AHEAD", 100)
    monkeypatch.setattr(Slide, "read", slow)
    with pytest.raises(OSError, match="no GPU any more"):
        segmented(made_networks.looking_at(0, (0.5,), 2, 30), slide, 64, engine=Broken)
    assert len(after) < 5
