from itertools import pairwise

import pytest

from hooknet.errors import ShapeError
from hooknet.shapes.refiner import RefinerShape

PUBLISHED = (8, 16, 32, 64, 128, 128, 256, 256)


def convolution(incoming, outgoing, kernel):
    return incoming * outgoing * kernel**2 + outgoing


def block(incoming, outgoing):
    """Two 3x3 convolutions with bias, each with a scale and a shift."""
    return convolution(incoming, outgoing, 3) + convolution(outgoing, outgoing, 3) + 4 * outgoing


def test_the_published_u_net_has_11_56_million_parameters():
    shape = RefinerShape("unet", 1024, 1, 2)
    encoder = [block(a, b) for a, b in zip((4, *PUBLISHED), (*PUBLISHED, 512), strict=True)]
    falling = (512, *PUBLISHED[::-1])
    decoder = [block(below + width, width) for below, width in pairwise(falling)]
    assert shape.parameter_count == sum(encoder) + sum(decoder) + convolution(8, 2, 1) == 11_563_410
    # Red, green and blue alone: the first convolution sees one channel less.
    assert RefinerShape("unet", 1024, 0, 2).parameter_count == 11_563_410 - 9 * 8


@pytest.mark.parametrize(
    ("network", "size", "widths", "bottleneck"),
    [
        ("unet", 1024, PUBLISHED, 512),
        ("unet", 256, PUBLISHED[:6], 256),
        ("unet", 64, PUBLISHED[:4], 128),
        ("unet", 8, (8,), 16),
        ("unet", 2048, (*PUBLISHED, 256), 512),
        ("agunet", 1024, PUBLISHED[:7], 256),
        ("dagunet", 1024, PUBLISHED[:7], 256),
        ("dagunet", 256, PUBLISHED[:5], 128),
        ("agunet", 16, (8,), 8),
        ("doubleunet", 1024, PUBLISHED, 32),
        ("doubleunet", 256, PUBLISHED[:6], 32),
    ],
)
def test_a_smaller_square_has_the_first_levels(network, size, widths, bottleneck):
    shape = RefinerShape(network, size, 1, 2)
    assert (shape.widths, shape.bottleneck) == (widths, bottleneck)
    assert size / 2 ** len(widths) == (8 if "agu" in network else 4)


@pytest.mark.parametrize(
    ("network", "size", "use"),
    [
        ("unet", 1000, 1024),
        ("unet", 96, 64),  # as far from 128
        ("unet", 97, 128),
        ("unet", 4, 8),
        ("unet", 0, 8),
        ("unet", -8, 8),
        ("agunet", 8, 16),
        ("dagunet", 1025, 1024),
    ],
)
def test_a_square_that_cannot_be_halved_is_refused_with_the_nearest_that_can(network, size, use):
    with pytest.raises(ShapeError, match=rf"{network} on {size} px: .*; use {use} px$"):
        RefinerShape(network, size, 1, 2)
    assert RefinerShape(network, use, 1, 2).size == use


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"classes": 1}, "1 classes and 1 heat maps"),
        ({"heat_channels": -1}, "2 classes and -1 heat maps"),
        ({"network": "vnet"}, "refiner 'vnet'; use one of unet, agunet, dagunet, doubleunet"),
    ],
)
def test_what_makes_no_refiner_is_refused(changes, told):
    with pytest.raises(ShapeError, match=told):
        RefinerShape(**({"network": "unet", "size": 64, "heat_channels": 1, "classes": 2} | changes))


def test_outputs_and_what_they_count_for():
    told = {
        network: (shape.inputs, shape.output_strides, shape.loss_weights, shape.dice_over)
        for network in ("unet", "agunet", "dagunet", "doubleunet")
        for shape in [RefinerShape(network, 1024, 2, 3)]
    }
    levels = (1, 2, 4, 8, 16, 32, 64)
    assert told == {
        "unet": (5, (1,), (1.0,), "image"),
        "agunet": (5, levels, (1 / 7,) * 7, "batch"),
        "dagunet": (5, levels, (1 / 7,) * 7, "image"),
        "doubleunet": (5, (1, 1), (0.5, 0.5), "image"),
    }


def test_work_grows_with_the_area_but_for_the_level_that_is_added():
    work = [RefinerShape("unet", size, 1, 2).multiply_accumulates for size in (64, 128)]
    # By hand at 8 px, one level: 4 -> 8 -> 8, 8 -> 16 -> 16 at 4 px, 24 -> 8 -> 8, 8 -> 2.
    by_hand = 64 * (9 * (4 * 8 + 8 * 8 + 24 * 8 + 8 * 8) + 8 * 2) + 16 * 9 * (8 * 16 + 16 * 16)
    assert RefinerShape("unet", 8, 1, 2).multiply_accumulates == by_hand
    assert 4 * work[0] < work[1] < 5 * work[0]
