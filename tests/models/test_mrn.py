from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from made_networks import layers_of
from numpy_network import NumpyMRN
from torch.nn import functional

from hooknet.errors import ShapeError
from hooknet.models.mrn import MRN, align
from hooknet.shapes.mrn import MRNSettings

NAMES = ("target", "context", "context2")


def settings(**changes):
    small = {"spacings": (0.5, 2.0), "classes": 3, "filters": 2, "depth": 2, "patch_size": 32}
    return MRNSettings(**(small | changes))


def random_network(of, seed=0):
    """In double precision, with statistics of a network that has seen something."""
    torch.manual_seed(seed)
    network = MRN(of).double().eval()
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dtype == torch.float64 and tensor.ndim == 1:
                tensor.normal_(0.1, 0.3)
    return network


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spacings": (0.5, 8.0), "depth": 3, "convolutions": 1},
        {"spacings": (0.25, 0.5, 4.0), "activation": "leaky_relu"},
        {"batch_norm": False, "depth": 1, "convolutions": 3},
        {"spacings": (0.5, 8.0), "depth": 4, "filters": 1},
    ],
)
def test_it_computes_what_plain_numpy_computes(changes, training):
    of = settings(**changes)
    network = random_network(of).train(training)
    patches = [torch.rand(2, 3, 32, 32).double() for _ in of.spacings]
    reference = NumpyMRN(
        {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()},
        NAMES,
        of.depth,
        of.convolutions,
        (),
        activation=of.activation,
        batch_norm=of.batch_norm,
        training=training,
    )
    ratios = [round(spacing / of.spacings[0]) for spacing in of.spacings[1:]]
    expected = reference([patch.numpy() for patch in patches], ratios)
    with torch.no_grad():
        (found,) = network(patches)
    assert expected.std() > 1e-3
    assert np.abs(found.numpy() - expected).max() < 1e-10


def places(size, spacing, depth):
    """Where each feature px of a centred patch lies, in µm from the centre: x and y, average-pooled ``depth`` times."""
    axis = (torch.arange(size, dtype=torch.float64) + 0.5 - size / 2) * spacing
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return functional.avg_pool2d(torch.stack([columns, rows])[None], 2**depth)


@pytest.mark.parametrize("ratio", [2, 4, 8, 16])
@pytest.mark.parametrize(("size", "depths"), [(256, 4), (160, 5), (48, 4), (832, 4)])
def test_contexts_lie_on_the_target_to_a_tenth_of_a_feature_pixel_at_every_depth(ratio, size, depths):
    for depth in range(depths + 1):
        own, context = places(size, 0.5, depth), places(size, 0.5 * ratio, depth)
        pixel = 0.5 * 2**depth
        if own.shape[-1] * (1 - 1 / ratio) >= 2:  # else interpolation meets the map's border
            assert (align(context, 1 / ratio, size >> depth) - own).abs().max() < 0.1 * pixel


def test_the_check_of_alignment_would_see_a_crop_by_whole_pixels():
    # 16 times the spacing at depth 4 of 256 px: the centred crop is one px about a corner of four.
    own, context = places(256, 0.5, 4), places(256, 8.0, 4)
    cropped = context[..., 7:8, 7:8].expand_as(own)
    assert (cropped - own).abs().max() > 7.5 * 8.0
    assert abs(float((cropped - own).mean())) == pytest.approx(64.0)


def test_the_maps_that_are_joined_are_those_of_one_place():
    # All encoders hand on the average of the place they look at: the joined maps must agree.
    of = settings(spacings=(0.5, 2.0, 8.0), depth=3, patch_size=64)
    network, joined = MRN(of), []
    for branch, spacing in enumerate(of.spacings):
        maps = [places(64, spacing, depth) for depth in range(4)]
        network[("target", "context", "context2")[branch]].encode = lambda _, maps=maps: maps
    network["target"].decode = lambda maps: joined.extend(maps) or maps[0][0]
    network([torch.zeros(1, 3, 64, 64)] * 3)
    for depth, (target, context, context2) in enumerate(joined):
        assert (context - target).abs().max() < 0.1 * 0.5 * 2**depth
        assert (context2 - target).abs().max() < 0.1 * 0.5 * 2**depth


def test_alignment_holds_under_mixed_precision():
    # In bf16 a sampling grid would have 8 bits: off by px at the rim of a large tile.
    context, own = (places(1024, spacing, 0).float() for spacing in (8.0, 0.5))
    with torch.autocast("cpu", torch.bfloat16):
        found = align(context, 1 / 16, 1024)
    assert found.dtype == torch.float32
    assert (found - own).abs().max() < 0.1 * 0.5
    of = settings(spacings=(0.5, 8.0), depth=3, filters=4, patch_size=64)
    network = random_network(of).float()
    patches = [torch.rand(1, 3, 64, 64) for _ in of.spacings]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        (mixed,) = network(patches)
    (full,) = network(patches)
    assert (mixed.float() - full).abs().max() < 0.05 * full.abs().max()


@given(ratio=st.sampled_from([1, 2, 4, 8]), size=st.sampled_from([8, 16, 32]), channels=st.integers(1, 3))
@how(max_examples=20, deadline=None)
def test_align_is_enlarging_and_then_cutting_out_the_middle(ratio, size, channels):
    x = torch.rand(2, channels, size, size, dtype=torch.float64)
    enlarged = functional.interpolate(x, scale_factor=ratio, mode="bilinear", align_corners=False)
    start = (size * ratio - size) // 2
    expected = enlarged[..., start : start + size, start : start + size]
    assert (align(x, 1 / ratio, size) - expected).abs().max() < 1e-12


@st.composite
def any_settings(draw):
    depth = draw(st.integers(1, 4))
    spacings = [draw(st.sampled_from([0.25, 0.5, 0.2277]))]
    for _ in range(draw(st.integers(1, 3))):
        spacings.append(spacings[-1] * 2 ** draw(st.integers(1, 3)))
    return MRNSettings(
        spacings=tuple(spacings),
        classes=draw(st.integers(1, 3)),
        filters=draw(st.integers(1, 2)),
        depth=depth,
        convolutions=draw(st.integers(1, 3)),
        batch_norm=draw(st.booleans()),
        patch_size=2**depth * draw(st.integers(1, 5)),
    )


@how(max_examples=25, deadline=None)
@given(of=any_settings())
def test_the_arithmetic_foretells_every_layer_of_the_built_network(of):
    with torch.device("meta"):
        network = MRN(of)
    seen, (logits,) = layers_of(network)
    size = of.patch_size
    planned = list(network.shape.convolutions())
    assert seen == {c.name: (c.incoming, c.outgoing, c.kernel, c.size, c.size) for c in planned}
    assert network.shape.parameter_count == sum(p.numel() for p in network.parameters())
    assert tuple(logits.shape) == (2, of.classes, size, size)


@pytest.mark.parametrize(
    ("spacings", "depth", "convolutions"),
    [((1.0, 2.0), 2, 2), ((1.0, 8.0), 3, 1), ((0.5, 2.0), 3, 2), ((1.0, 2.0, 4.0), 2, 2)],
)
def test_what_is_kept_of_a_tile_does_not_depend_on_the_tile(spacings, depth, convolutions):
    of = settings(spacings=spacings, depth=depth, convolutions=convolutions, patch_size=4 * 2**depth)
    network = random_network(of)
    tile = next(network.shape.tiles())
    more = 4 * 2 ** (depth + 1)
    wide = [torch.rand(1, 3, size + more, size + more).double() for size in tile.sizes]
    near = [one[..., more // 2 : -more // 2, more // 2 : -more // 2] for one in wide]
    with torch.no_grad():
        large, small = network.target_logits(wide), network.target_logits(near)
    part = large[..., more // 2 : -more // 2, more // 2 : -more // 2]
    rim = (tile.sizes[0] - tile.stride) // 2
    assert rim >= network.shape.rim
    assert (part - small)[..., rim:-rim, rim:-rim].abs().max() < 1e-9
    assert (part - small).abs().max() > 1e-3  # at the border the padding does show


def test_views_of_one_size_give_the_logits_of_training():
    network = random_network(settings(spacings=(1.0, 8.0), depth=2, convolutions=1, patch_size=128))
    patches = [torch.rand(1, 3, 128, 128).double() for _ in range(2)]
    with torch.no_grad():
        torch.testing.assert_close(network.target_logits(patches), network(patches)[0], rtol=0, atol=0)


def test_views_too_small_are_refused():
    network = random_network(settings(spacings=(1.0, 2.0), depth=2, convolutions=1, patch_size=64))
    target, context = network.shape.view_sizes(64)
    with pytest.raises(
        ShapeError, match=f"give one for each spacing, of \\({target}, {context}\\) px or more"
    ):
        network.target_logits([torch.rand(1, 3, 64, 64), torch.rand(1, 3, context - 8, context - 8)])


@pytest.mark.parametrize("sizes", [(32,), (32, 16), (36, 36), (0, 0)])
def test_patches_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ShapeError):
        MRN(settings(depth=3))([torch.zeros(1, 3, size, size) for size in sizes])


def test_weight_decay_leaves_out_the_output_only():
    network = MRN(settings())
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    kernels = {name for name, p in network.named_parameters() if p.ndim == 4}
    assert {names[id(kernel)] for kernel in network.regularised_kernels()} == kernels - {"target.out.weight"}
