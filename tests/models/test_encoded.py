"""U-Nets and HookNets of own encoders: as foretold, without seams, and trained as others are."""

from __future__ import annotations

from dataclasses import replace

import made_networks
import made_slides
import numpy as np
import pytest
import torch
from made_maps import planned, segmented

from hooknet.errors import CheckpointError, ConfigError
from hooknet.io.slides import Slide
from hooknet.models.table import build_model
from hooknet.shapes.encoded import EncodedSettings, EncoderMap, EncoderSpec
from hooknet.shapes.work import Attention

ALIGNED = EncoderSpec("made_encoders:aligned", (2, 4), (4, 4), 4, 4, 396)
SEES_ALL = EncoderSpec("made_encoders:sees_all", (4,), (4,), 4, None, 196)


def settings(spacings=(0.5,), encoder=ALIGNED, **changes):
    small = {"classes": 3, "filters": 3, "depth": 2, "convolutions": 1, "patch_size": 32}
    return EncodedSettings(spacings=spacings, encoder=encoder, **(small | changes))


def network_of(of, seed=1):
    torch.manual_seed(seed)
    network = build_model("unet" if len(of.spacings) == 1 else "hooknet", of).eval()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return network


CASES = {
    "unet": settings(),
    "two branches": settings((0.5, 1.0)),
    "three branches, all with a loss": settings((0.5, 1.0, 4.0), loss_weights=(0.5, 0.3, 0.2)),
    "attention": settings((0.5, 2.0), merge="attention", window=3),
    "no normalisation": settings((0.5, 2.0), merge="add", batch_norm=False),
    "of all strides but one": settings(encoder=SEES_ALL),
}


@pytest.mark.parametrize("case", CASES)
def test_the_arithmetic_foretells_every_layer_of_the_built_network(case):
    of = CASES[case]
    with torch.device("meta"):
        network = build_model("unet" if len(of.spacings) == 1 else "hooknet", of)
    seen, logits = made_networks.layers_of(network)
    seen = {name: layer for name, layer in seen.items() if ".encoder." not in name}
    planned = list(network.shape.convolutions())
    own = [one for one in planned if not isinstance(one, (Attention, EncoderMap))]
    assert seen == {c.name: (c.incoming, c.outgoing, c.kernel, c.size, c.size) for c in own}
    assert network.shape.parameter_count == sum(one.numel() for one in network.parameters())
    assert [tuple(one.shape) for one in logits] == [(2, 3, 32, 32)] * len(network.output_branches)


@pytest.mark.parametrize("case", ["unet", "two branches", "three branches, all with a loss", "attention"])
def test_no_tile_size_shows_in_the_map(noise_slide, case):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = network_of(CASES[case])
    found = [segmented(network, slide, at_most, bands=3) for at_most in (1, 120, 260)]
    assert len({planned(network, slide, at_most).plan.tile.stride for at_most in (1, 120, 260)}) >= 2
    for labels, shares in found[1:]:
        assert np.abs(shares.astype(int) - found[0][1]).max() <= 1
        assert (labels != found[0][0]).mean() < 1e-3
    assert found[0][1][0].std() > 1


def test_less_rim_than_it_reaches_does_show(noise_slide):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = network_of(CASES["unet"])
    one, other = (segmented(network, slide, at_most, bands=3, rim=0)[1].astype(int) for at_most in (1, 120))
    assert np.abs(one - other).max() > 1


def test_an_encoder_that_sees_all_predicts_in_tiles_as_large_as_patches(noise_slide):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = network_of(settings((0.5, 1.0), encoder=SEES_ALL))
    assert planned(network, slide, None).plan.tile.sizes == (32, 32)
    assert (segmented(network, slide, None) > 0).all()


@pytest.mark.parametrize("branch", [0, 1])
def test_a_map_lies_on_what_its_branch_sees(tmp_path, branch):
    """A network set by hand: the colour of each square of 4 px, through encoder and decoder of target or context."""
    spacings = (0.5,) if branch == 0 else (0.5, 2.0)
    of = settings(spacings, encoder=replace(SEES_ALL, rim=0), classes=2, batch_norm=False, filters=1, depth=2)
    network = build_model("unet" if branch == 0 else "hooknet", of).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    for own in network.values():
        own["encoder"].forward = lambda x: [torch.nn.functional.avg_pool2d(x, 4).repeat(1, 2, 1, 1)[:, :4]]
    with torch.no_grad():
        seen = network["context" if branch else "target"]
        for depth in (1, 0):
            seen[f"dec{depth}"]["up"].weight[0, 0, 1, 1] = 1.0
            seen[f"dec{depth}"]["conv0"].weight[0, 0, 1, 1] = 1.0
            if branch:
                network["target"][f"dec{depth}"]["up"].weight[0, 0, 1, 1] = 1.0  # hooks come first
                network["target"][f"dec{depth}"]["conv0"].weight[0, 0, 1, 1] = 1.0
        out = network["target"]["out"]
        out.weight[0, 0], out.weight[1, 0], out.bias[0], out.bias[1] = -1.0, 1.0, 0.5, -0.5
    side = 4 if branch == 0 else 16  # target px of what the network sees as one
    coarse = np.kron(
        made_slides.random_bits(176 // side, 224 // side, seed=6), np.ones((side, side), np.uint8)
    )
    slide = Slide(
        made_slides.write_slide(tmp_path / "s.tif", made_slides.grey(coarse * 255)), made_slides.square(0.5)
    )
    np.testing.assert_array_equal(segmented(network, slide, None), coarse + 1)


def test_every_parameter_gets_a_gradient_but_those_of_a_frozen_encoder():
    for frozen in (False, True):
        network = network_of(settings((0.5, 1.0), encoder=replace(ALIGNED, frozen=frozen))).train()
        network([torch.rand(2, 3, 32, 32)] * 2)[0].square().sum().backward()
        without = [name for name, one in network.named_parameters() if one.grad is None]
        assert bool(without) == frozen
        assert all(".encoder." in name for name in without)
        assert network["target"]["encoder"].training is not frozen
        assert network["target"]["dec0"].training


def test_weights_go_into_the_encoders_of_all_branches(tmp_path):
    network = network_of(settings((0.5, 1.0)))
    state = {key: torch.rand_like(one) for key, one in network["target"]["encoder"].state_dict().items()}
    network.load_encoders(state, tmp_path / "w.pt")
    for branch in ("target", "context"):
        assert all(
            torch.equal(one, state[key]) for key, one in network[branch]["encoder"].state_dict().items()
        )
    with pytest.raises(CheckpointError, match=r"w\.pt: "):
        network.load_encoders({"w": torch.ones(1)}, tmp_path / "w.pt")


def test_maps_of_another_size_than_stated_are_one_line():
    network = network_of(settings(encoder=EncoderSpec("made_encoders:too_small", (4,), (4,), 4, None, 196)))
    with pytest.raises(
        ConfigError, match=r"it makes maps of \[\(4, 8, 7\)\] of a view of 32 px, wanted \[\(4, 8, 8\)\]"
    ):
        network([torch.rand(1, 3, 32, 32)])
