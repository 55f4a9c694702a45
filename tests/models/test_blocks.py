from __future__ import annotations

import numpy as np
import pytest
import torch

from hooknet.errors import ShapeError
from hooknet.models.blocks import Block, Merge, Style, UpBlock, centre_crop


def test_a_centre_crop_keeps_the_centre():
    features = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert centre_crop(features, 2).flatten().tolist() == [14, 15, 20, 21]
    assert torch.equal(centre_crop(features, 6), features)


@pytest.mark.parametrize("size", [3, 5, 8])
def test_a_crop_that_cannot_be_centred_is_refused(size):
    with pytest.raises(ShapeError, match=f"6 px has no centred {size} px crop"):
        centre_crop(torch.zeros(1, 1, 6, 6), size)


def test_normalisation_comes_after_the_activation_with_the_constants_of_keras():
    block = Block(1, 1, Style(1, "relu", True))
    assert block["bn0"].eps == 1e-3
    torch.nn.init.zeros_(block["conv0"].weight)
    torch.nn.init.constant_(block["conv0"].bias, -2.0)
    block["bn0"].running_mean.fill_(1.0)
    block["bn0"].running_var.fill_(4.0)
    # relu(-2) = 0, then (0 - 1) / sqrt(4 + 0.001); the other order would give relu(-1.5) = 0.
    found = block.eval()(torch.zeros(1, 1, 3, 3)).item()
    assert found == pytest.approx(-1 / 4.001**0.5, rel=1e-6)


def test_leaky_relu_lets_a_tenth_through():
    block = Block(1, 1, Style(1, "leaky_relu", False))
    torch.nn.init.zeros_(block["conv0"].weight)
    torch.nn.init.constant_(block["conv0"].bias, -2.0)
    assert block(torch.zeros(1, 1, 3, 3)).item() == pytest.approx(-0.2)


def test_up_sampling_repeats_pixels_and_is_not_normalised():
    up = UpBlock(1, 1, Style(1, "relu", True), 1)
    torch.nn.init.zeros_(up["up"].weight)
    up["up"].weight.data[0, 0, 1, 1] = 1.0  # the identity
    seen = []
    up["conv0"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    up(torch.arange(1.0, 10.0).reshape(1, 1, 3, 3), torch.zeros(1, 1, 6, 6))
    # 3x3 doubled is 6x6; one pixel is lost on every side; the skip is the first channel.
    assert seen[0][0, 0].tolist() == [[0] * 4] * 4
    assert seen[0][0, 1].tolist() == [[1, 2, 2, 3], [4, 5, 5, 6], [4, 5, 5, 6], [7, 8, 8, 9]]
    assert "bn_up" not in up


def test_block_kernels_are_drawn_as_he_normal_and_others_as_glorot_uniform():
    torch.manual_seed(0)
    kernel = Block(64, 128, Style(1, "relu", True))["conv0"].weight.detach().numpy()
    deviation = np.sqrt(2 / (64 * 9))
    assert kernel.std() == pytest.approx(deviation, rel=0.01)
    assert np.abs(kernel).max() <= 2 * deviation / 0.8796256610342398
    assert np.abs(kernel).max() > 1.99 * deviation / 0.8796256610342398  # a cut-off normal, not a uniform
    assert np.mean(np.abs(kernel) < deviation / 2) > 0.33  # a uniform of this deviation has 0.29

    up = UpBlock(64, 32, Style(1, "relu", True), 32)["up"].weight.detach().numpy()
    limit = np.sqrt(6 / (64 * 9 + 32 * 9))
    assert 0.99 * limit < np.abs(up).max() <= limit
    assert up.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert all(
        p.abs().max() == 0
        for name, p in Block(3, 4, Style(2, "relu", False)).named_parameters()
        if "bias" in name
    )


@pytest.mark.parametrize(("merge", "expected"), [("add", 8.0), ("subtract", 2.0), ("multiply", 15.0)])
def test_a_hook_is_projected_and_then_combined_hook_first(merge, expected):
    module = Merge(merge, 1, 1, "relu")
    torch.nn.init.constant_(module.proj.weight, 5.0)
    hook = torch.zeros(1, 1, 4, 4)
    hook[..., 1:3, 1:3] = 1.0  # only the centre is used
    assert module(hook, torch.full((1, 1, 2, 2), 3.0)).unique().tolist() == [expected]


def test_a_projection_is_rectified():
    module = Merge("add", 1, 1, "relu")
    torch.nn.init.constant_(module.proj.weight, -5.0)
    assert module(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0)).unique().tolist() == [3.0]


def test_concatenation_puts_the_hook_first():
    module = Merge("concat", 1, 1, "relu")
    assert module(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))[0, :, 0, 0].tolist() == [1, 0]
    assert not list(module.parameters())
