import math

import numpy as np
import pytest
import torch
from torch import nn

from hooknet.models.mobilenet import InvertedResidual, MobileNetV2, Same

LAYOUTS = ["keras", "torchvision"]
# Keras's summary at 224 px: px a side and channels of each block's output; parameters of its convolutions.
BLOCKS = [
    (112, 16, 288 + 512),
    (56, 24, 1_536 + 864 + 2_304),
    (56, 24, 3_456 + 1_296 + 3_456),
    (28, 32, 3_456 + 1_296 + 4_608),
    (28, 32, 6_144 + 1_728 + 6_144),
    (28, 32, 6_144 + 1_728 + 6_144),
    (14, 64, 6_144 + 1_728 + 12_288),
    *[(14, 64, 24_576 + 3_456 + 24_576)] * 3,
    (14, 96, 24_576 + 3_456 + 36_864),
    *[(14, 96, 55_296 + 5_184 + 55_296)] * 2,
    (7, 160, 55_296 + 5_184 + 92_160),
    *[(7, 160, 153_600 + 8_640 + 153_600)] * 2,
    (7, 320, 153_600 + 8_640 + 307_200),
]


def on_paper(layout):
    with torch.device("meta"):
        return MobileNetV2(layout).eval()


def weights(module):
    return sum(one.weight.numel() for one in module.modules() if isinstance(one, nn.Conv2d))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_counts_of_keras(layout):
    network = on_paper(layout)
    trained = sum(one.numel() for one in network.parameters())
    statistics = sum(one.numel() for name, one in network.named_buffers() if "running" in name)
    assert (trained, statistics) == (2_223_872, 34_112)
    assert trained + statistics == 2_257_984


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stages_of_keras(layout):
    network = on_paper(layout)
    found = []
    for block in network.blocks:
        block.register_forward_hook(
            lambda module, _, out: found.append((out.shape[2], out.shape[1], weights(module)))
        )
    stem = network.stem(torch.zeros(1, 3, 224, 224, device="meta"))
    assert stem.shape == (1, 32, 112, 112)
    assert weights(network.stem) == 864
    assert network(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 1280, 7, 7)
    assert found == BLOCKS
    assert network.blocks[1].expand.weight.numel() == 1_536
    assert network.head.weight.numel() == 409_600


def test_ten_blocks_add_their_input():
    """All but the first of each row of the paper's table."""
    adding = [number for number, block in enumerate(on_paper("keras").blocks) if block._adds]
    assert adding == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]


def convolved(x, kernels, stride, before, size):
    """Each channel with its own kernel, places outside the map as zeros; ``before``: their number at the left."""
    padded = np.pad(x, ((0, 0), (before, 3), (before, 3)))
    out = np.empty((len(x), size, size))
    for row, column in np.ndindex(size, size):
        seen = padded[:, row * stride : row * stride + 3, column * stride : column * stride + 3]
        out[:, row, column] = (seen * kernels).sum(axis=(1, 2))
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_padding(layout, stride, size):
    convolution = Same(2, 2, stride, layout, groups=2).double()
    x = np.random.default_rng(size).normal(size=(2, size, size))
    after = math.ceil(size / stride)
    before = max((after - 1) * stride + 3 - size, 0) // 2 if layout == "keras" else 1
    with torch.no_grad():
        found = convolution(torch.from_numpy(x)[None])[0].numpy()
    wanted = convolved(x, convolution.weight.detach()[:, 0].numpy(), stride, before, after)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_an_even_map_is_padded_at_the_right_and_below_by_keras_alone():
    first = torch.zeros(1, 1, 8, 8)
    first[0, 0, 0, 0] = 1
    for layout, weight in (("keras", 0), ("torchvision", 4)):
        convolution = Same(1, 1, 2, layout)
        convolution.weight.data = torch.arange(9.0).reshape(1, 1, 3, 3)
        assert convolution(first)[0, 0, 0, 0] == weight


def test_rows_and_columns_are_padded_each_by_their_own_length():
    convolution = Same(1, 1, 2, "keras")
    convolution.weight.data = torch.arange(9.0).reshape(1, 1, 3, 3)
    first = torch.zeros(1, 1, 8, 7)
    first[0, 0, 0, 0] = 1
    assert convolution(first).shape == (1, 1, 4, 4)
    assert convolution(first)[0, 0, 0, 0] == 1  # no row above, one column at the left


def normalised(x, norm, epsilon):
    numbers = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, scale, shift = (one.detach().numpy()[:, None, None] for one in numbers)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


@pytest.mark.parametrize(("layout", "epsilon"), [("keras", 1e-3), ("torchvision", 1e-5)])
def test_a_block_by_hand(layout, epsilon):
    torch.manual_seed(2)
    block = InvertedResidual(3, 2, 3, 1, layout).double().eval()
    for norm in (block.expand_norm, block.depthwise_norm, block.project_norm):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0, 0.01)  # so small that epsilon counts
    x = np.random.default_rng(1).normal(size=(3, 5, 5))
    kernels = [one.weight.detach().numpy() for one in (block.expand, block.depthwise, block.project)]
    wide = np.clip(normalised(np.tensordot(kernels[0][:, :, 0, 0], x, 1), block.expand_norm, epsilon), 0, 6)
    wide = np.clip(
        normalised(convolved(wide, kernels[1][:, 0], 1, 1, 5), block.depthwise_norm, epsilon), 0, 6
    )
    narrow = normalised(np.tensordot(kernels[2][:, :, 0, 0], wide, 1), block.project_norm, epsilon)
    with torch.no_grad():
        found = block(torch.from_numpy(x)[None])[0].numpy()
    assert wide.max() == 6
    np.testing.assert_allclose(found, x + narrow, rtol=1e-9)
