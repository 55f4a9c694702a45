from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.errors import ShapeError
from hooknet.shapes.mrn import MRNSettings, check_patch_size
from hooknet.shapes.tiles import Tile


def shape(spacings=(0.5, 8.0), **changes):
    small = {"classes": 6, "filters": 69, "patch_size": 256}
    return MRNSettings(spacings=spacings, **(small | changes)).shape


def test_the_widths_for_50_million_parameters_are_those_worked_out_for_the_paper():
    assert shape().parameter_count == 49_565_535
    assert shape((0.5, 2.0, 8.0), filters=58).parameter_count / 1e6 == pytest.approx(49.33, abs=0.005)


def test_multiply_accumulates_are_those_worked_out_for_the_paper():
    assert shape().multiply_accumulates() / 1e9 == pytest.approx(103.9, abs=0.05)
    assert shape().multiply_accumulates_per_pixel() / 1e3 == pytest.approx(1586, abs=1)


def test_a_network_small_enough_for_pencil_and_paper():
    # Depth 1, one convolution, one filter, two classes, 4 px: encoders 3->1 at 4 px and 1->4 at 2 px, twice;
    # up 8->1 at 4 px, block 3->1 at 4 px, out 1->2.
    of = shape((1.0, 2.0), classes=2, filters=1, depth=1, convolutions=1, batch_norm=False, patch_size=4)
    assert of.parameter_count == 2 * (28 + 40) + 73 + 28 + 4
    assert of.multiply_accumulates() == 2 * (27 * 16 + 36 * 4) + 72 * 16 + 27 * 16 + 2 * 16


def test_the_output_has_the_size_of_the_patch():
    assert shape().patch_spec.output_size == 256
    assert shape().output_branches == (0,)


@pytest.mark.parametrize(
    ("size", "depth", "nearest"),
    [(250, 4, 256), (264, 4, 256), (265, 4, 272), (0, 4, 16), (7, 2, 8), (6, 2, 4)],
)
def test_an_illegal_size_is_answered_with_the_nearest(size, depth, nearest):
    with pytest.raises(ShapeError, match=f"use {nearest} px"):
        check_patch_size(size, depth)


@given(size=st.integers(0, 500), depth=st.integers(1, 5))
def test_the_nearest_legal_size_is_legal_and_nearest(size, depth):
    legal = list(range(2**depth, 700, 2**depth))
    if size in legal:
        check_patch_size(size, depth)
        return
    nearest = min(legal, key=lambda one: (abs(one - size), one))
    with pytest.raises(ShapeError, match=f"use {nearest} px"):
        check_patch_size(size, depth)


@pytest.mark.parametrize("spacings", [(0.5,), (0.5, 0.5), (0.5, 1.5)])
def test_spacings_that_cannot_be_joined_are_refused(spacings):
    with pytest.raises(ShapeError):
        shape(spacings)


def test_tiles_keep_what_neither_padding_reaches():
    # Radius: 5 (2^4 - 1) + 3 * 2^4 = 123 px.
    assert shape().rim == 123
    # The context: 1024 / 16 + 2 * 123 = 310 px are the least; sizes are multiples of 32.
    assert shape().tile(1024) == Tile((1024, 320), 768)
    assert shape().tile(1024, rim=32) == Tile((832, 320), 768)
    assert shape((0.5, 1.0)).tile(1024) == Tile((1024, 768), 768)
    assert shape().kept(496, 123) == 250


def test_contexts_cost_what_their_views_do():
    of, tile = shape(), Tile((256, 256), 256)
    assert of.tile_work(tile) == of.multiply_accumulates()
    encoder = sum(c.multiply_accumulates for c in of.convolutions(1024) if c.name.startswith("context"))
    saved = of.multiply_accumulates(1024) - of.tile_work(Tile((1024, 320), 768))
    assert saved == encoder * (1 - (320 / 1024) ** 2) > 0


def test_every_context_joins_at_every_depth():
    joins = [(one.source, one.target) for one in shape((0.5, 2.0, 8.0), depth=1, patch_size=32).joins]
    assert joins == [
        ("context.enc0", "target.dec0"),
        ("context.mid", "target.mid"),
        ("context2.enc0", "target.dec0"),
        ("context2.mid", "target.mid"),
    ]
