from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.errors import ShapeError
from hooknet.shapes.sizes import (
    decoder_sizes,
    encoder_sizes,
    legal_sizes,
    nearest_legal_size,
)

DEPTHS = st.integers(1, 4)
CONVOLUTIONS = st.integers(1, 3)


def walk(size, depth, convolutions):
    """Sizes of encoder and decoder by doing every step; None where a step is impossible."""
    encoder, decoder = [], []
    for level in range(depth + 1):
        for _ in range(convolutions):
            size = size - 2 if size > 2 else None
            if size is None:
                return None
        encoder.append(size)
        if level < depth:
            if size % 2:
                return None
            size //= 2
    decoder.append(size)
    for level in reversed(range(depth)):
        size = 2 * size - 2
        if size < 1 or size > encoder[level] or (encoder[level] - size) % 2:
            return None
        for _ in range(convolutions):
            size = size - 2 if size > 2 else None
            if size is None:
                return None
        decoder.append(size)
    return encoder, decoder[::-1]


def is_legal(size, depth, convolutions, hooked):
    found = walk(size, depth, convolutions)
    if found is None or not hooked:
        return found is not None
    maps = found[1]
    # Every pair of depths that a hook could join: from a finer one into a deeper one.
    margins = [maps[source] - maps[target] for target in range(1, depth + 1) for source in range(target)]
    return all(margin >= 0 and margin % 2 == 0 for margin in margins)


def test_a_284_px_patch_has_the_sizes_of_the_paper():
    assert encoder_sizes(284, 4) == [280, 136, 64, 28, 10]
    assert decoder_sizes(284, 4) == [70, 38, 22, 14, 10]


def test_a_1244_px_tile_has_the_sizes_of_the_official_inference():
    assert encoder_sizes(1244, 4) == [1240, 616, 304, 148, 70]
    assert decoder_sizes(1244, 4) == [1030, 518, 262, 134, 70]


def test_the_output_is_214_px_smaller_at_depth_four_with_two_convolutions():
    assert {size - decoder_sizes(size, 4)[0] for size in legal_sizes(2000, 4)} == {214}


def test_hooked_sizes_of_the_paper_are_28_more_than_multiples_of_32():
    assert list(legal_sizes(320, 4, 2, hooked=True)) == [220, 252, 284, 316]
    assert all(size % 32 == 28 for size in legal_sizes(3000, 4, 2, hooked=True))
    assert 1244 in legal_sizes(1244, 4, 2, hooked=True)


def test_without_a_hook_every_second_size_more_is_legal():
    assert list(legal_sizes(300, 4)) == [220, 236, 252, 268, 284, 300]


@pytest.mark.parametrize(
    ("size", "hooked", "message"),
    [
        (280, True, "a 280 px patch is 63 px at depth 2, which cannot be halved; use 284 px"),
        (1030, True, "a 1030 px patch is 509 px at depth 1, which cannot be halved; use 1020 px"),
        (
            268,
            True,
            "a 268 px patch is 9 px at the bottleneck, about whose centre no hook can be cropped; use 252 px",
        ),
        (188, True, "a 188 px patch leaves no output; use 220 px"),
        (124, False, "a 124 px patch is 0 px at the bottleneck, which is nothing; use 220 px"),
        (4, False, "a 4 px patch is 0 px at depth 0, which cannot be halved; use 220 px"),
    ],
)
def test_an_illegal_size_is_refused_with_the_nearest_legal_one(size, hooked, message):
    with pytest.raises(ShapeError) as caught:
        decoder_sizes(size, 4, 2, hooked)
    assert str(caught.value) == message


def test_a_hook_smaller_than_the_map_it_enters_is_refused():
    # Depth 1: 20 px, 16, pooled 8, bottleneck 4, up 8 - 2 = 6, output 2 px: no 4 px crop.
    assert decoder_sizes(20, 1) == [2, 4]
    with pytest.raises(
        ShapeError, match="maps of 2 px, too small to hook into 4 px at the bottleneck; use 24 px"
    ):
        decoder_sizes(20, 1, hooked=True)


@pytest.mark.parametrize(("depth", "convolutions"), [(0, 2), (4, 0), (-1, 1)])
def test_a_network_without_poolings_or_convolutions_is_refused(depth, convolutions):
    with pytest.raises(ShapeError, match="use at least 1 of each"):
        encoder_sizes(284, depth, convolutions)


@given(size=st.integers(-3, 700), depth=DEPTHS, convolutions=CONVOLUTIONS, hooked=st.booleans())
def test_a_size_is_accepted_just_when_every_step_is_whole(size, depth, convolutions, hooked):
    if is_legal(size, depth, convolutions, hooked):
        encoder, decoder = walk(size, depth, convolutions)
        assert encoder_sizes(size, depth, convolutions, hooked) == encoder
        assert decoder_sizes(size, depth, convolutions, hooked) == decoder
        assert size in legal_sizes(size, depth, convolutions, hooked)
    else:
        nearest = nearest_legal_size(size, depth, convolutions, hooked)
        with pytest.raises(ShapeError, match=f"a {size} px patch .*; use {nearest} px$"):
            decoder_sizes(size, depth, convolutions, hooked)
        assert size not in legal_sizes(800, depth, convolutions, hooked)


@given(size=st.integers(1, 900), depth=DEPTHS, convolutions=CONVOLUTIONS, hooked=st.booleans())
def test_the_nearest_legal_size_is_the_nearest_of_all(size, depth, convolutions, hooked):
    legal = [one for one in range(1, 1000) if is_legal(one, depth, convolutions, hooked)]
    assert nearest_legal_size(size, depth, convolutions, hooked) == min(
        legal, key=lambda one: (abs(one - size), one)
    )
