from __future__ import annotations

from itertools import islice

import pytest

from hooknet.errors import ShapeError
from hooknet.shapes.encoded import EncodedSettings, EncoderSpec
from hooknet.shapes.hooks import Hook
from hooknet.shapes.tiles import Tile


def spec(**changes):
    return EncoderSpec(
        **{"make": "a:b", "strides": (2, 4), "channels": (3, 5), "unit": 8, "rim": 9, "parameters": 100}
        | changes
    )


def settings(encoder=None, **changes):
    small = {"spacings": (0.5,), "classes": 2, "filters": 2, "depth": 2, "convolutions": 1, "patch_size": 64}
    return EncodedSettings(**(small | changes), encoder=spec() if encoder is None else encoder)


def test_a_network_small_enough_for_pencil_and_paper():
    of = settings(batch_norm=False).shape
    # dec1: up 5->4, block 4 + 3 skipped -> 4; dec0: up 4->2, block 2->2 without a skip; out 2->2.
    decoder = (5 * 4 * 9 + 4) + (7 * 4 * 9 + 4) + (4 * 2 * 9 + 2) + (2 * 2 * 9 + 2) + (2 * 2 + 2)
    assert of.parameter_count == 100 + decoder
    work = 180 * 32**2 + 252 * 32**2 + 72 * 64**2 + 36 * 64**2 + 4 * 64**2
    assert of.multiply_accumulates() == work + 100 * 32**2
    assert [(one.name, one.size, one.outgoing) for one in of.convolutions()][:3] == [
        ("target.enc1.map", 32, 3), ("target.mid.map", 16, 5), ("target.dec1.up", 32, 4)
    ]  # fmt: skip
    assert of.output_size() == 64


def test_what_is_dropped_is_what_encoder_and_decoder_reach():
    # 9 px in whole px of stride 4 are 12; a convolution up and one after it reach 2 px at strides 2 and 1.
    assert settings().shape.rim == 12 + 2 * 2 + 2 * 1
    assert settings(convolutions=2).shape.rim == 12 + 3 * 2 + 3 * 1
    assert settings(spec(rim=0)).shape.rim == 6


def test_tiles_have_one_grid_about_their_centres_whatever_their_size():
    of = settings()
    assert of.shape.unit == 8
    for tile in islice(of.shape.tiles(), 30):
        assert (tile.sizes[0] - 64) % 16 == 0
        assert tile.stride % 8 == 0
        assert tile.stride <= tile.sizes[0] - 2 * 18
    hooked = settings(spacings=(0.5, 2.0))
    assert hooked.shape.unit == 32
    assert next(iter(hooked.shape.tiles())) == Tile((80, 64), 32)


def test_a_contexts_view_holds_the_targets_and_all_that_padding_reaches():
    of = settings(spacings=(0.5, 2.0))
    # 320 px at 0.5 are 80 at 2.0; 18 px on each side of them, in steps of 16 px: 128.
    assert of.shape.view_sizes(320) == (320, 128)
    attends = settings(spacings=(0.5, 2.0), merge="attention", window=5)
    assert attends.shape.view_sizes(320) == (320, 128)
    assert settings(spacings=(0.5, 2.0), merge="attention", window=15).shape.view_sizes(320) == (320, 144)
    assert of.all_hooks == (Hook(1, 0, 0, 2),)
    assert of.shape.hook_margin(of.all_hooks[0]) == (64 - 16) // 2


def test_an_encoder_that_sees_all_has_tiles_as_large_as_patches():
    of = settings(spec(rim=None), spacings=(0.5, 2.0))
    assert not of.shape.is_seamless
    assert of.shape.rim == 8
    assert list(of.shape.tiles()) == [Tile((64, 64), 32)]  # the unit: 8 px of the context
    assert list(of.shape.tiles(rim=20)) == [Tile((64, 64), 24)]  # centres are whole px of the context too
    with pytest.raises(
        ShapeError, match="a rim of 30 px leaves less than 8 px of a 64 px tile; use a smaller one"
    ):
        list(of.shape.tiles(rim=30))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (4, 2)}, r"encoder a:b of strides \[4, 2\]; give powers of two, finest first"),
        ({"strides": (2, 6)}, "give powers of two, finest first"),
        ({"strides": (), "channels": ()}, "give powers of two, finest first"),
        (
            {"strides": (1,), "channels": (3,), "unit": 1},
            "stride 1 alone; its coarsest map is of stride 2 or more",
        ),
        ({"channels": (3,)}, r"channels \[3\] at strides \[2, 4\]; give one number each"),
        ({"unit": 6}, "of unit 6 px; use a multiple of its last stride, 4 px"),
    ],
)
def test_encoders_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ShapeError, match=message):
        spec(**changes)


@pytest.mark.parametrize(
    ("size", "spacings", "nearest"),
    [(63, (0.5,), 64), (60, (0.5,), 56), (4, (0.5,), 8), (72, (0.5, 1.0), 64), (75, (0.5, 1.0), 80)],
)
def test_an_illegal_size_is_answered_with_the_nearest(size, spacings, nearest):
    with pytest.raises(
        ShapeError, match=f"a {size} px patch for encoder a:b is no multiple of .* use {nearest} px"
    ):
        settings(patch_size=size, spacings=spacings)
    assert settings(patch_size=nearest, spacings=spacings)


def test_the_depth_is_that_of_the_encoder():
    with pytest.raises(ShapeError, match="depth 3 of an encoder whose coarsest stride is 4; use 2"):
        settings(depth=3)
