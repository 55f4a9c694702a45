import numpy as np
import pytest
import torch
from torch import nn

from hooknet.models.inception import ConvNorm, Fork, InceptionV3, Mixed
from hooknet.shapes.backbones import Filters

LAYOUTS = ["keras", "torchvision"]
# Keras's summary at 299 px: px a side and channels of mixed0 to mixed10.
MIXED = [(35, 256), (35, 288), (35, 288), *[(17, 768)] * 5, (8, 1280), (8, 2048), (8, 2048)]
# And parameters of its convolutions by their numbers.
KERNELS = {
    0: 864,
    1: 9_216,
    2: 18_432,
    3: 5_120,
    4: 138_240,
    5: 12_288,
    6: 9_216,
    7: 76_800,
    8: 12_288,
    9: 55_296,
    10: 82_944,
    11: 6_144,
    26: 995_328,
    31: 98_304,
    32: 114_688,
    33: 172_032,
    70: 147_456,
    71: 552_960,
    75: 331_776,
    76: 409_600,
    77: 491_520,
    78: 442_368,
    80: 573_440,
    81: 1_548_288,
    85: 655_360,
    93: 393_216,
}


def on_paper(layout):
    with torch.device("meta"):
        return InceptionV3(layout).eval()


@pytest.mark.parametrize(("layout", "trained"), [("keras", 21_768_352), ("torchvision", 21_785_568)])
def test_counts(layout, trained):
    network = on_paper(layout)
    statistics = sum(one.numel() for name, one in network.named_buffers() if "running" in name)
    assert sum(one.numel() for one in network.parameters()) == trained
    assert statistics == 34_432
    if layout == "keras":
        assert trained + statistics == 21_802_784


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stages_of_keras(layout):
    network = on_paper(layout)
    stem, mixed = [], []
    for part in network.stem:
        part.register_forward_hook(lambda _, seen, out: stem.append((seen[0].shape[2], out.shape[2])))
    for part in network.mixed:
        part.register_forward_hook(lambda _, __, out: mixed.append((out.shape[2], out.shape[1])))
    assert network(torch.zeros(1, 3, 299, 299, device="meta")).shape == (1, 2048, 8, 8)
    assert stem == [(299, 149), (149, 147), (147, 147), (73, 73), (73, 71)]
    assert mixed == MIXED


def test_parameters_of_keras_in_its_order():
    kernels = [one.weight.numel() for one in on_paper("keras").modules() if isinstance(one, nn.Conv2d)]
    assert len(kernels) == 94
    assert {number: kernels[number] for number in KERNELS} == KERNELS


def neutral(module):
    """Normalisation that leaves maps as they are."""
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.eps = 0.0
    return module.double().eval()


def numbers(layer):
    return layer.conv.weight.detach().numpy()


@pytest.mark.parametrize(("layout", "corner", "edge"), [("keras", 1, 1), ("torchvision", 4 / 9, 6 / 9)])
def test_averages_at_borders(layout, corner, edge):
    block = neutral(Mixed({"pool": (Filters(1, 1),)}, layout))
    block.branches["pool"][0].conv.weight.data.fill_(2)
    with torch.no_grad():
        found = block(torch.ones(1, 1, 5, 5, dtype=torch.float64))[0, 0].numpy()
    wanted = np.full((5, 5), 2.0)
    wanted[[0, -1]] = wanted[:, [0, -1]] = 2 * edge
    wanted[np.ix_([0, -1], [0, -1])] = 2 * corner
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_block_that_halves_ends_with_the_largest():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 2, 8, 8)))
    block = neutral(Mixed({"square": (Filters(2, 3, (3, 3), stride=2, same=False),)}, "keras"))
    with torch.no_grad():
        found = block(x).numpy()
    assert found.shape == (1, 5, 3, 3)
    for row, column in np.ndindex(3, 3):
        seen = x[0, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3].numpy()
        np.testing.assert_array_equal(found[0, 3:, row, column], seen.max(axis=(1, 2)))
        sums = np.tensordot(numbers(block.branches["square"][0]), seen, 3)
        np.testing.assert_allclose(found[0, :3, row, column], sums.clip(0), atol=1e-12)


def test_branches_are_joined_in_order():
    branches = {"point": (Filters(1, 1),), "twice": (Filters(1, 1), Filters(1, 2)), "pool": (Filters(1, 1),)}
    block = neutral(Mixed(branches, "keras"))
    for factor, branch in enumerate(block.branches.values(), start=2):
        for layer in branch:
            layer.conv.weight.data.fill_(factor)
    found = block(torch.ones(1, 1, 3, 3, dtype=torch.float64))[0, :, 1, 1]
    assert found.tolist() == [2, 9, 9, 4]


def test_rows_and_columns_side_by_side():
    fork = neutral(Fork(Filters(1, 1, (1, 3)), Filters(1, 1, (3, 1)), "torchvision"))
    for layer in (fork.row, fork.column):
        layer.conv.weight.data = torch.tensor([1.0, 2.0, 4.0]).double().reshape(layer.conv.weight.shape)
    one = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    one[0, 0, 1, 1] = 1
    row, column = fork(one)[0].tolist()
    assert row == [[0, 0, 0], [4, 2, 1], [0, 0, 0]]
    assert column == [[0, 4, 0], [0, 2, 0], [0, 1, 0]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_normalisation(layout):
    layer = ConvNorm(Filters(1, 1), layout).double().eval()
    layer.conv.weight.data.fill_(1)
    layer.bn.running_var.fill_(0.003)
    layer.bn.running_mean.fill_(0.5)
    layer.bn.bias.data.fill_(0.25)
    scale = 1
    if layout == "torchvision":
        scale = 3
        layer.bn.weight.data.fill_(scale)
    else:
        assert layer.bn.weight is None
    x = torch.tensor([0.0, 0.5, 2.0]).double().reshape(1, 1, 1, 3)
    wanted = scale * (x - 0.5) / 0.004**0.5 + 0.25
    torch.testing.assert_close(layer(x), wanted.clamp(min=0), rtol=1e-12, atol=0)
