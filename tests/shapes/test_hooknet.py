from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.errors import ShapeError
from hooknet.shapes.hooknet import HookNetSettings, HookNetShape
from hooknet.shapes.hooks import Hook, branch_name, chain_hooks, check_hooks, hook_depth, star_hooks
from hooknet.shapes.sizes import legal_sizes
from hooknet.shapes.tiles import Tile, stride_unit


def settings(**changes):
    return HookNetSettings(
        **({"spacings": (0.5, 8.0), "classes": 6, "filters": 64, "patch_size": 284} | changes)
    )


@pytest.mark.parametrize(
    ("context", "depth", "margin_284", "margin_1244"),
    [(1.0, 3, 2, 32), (2.0, 2, 6, 96), (4.0, 1, 14, 224), (8.0, 0, 30, 480)],
)
def test_hooks_into_the_bottleneck_are_those_of_the_paper(context, depth, margin_284, margin_1244):
    shape = HookNetShape(settings(spacings=(0.5, context)))
    assert shape.settings.all_hooks == (Hook(1, depth, 0, 4),)
    assert shape.hook_margin(Hook(1, depth, 0, 4)) == margin_284
    assert shape.hook_margin(Hook(1, depth, 0, 4), 1244) == margin_1244


def test_three_spacings_are_hooked_in_a_chain():
    assert chain_hooks((0.5, 2.0, 8.0), 4) == (Hook(1, 2, 0, 4), Hook(2, 2, 1, 4))
    assert chain_hooks((0.25, 0.5, 8.0), 4) == (Hook(1, 3, 0, 4), Hook(2, 0, 1, 4))
    assert chain_hooks((0.5,), 4) == ()


def test_a_star_hooks_each_context_into_the_targets_bottleneck_where_it_has_a_map_that_fits():
    assert star_hooks((0.5, 2.0, 8.0), 4) == (Hook(1, 2, 0, 4), Hook(2, 0, 0, 4))
    assert star_hooks((0.5, 8.0), 4) == chain_hooks((0.5, 8.0), 4)
    with pytest.raises(ShapeError, match=r"use a context at 0\.5, 1, 2, 4 µm/px"):
        star_hooks((0.25, 0.5, 8.0), 4)


def test_hooks_may_enter_the_decoder_where_the_crops_are_those_of_the_reference():
    shape = HookNetShape(settings(spacings=(0.5, 2.0), hooks=(Hook(1, 1, 0, 3), Hook(1, 0, 0, 2))))
    assert [shape.hook_margin(hook) for hook in shape.settings.all_hooks] == [12, 24]


def test_spacings_a_millionth_apart_are_equal_and_others_are_not():
    assert hook_depth(0.5, 8.0 * (1 + 5e-7), 4) == 0
    with pytest.raises(ShapeError):
        hook_depth(0.5, 8.0 * (1 + 5e-6), 4)


@pytest.mark.parametrize("context", [3.0, 16.0, 7.9, 0.75])
def test_a_context_that_no_depth_matches_is_refused_with_those_that_would_do(context):
    with pytest.raises(ShapeError, match=r"use a context at 1, 2, 4, 8 µm/px$"):
        settings(spacings=(0.5, context))


def test_a_hook_whose_shapes_fit_but_whose_spacings_differ_is_refused():
    # The pairing of the 2020 repository's own training file: 64 µm/px maps into 8 µm/px maps.
    with pytest.raises(ShapeError, match=r"joins maps of different spacing; use source depth 0$"):
        settings(hooks=(Hook(1, 3, 0, 4),))


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ((Hook(0, 0, 1, 4),), "hook a coarser branch into a finer one"),
        ((Hook(1, 0, 1, 4),), "hook a coarser branch into a finer one"),
        ((Hook(3, 0, 0, 4),), "hook a coarser branch into a finer one"),
        ((Hook(1, 2, 0, 5),), "use a depth of 1 to 4"),
        ((Hook(1, 2, 0, 0),), "use a depth of 1 to 4"),
        ((Hook(1, 2, 0, 4),), "the branch at 8 µm/px feeds no other"),
        ((Hook(1, 2, 0, 4), Hook(2, 0, 0, 4), Hook(1, 2, 0, 4)), "listed twice"),
    ],
)
def test_a_graph_of_hooks_that_makes_no_sense_is_refused(hooks, message):
    with pytest.raises(ShapeError, match=message):
        check_hooks(hooks, (0.5, 2.0, 8.0), 4)


@pytest.mark.parametrize(
    "spacings",
    [(), (0.0, 1.0), (-0.5, 1.0), (8.0, 0.5), (0.5, 0.5), (float("nan"), 1.0), (0.5, float("inf"))],
)
def test_spacings_that_do_not_increase_from_above_zero_are_refused(spacings):
    with pytest.raises(ShapeError):
        chain_hooks(spacings, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 280}, "use 284 px$"),
        ({"patch_size": 268}, "use 252 px$"),
        ({"depth": 0}, "use at least 1 of each"),
        ({"convolutions": 0}, "use at least 1 of each"),
        ({"classes": 0}, "use at least 1 of each"),
        ({"filters": 0}, "a network of 0 filters; use at least 1"),
        ({"loss_weights": (1.0,)}, "for 2 spacings"),
        ({"loss_weights": (1.0, -0.1)}, "0 or more"),
        ({"loss_weights": (0.0, 1.0)}, "the target's loss weight is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ShapeError, match=message):
        settings(**changes)


def test_a_268_px_patch_is_legal_for_one_branch_only():
    assert settings(spacings=(0.5,), patch_size=268).patch_size == 268
    with pytest.raises(ShapeError, match="use 252 px"):
        settings(spacings=(0.5, 2.0), patch_size=268)


@pytest.mark.parametrize(
    ("spacings", "weights", "finest", "outputs"),
    [
        ((0.5, 2.0), None, (0, 2), (0,)),
        ((0.5, 2.0), (0.75, 0.25), (0, 0), (0, 1)),
        ((0.5, 8.0), None, (0, 0), (0,)),
        ((0.5, 2.0, 4.0), (1.0, 0.0, 0.5), (0, 2, 0), (0, 2)),
    ],
)
def test_a_branch_without_loss_is_needed_only_down_to_its_hook(spacings, weights, finest, outputs):
    shape = HookNetShape(settings(spacings=spacings, loss_weights=weights))
    assert shape.settings.finest_depths == finest
    assert shape.output_branches == outputs


def test_a_hook_below_what_is_used_of_a_branch_is_refused():
    # Branch 1 gives its depth 2, but would take a hook only at depth 1: the hook would reach nothing.
    hooks = (Hook(1, 2, 0, 4), Hook(2, 0, 1, 1))
    with pytest.raises(ShapeError, match="used only down to depth 2"):
        settings(spacings=(0.5, 2.0, 4.0), hooks=hooks)
    assert settings(spacings=(0.5, 2.0, 4.0), hooks=hooks, loss_weights=(1.0, 0.5, 0.0)).finest_depths[1] == 0


def test_widths_are_those_of_the_official_code():
    shape = HookNetShape(settings(filters=64))
    assert [shape.settings.block_width(depth) for depth in range(5)] == [64, 128, 256, 512, 640]
    assert shape.map_width(0, 4) == 640 + 64
    assert shape.map_width(1, 4) == 640
    assert HookNetShape(settings(merge="add")).map_width(0, 4) == 640


def test_the_patch_spec_and_fields_of_view_follow_from_the_settings():
    shape = HookNetShape(settings())
    assert (shape.patch_spec.size, shape.patch_spec.output_size, shape.patch_spec.spacings) == (
        284,
        70,
        (0.5, 8.0),
    )
    assert shape.fields_of_view == (142.0, 2272.0)


def test_branches_are_named_as_in_the_official_code():
    assert [branch_name(branch) for branch in range(4)] == ["target", "context", "context2", "context3"]


@pytest.mark.parametrize(
    ("spacings", "unit"), [((0.5, 8.0), 256), ((0.5, 2.0), 64), ((0.5,), 16), ((0.5, 1.0, 8.0), 256)]
)
def test_the_stride_unit_is_that_of_the_coarsest_branch(spacings, unit):
    assert stride_unit(spacings, 4) == unit


def test_spacings_that_are_no_powers_of_two_apart_have_no_stride_unit():
    with pytest.raises(ShapeError, match="without seams"):
        stride_unit((0.5, 1.5), 4)


def test_strides_of_hand_checked_tiles():
    # Contexts (paper, hooks at full resolution of 8 µm/px): 284 px leave 70 = the bottleneck of 1244 px.
    assert settings(spacings=(0.5, 8.0)).shape.tile(1300) == Tile((1244, 284), 1024)
    assert settings(spacings=(0.5, 8.0)).shape.tile(2268) == Tile((2268, 348), 2048)
    assert settings(spacings=(0.5, 8.0)).shape.tile(100) == Tile((476, 252), 256)
    # At depth 2 of the context's decoder 22 px of 284 fill a bottleneck of 10; 10 of 220 would do.
    assert settings(spacings=(0.5, 2.0)).shape.tile(284) == Tile((284, 252), 64)
    assert settings(spacings=(0.5, 2.0, 8.0)).shape.tile(1300) == Tile((1244, 476, 284), 1024)
    assert settings(spacings=(0.5,)).shape.tile(300) == Tile((284,), 64)
    # 20 px less at each side of 1062 (a tile of 1276): 768 is the next multiple of 256.
    assert settings(spacings=(0.5, 8.0)).shape.tile(1300, rim=20) == Tile((1052, 284), 768)


def test_work_of_hand_checked_tiles():
    both = settings(spacings=(0.5, 8.0), filters=64, classes=6, loss_weights=(0.75, 0.25)).shape
    # One context for a tile of 2268 px, whose whole output is 2054 px.
    assert both.tile_work(Tile((2268, 348), 2048)) / 2054**2 == pytest.approx(1_014_000, rel=1e-3)
    assert both.work_per_pixel(both.tile(2268)) <= 1_050_000
    # Views of one size, the context's output too, are what training computes.
    target_only = both.tile_work(Tile((284, 284), 70))
    assert both.multiply_accumulates() - target_only == 64 * 6 * 70**2
    # At 2 µm/px dec1, dec0 and the output of the context feed nothing.
    near = settings(spacings=(0.5, 2.0), filters=64, classes=6, loss_weights=(0.75, 0.25)).shape
    pruned = settings(spacings=(0.5, 2.0), filters=64, classes=6, loss_weights=(1.0, 0.0)).shape
    assert near.tile_work(Tile((284, 284), 70)) == pruned.multiply_accumulates() < near.multiply_accumulates()


@given(
    depth=st.integers(1, 4),
    convolutions=st.integers(1, 3),
    more=st.integers(0, 5),
    steps=st.lists(st.integers(1, 2), max_size=2),
    number=st.integers(1, 6),
)
def test_a_tile_holds_its_stride_and_no_smaller_one_does(depth, convolutions, more, steps, number):
    spacings = [0.25]
    for step in steps:
        spacings.append(spacings[-1] * 2 ** min(step, depth))
    patch = 2 ** (depth + 1) * (more + 4 * convolutions) + _smallest_remainder(depth, convolutions)
    of = HookNetSettings(
        spacings=tuple(spacings),
        classes=2,
        filters=1,
        depth=depth,
        convolutions=convolutions,
        patch_size=patch,
    )
    tile = list(islice(of.shape.tiles(), number))[-1]
    size, stride = tile.sizes[0], tile.stride
    assert stride == number * stride_unit(spacings, depth)
    assert size >= patch
    assert {(one - patch) % 2 ** (depth + 1) for one in tile.sizes} == {0}
    assert stride <= of.shape.output_size(size)
    assert (of.shape.output_size(size) - stride) % 2 == 0
    if size > patch:
        assert of.shape.output_size(size - 2 ** (depth + 1)) < stride
    # Every hook fills what it enters, and with a smaller context one would not.
    for branch, context in enumerate(tile.sizes[1:], start=1):
        hooks = [hook for hook in of.all_hooks if hook.source == branch]

        def fills(side, hooks=hooks):
            return all(
                of.shape.decoder_sizes(side)[h.source_depth]
                >= of.shape.decoder_sizes(tile.sizes[h.target])[h.target_depth]
                for h in hooks
            )

        assert fills(context)
        smaller = context - 2 ** (depth + 1)
        if smaller in legal_sizes(smaller, depth, convolutions, hooked=True):
            assert not fills(smaller)


def _smallest_remainder(depth, convolutions):
    # A patch that leaves a bottleneck of 0 px: the others lie a multiple of 2^(depth + 1) above it.
    size = 2 * convolutions
    for _ in range(depth):
        size = 2 * size + 2 * convolutions
    return size


def test_views_and_work_grow_by_what_a_window_reaches():
    of = settings(merge="attention", window=5)
    # 134 px at the target's bottleneck of a view of 2268 px: the context's map must have 4 px more, 32 px of its own.
    assert settings().shape.view_sizes(2268) == (2268, 348)
    assert of.shape.view_sizes(2268) == (2268, 380)
    assert settings(merge="attention", window=1).shape.view_sizes(2268) == (2268, 348)
    layers = {one.name: one for one in of.shape.convolutions() if one.name.startswith("target.hook")}
    assert {name.rpartition(".")[2]: (one.incoming, one.outgoing, one.size) for name, one in layers.items()} == {
        "query": (640, 64, 10), "key": (64, 64, 14), "value": (64, 64, 14), "attend": (64, 64, 10), "out": (64, 640, 10)
    }  # fmt: skip
    assert layers["target.hook.attend"].multiply_accumulates == 2 * 64 * 25 * 100
    assert layers["target.hook.attend"].parameters == 4 * 25


def test_the_attention_is_as_wide_as_the_hooked_map_rounded_up_to_whole_heads():
    of = settings(merge="attention", filters=63, heads=4).shape
    assert of.attention(of.settings.all_hooks[0]).outgoing == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 220}, "reaches 2 px around a hooked map, and a 220 px patch leaves 0; use patches of 252 px, "
         "or a window of 1 px"),
        ({"spacings": (0.5, 1.0), "window": 7}, "a 284 px patch leaves 2; use patches of 316 px, or a window of 5 px"),
        ({"window": 4}, "attention of 4 heads over 4 px; use at least 1, and an odd number"),
        ({"heads": 0}, "attention of 0 heads over 5 px; use at least 1, and an odd number"),
    ],
)  # fmt: skip
def test_windows_that_leave_the_hooked_map_are_refused_with_the_patch_that_holds_them(changes, message):
    with pytest.raises(ShapeError, match=message):
        settings(merge="attention", **changes)


def test_the_patch_of_the_remedy_suffices():
    assert settings(merge="attention", patch_size=252).reach == 2
    assert settings(merge="attention", spacings=(0.5, 1.0), window=7, patch_size=316).reach == 3
