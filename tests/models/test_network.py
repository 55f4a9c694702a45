from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from made_networks import layers_of

from hooknet.errors import ShapeError
from hooknet.models.attention import CrossAttention
from hooknet.models.blocks import centre_crop
from hooknet.models.hooknet import HookNet
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import Hook
from hooknet.shapes.sizes import legal_sizes
from hooknet.shapes.tiles import stride_unit
from hooknet.shapes.work import Attention

sys.path.insert(0, str(Path(__file__).parent))
from numpy_network import NumpyNetwork

NAMES = ("target", "context", "context2")


def settings(**changes):
    """Depth 2, two convolutions, 1 filter: 60 px in, bottleneck 8 px, 14 px out."""
    small = {"spacings": (0.5, 2.0), "classes": 3, "filters": 1, "depth": 2, "patch_size": 60}
    return HookNetSettings(**(small | changes))


def random_network(of, seed=0):
    """Float64, every number drawn at random, running statistics and biases too."""
    torch.manual_seed(seed)
    network = HookNet(of).double()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low = 0.5 if name.endswith("running_var") or ("bn" in name and name.endswith("weight")) else -0.5
            tensor.uniform_(low, low + 1)
    return network


CASES = {
    "u-net": settings(spacings=(0.5,)),
    "u-net of depth 1, three convolutions": settings(spacings=(0.5,), depth=1, convolutions=3, patch_size=40),
    "concat": settings(filters=2),
    "concat, both losses": settings(filters=2, loss_weights=(0.5, 0.5)),
    "add": settings(merge="add"),
    "subtract": settings(merge="subtract", filters=2),
    "multiply": settings(merge="multiply"),
    "attention": settings(merge="attention", window=5, heads=2, filters=3),
    "attention of three branches, to what was itself attended": settings(
        spacings=(0.5, 1.0, 4.0), merge="attention", window=3, heads=1, loss_weights=(0.5, 0.3, 0.2)
    ),
    "attention in bottleneck and decoder": settings(
        spacings=(0.5, 1.0), hooks=(Hook(1, 1, 0, 2), Hook(1, 0, 0, 1)), merge="attention", window=3
    ),
    "ratio 2, pruned": settings(spacings=(0.5, 1.0)),
    "leaky relu, no normalisation": settings(activation="leaky_relu", batch_norm=False),
    "one convolution": settings(convolutions=1, patch_size=38),
    "three branches": settings(spacings=(0.5, 1.0, 4.0), loss_weights=(0.5, 0.3, 0.2)),
    "three branches, the middle without loss": settings(spacings=(0.5, 1.0, 4.0), loss_weights=(0.5, 0, 0.5)),
    "three branches into one target": settings(
        spacings=(0.5, 1.0, 2.0), hooks=(Hook(1, 1, 0, 2), Hook(2, 0, 0, 2)), merge="subtract"
    ),
    "a hook into the decoder": settings(spacings=(0.5, 1.0), hooks=(Hook(1, 0, 0, 1),)),
    "two hooks of one context": settings(spacings=(0.5, 1.0), hooks=(Hook(1, 1, 0, 2), Hook(1, 0, 0, 1))),
    "a map that was itself hooked is passed on": settings(
        spacings=(0.5, 1.0, 2.0), hooks=(Hook(1, 1, 0, 2), Hook(2, 0, 1, 1))
    ),
}


@pytest.mark.parametrize("training", [False, True], ids=["running statistics", "batch statistics"])
@pytest.mark.parametrize("case", CASES)
def test_logits_equal_those_of_a_network_written_in_plain_numpy(case, training):
    of = CASES[case]
    network = random_network(of).train(training)
    options = {
        "activation": of.activation,
        "batch_norm": of.batch_norm,
        "merge": of.merge,
        "training": training,
    }
    hooks = [(hook.source, hook.source_depth, hook.target, hook.target_depth) for hook in of.all_hooks]
    state = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    reference = NumpyNetwork(state, NAMES, of.depth, of.convolutions, hooks, **options)
    patches = [torch.rand(2, 3, of.patch_size, of.patch_size).double() for _ in of.spacings]
    with torch.no_grad():
        found = network(patches)
    expected = reference([patch.numpy() for patch in patches])
    assert sorted(expected) == list(network.output_branches)
    for branch, logits in zip(network.output_branches, found, strict=True):
        assert logits.shape == expected[branch].shape
        assert expected[branch].std() > 1e-3
        assert np.abs(logits.numpy() - expected[branch]).max() < 1e-10


@st.composite
def any_settings(draw):
    depth, convolutions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    spacings = [draw(st.sampled_from([0.25, 0.5, 0.2277]))]
    for _ in range(draw(st.integers(0, 2))):
        spacings.append(spacings[-1] * 2 ** draw(st.integers(1, depth)))
    weights = [1.0, *(draw(st.sampled_from([0.0, 0.5])) for _ in spacings[1:])]
    sizes = legal_sizes(2000, depth, convolutions, hooked=len(spacings) > 1)
    return HookNetSettings(
        spacings=tuple(spacings),
        classes=draw(st.integers(1, 3)),
        filters=draw(st.integers(1, 2)),
        depth=depth,
        convolutions=convolutions,
        batch_norm=draw(st.booleans()),
        merge=draw(st.sampled_from(["concat", "add", "subtract", "multiply", "attention"])),
        window=draw(st.sampled_from([1, 3])),
        heads=draw(st.integers(1, 3)),
        loss_weights=tuple(weights),
        patch_size=sizes[draw(st.integers(2, 4))],
    )


@how(max_examples=25, deadline=None)
@given(of=any_settings())
def test_the_arithmetic_foretells_every_layer_of_the_built_network(of):
    with torch.device("meta"):
        network = HookNet(of)
    seen, logits = layers_of(network)
    planned = list(network.shape.convolutions())
    convolutions = [c for c in planned if not isinstance(c, Attention)]
    assert seen == {c.name: (c.incoming, c.outgoing, c.kernel, c.size, c.size) for c in convolutions}
    assert sum(c.parameters for c in planned) == sum(p.numel() for p in network.parameters())
    assert [tuple(one.shape) for one in logits] == [
        (2, of.classes, network.patch_spec.output_size, network.patch_spec.output_size)
    ] * len(network.output_branches)


@pytest.mark.parametrize(
    ("spacings", "filters", "loss_weights", "expected"),
    [
        ((0.5, 8.0), 64, (0.75, 0.25), 50_761_740),
        ((0.5, 2.0), 64, (0.75, 0.25), 51_646_476),
        ((0.5, 2.0), 64, None, 50_723_142),
        ((0.5,), 91, None, 51_004_050),
    ],
)
def test_networks_of_the_paper_have_about_fifty_million_parameters(spacings, filters, loss_weights, expected):
    with torch.device("meta"):
        network = HookNet(
            HookNetSettings(
                spacings=spacings, classes=6, filters=filters, loss_weights=loss_weights, patch_size=284
            )
        )
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_what_nothing_uses_is_not_built():
    names = {name.rpartition(".")[0] for name, _ in HookNet(settings(spacings=(0.5, 1.0))).named_parameters()}
    assert "context.dec1.up" in names
    assert not {name for name in names if name.startswith(("context.dec0", "context.out"))}


def test_weight_decay_covers_the_kernels_of_blocks_and_up_convolutions_only():
    network = HookNet(settings(merge="add", loss_weights=(0.5, 0.5)))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names[id(kernel)] for kernel in network.regularised_kernels()}
    blocks = [f"{place}.conv{i}" for place in ("enc0", "enc1", "mid", "dec1", "dec0") for i in (0, 1)]
    expected = {
        f"{branch}.{layer}.weight" for branch in NAMES[:2] for layer in [*blocks, "dec1.up", "dec0.up"]
    }
    assert found == expected
    assert len(list(network.regularised_kernels())) == len(expected)


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 3, 60, 60)],
        [(1, 3, 60, 60), (1, 3, 68, 68)],
        [(1, 3, 60, 60), (1, 3, 60, 68)],
        [(1, 1, 60, 60), (1, 1, 60, 60)],
        [],
    ],
)
def test_patches_that_are_not_one_square_per_branch_are_refused(shapes):
    with pytest.raises(ShapeError, match="give 2 square ones of 3 channels"):
        HookNet(settings())([torch.zeros(shape) for shape in shapes])


@pytest.mark.parametrize(("size", "nearest"), [(46, 52), (64, 60), (66, 68), (44, 52)])
def test_a_tile_of_an_illegal_size_is_refused_with_the_nearest_legal_one(size, nearest):
    with pytest.raises(ShapeError, match=f"a {size} px patch .*; use {nearest} px"):
        HookNet(settings())([torch.zeros(1, 3, size, size)] * 2)


class Scene:
    """Noise at every spacing, around one centre; patches are cut by whole pixels of each."""

    def __init__(self, of, reach):
        self.of, self.reach = of, reach
        self.rasters = [torch.rand(1, 3, 2 * reach, 2 * reach).double() for _ in of.spacings]

    def patches(self, x, y, size):
        """Around (x, y) target px from the centre of the scene."""
        cut = []
        for raster, spacing in zip(self.rasters, self.of.spacings, strict=True):
            ratio = spacing / self.of.spacings[0]
            left, top = (int(self.reach + position / ratio - size // 2) for position in (x, y))
            assert left + size // 2 == self.reach + x / ratio
            assert min(left, top) >= 0
            assert max(left, top) + size <= 2 * self.reach
            cut.append(raster[..., top : top + size, left : left + size])
        return cut


def leaky(**changes):
    """Leaky, lest dead units hide a shift."""
    return settings(filters=2, activation="leaky_relu", **changes)


def difference(of, small, large, shift):
    """Greatest difference of a small tile, ``shift`` target px off in x and y, from the large tile around it."""
    torch.manual_seed(3)
    network = random_network(of, seed=3).eval()
    scene = Scene(of, large // 2 + abs(shift))
    with torch.no_grad():
        wide = network(scene.patches(0, 0, large))[0]
        near = network(scene.patches(shift, shift, small))[0]
    middle, half = wide.shape[-1] // 2 + shift, near.shape[-1] // 2
    part = wide[..., middle - half : middle + half, middle - half : middle + half]
    assert part.shape == near.shape
    assert near.std() > 1e-2
    return (part - near).abs().max().item()


@pytest.mark.parametrize(
    "of",
    [
        leaky(spacings=(0.5,)),
        leaky(),
        leaky(spacings=(0.5, 1.0, 4.0)),
        leaky(spacings=(0.5, 1.0), hooks=(Hook(1, 0, 0, 1),)),
        leaky(merge="multiply"),
        leaky(merge="attention"),
        leaky(spacings=(0.5, 1.0, 4.0), merge="attention", window=3),
    ],
    ids=[
        "u-net",
        "two branches",
        "three branches",
        "into the decoder",
        "multiply",
        "attention",
        "attention thrice",
    ],
)
def test_tiles_on_multiples_of_the_stride_unit_have_no_seams_and_others_have(of):
    unit = stride_unit(of.spacings, of.depth)
    large = of.patch_size + 2 * unit
    for shift in (0, unit, -unit):
        assert difference(of, of.patch_size, large, shift) < 1e-9
    for shift in (unit // 2, -unit // 2):
        assert difference(of, of.patch_size, large, shift) > 1e-6  # a window's mean hides much of it


@pytest.mark.parametrize(("context", "large", "shift"), [(8.0, 796, 256), (2.0, 412, 64)])
def test_the_networks_of_the_paper_have_no_seams_at_their_strides(context, large, shift):
    of = HookNetSettings(
        spacings=(0.5, context), classes=2, filters=1, patch_size=284, activation="leaky_relu"
    )
    assert difference(of, 284, large, shift) < 1e-9
    assert difference(of, 284, large, shift // 2) > 1e-4


def test_memory_formats_give_the_same_numbers():
    network = random_network(settings(filters=2)).eval()
    patches = [torch.rand(2, 3, 60, 60).double() for _ in range(2)]
    with torch.no_grad():
        plain = network(patches)[0]
        network.to(memory_format=torch.channels_last)
        last = network([patch.to(memory_format=torch.channels_last) for patch in patches])[0]
    assert (plain - last).abs().max() < 1e-12


def test_a_larger_tile_holds_the_patch_in_its_middle():
    network = random_network(settings(filters=2, spacings=(0.5,))).eval()
    tile = torch.rand(1, 3, 76, 76).double()
    with torch.no_grad():
        whole, middle = network([tile])[0], network([centre_crop(tile, 60)])[0]
    assert (centre_crop(whole, 14) - middle).abs().max() < 1e-12


@pytest.mark.parametrize(("chosen", "expected"), [({}, 0.01), ({"batch_norm_momentum": 0.9}, 0.1)])
def test_running_statistics_keep_what_keras_keeps_unless_told_otherwise(chosen, expected):
    of = HookNetSettings(spacings=(0.5, 1.0), classes=2, filters=1, depth=2, patch_size=76, **chosen)
    norms = [one for one in HookNet(of).modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert norms
    assert [one.momentum for one in norms] == pytest.approx([expected] * len(norms))


@pytest.mark.parametrize(
    ("spacings", "fewer"),
    [((0.5, 1.0), {"dec0", "out"}), ((0.5, 2.0), {"out"}), ((0.5, 1.0, 4.0), {"dec0", "out"})],
)
def test_layers_that_feed_nothing_are_left_out_and_change_neither_logits_nor_gradients(spacings, fewer):
    # λ = 1: with a loss of its own the context would have them all.
    alone = random_network(settings(spacings=spacings, filters=2)).train()
    weights = (0.5, *(0.5 for _ in spacings[1:]))
    full = random_network(settings(spacings=spacings, filters=2, loss_weights=weights), seed=1).train()
    kept = alone.state_dict()
    missing = {name.split(".")[1] for name in full.state_dict() if name not in kept}
    assert fewer <= missing
    full.load_state_dict(full.state_dict() | kept)
    patches = [torch.rand(2, 3, 60, 60, dtype=torch.float64) for _ in spacings]
    (one,), (other, *_) = alone(patches), full(patches)
    assert torch.equal(one, other)
    one.square().sum().backward()
    other.square().sum().backward()
    gradients = {name: one.grad for name, one in full.named_parameters()}
    for name, parameter in alone.named_parameters():
        assert torch.equal(parameter.grad, gradients.pop(name)), name
    assert gradients
    assert set(gradients.values()) == {None}


def test_attention_starts_near_the_map_without_a_hook_and_learns_where_to_look():
    torch.manual_seed(2)
    attention = CrossAttention(3, 4, Attention("a", 4, 4, 3, 0, heads=2))
    hook, net = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 4, 4)
    found = attention(hook, net)
    assert 0 < (found - net).std() < 0.2 * net.std()
    (found * torch.randn_like(found)).sum().backward()
    assert all(one.grad.abs().max() > 0 for one in attention.parameters())


def test_attention_that_wants_one_place_of_its_window_takes_it_from_there():
    attention = CrossAttention(1, 1, Attention("a", 1, 1, 3, 0))
    with torch.no_grad():
        for layer in (attention.value, attention.out):
            layer.weight.fill_(1.0)
        attention.place[0, 2] = 1000.0  # up and right
    hook = torch.arange(64.0).reshape(1, 1, 8, 8)
    found = attention(hook, torch.zeros(1, 1, 4, 4))
    assert torch.equal(found, hook[..., 1:5, 3:7])


def test_a_hooked_map_that_a_window_leaves_is_refused():
    attention = CrossAttention(1, 1, Attention("a", 1, 1, 5, 0))
    with pytest.raises(
        ShapeError, match="a hooked map of 6 px around one of 4 px; a window of 5 px needs 8 px"
    ):
        attention(torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("more", [{}, {"merge": "attention"}], ids=["concat", "attention"])
def test_views_as_small_as_may_be_give_the_targets_logits_of_larger_ones(more):
    of = leaky(patch_size=68, **more)
    network, least = random_network(of).eval(), of.shape.view_sizes(52)
    assert least[1] == (60 if more else 52)
    large = [torch.rand(1, 3, 100, 100).double() for _ in of.spacings]
    with torch.no_grad():
        small = network.target_logits(
            [centre_crop(one, size) for one, size in zip(large, least, strict=True)]
        )
        assert torch.allclose(small, centre_crop(network(large)[0], small.shape[-1]), atol=1e-12, rtol=0)
        with pytest.raises(ShapeError, match="views of"):
            network.target_logits([centre_crop(large[0], 52), centre_crop(large[1], least[1] - 8)])
