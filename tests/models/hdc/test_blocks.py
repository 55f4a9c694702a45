import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from hooknet.errors import ShapeError
from hooknet.models.hdc.blocks.bottleneck import Bottleneck
from hooknet.models.hdc.blocks.fno import SpectralMixing
from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.rwkv import GlobalMixing
from hooknet.models.hdc.blocks.swin import WindowAttention
from hooknet.models.hdc.blocks.table import BLOCKS, build_block
from hooknet.models.hdc.blocks.wavelet import haar, haar_back
from hooknet.models.hdc.norm import ChannelNorm, norm

DOUBLE = torch.float64
# Every block of the table, and the deformable one in both versions.
VARIANTS = [(name, version) for name in BLOCKS for version in ((2, 3) if name == "dcn" else (2,))]
every_block = pytest.mark.parametrize(("name", "version"), VARIANTS)


def made(name, version, width=12, **options):
    torch.manual_seed(0)
    return build_block(name, width, BlockOptions(index=1, version=version, **options))


def awake(block, seed=0):
    """The block after some training: nothing is as small as it starts."""
    torch.manual_seed(seed)
    for one in block.parameters():
        nn.init.normal_(one, std=0.3)
    with torch.no_grad():  # scales stay about 1: a ReLU after one of nothing would be silent for good
        for one in block.modules():
            if isinstance(one, (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)):
                one.weight += 1
    return block


def drawn(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@every_block
@pytest.mark.parametrize("kind", ["group", "batch"])
@pytest.mark.parametrize(
    ("channels", "height", "width"), [(12, 8, 8), (1, 5, 3), (7, 1, 9), (6, 15, 2), (16, 1, 1)]
)
def test_any_map_keeps_its_shape(name, version, kind, channels, height, width):
    block = awake(made(name, version, channels, norm=kind, dilation=2)).eval()
    x = drawn(2, channels, height, width, dtype=torch.float32)
    found = block(x)
    assert found.shape == x.shape
    assert found.isfinite().all()
    assert (found - x).abs().max() > 1e-3


@every_block
def test_a_gradient_reaches_every_parameter(name, version):
    block, x = made(name, version), drawn(2, 12, 34, 33, dtype=torch.float32).requires_grad_()
    (block(x) * drawn(2, 12, 34, 33, seed=1, dtype=torch.float32)).sum().backward()
    silent = {key for key, one in block.named_parameters() if one.grad is None or not one.grad.any()}
    # While offsets and masks do not depend on the map, what tells them has no say.
    still = {"around.0.weight", "around.0.bias", "around.1.weight", "around.1.bias"}
    wanted = {f"convolution.{one}" for one in still} if (name, version) == ("dcn", 3) else set()
    assert silent == wanted
    assert x.grad.any(dim=-1).all()


@every_block
def test_once_awake_a_gradient_reaches_every_number_of_every_parameter(name, version):
    # 16 channels: were there one in each group, a normalisation would take every bias before it away again.
    block, x = awake(made(name, version, 16)), drawn(2, 16, 34, 35, dtype=torch.float32)
    (block(x) * drawn(2, 16, 34, 35, seed=1, dtype=torch.float32)).sum().backward()
    silent = {key: int((one.grad == 0).sum()) for key, one in block.named_parameters()}
    if name == "fno":
        # A mean is real: the imaginary parts of its weights, 8 x 8 in both groups, say nothing.
        assert silent.pop("mixing.weight") <= 128
    assert set(silent.values()) == {0}


def test_a_new_block_of_convnext_changes_next_to_nothing():
    block, x = made("convnext", 2), drawn(1, 12, 6, 6, dtype=torch.float32)
    assert 0 < (block(x) - x).abs().max() < 1e-4


@every_block
def test_batch_items_are_kept_apart_and_gradients_are_right(name, version):
    block, x = awake(made(name, version, 4)).double(), drawn(3, 4, 9, 8)
    together = block(x)
    for number in range(3):
        torch.testing.assert_close(block(x[number : number + 1]), together[number : number + 1])
    changed = x.clone()
    changed[1] += 1
    assert torch.equal(block(changed)[[0, 2]], together[[0, 2]])


@every_block
def test_half_precision_is_nearly_single_precision(name, version):
    block, x = awake(made(name, version, 8)), 0.5 * drawn(1, 8, 10, 9, dtype=torch.float32)
    with torch.no_grad():
        wanted = block(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = block(x).float()
    assert (found - wanted).norm() < 0.05 * wanted.norm()


def test_dilation_and_version_and_norm_are_heeded():
    def seen_by_the_middle(block, size=41):
        """How far from the middle px a change is noticed there."""
        x = drawn(1, 4, size, size).requires_grad_()
        (gradient,) = torch.autograd.grad(block.double().eval()(x)[0, :, size // 2, size // 2].sum(), x)
        rows = gradient.abs().amax(dim=(0, 1, 3)).nonzero().flatten()
        return int((rows - size // 2).abs().max())

    reaches = {
        far: seen_by_the_middle(awake(made("basic", 2, 4, dilation=far, norm="batch"))) for far in (1, 4)
    }
    assert reaches == {1: 2, 4: 8}
    # An offset of up to 3 px and bilinear sampling look one px further; untrained, it is the plain kernel.
    assert seen_by_the_middle(made("dcn", 2, 4, dilation=8, norm="batch")) == 8
    assert 8 < seen_by_the_middle(awake(made("dcn", 2, 4, dilation=8, norm="batch"))) <= 12
    assert seen_by_the_middle(made("dcn", 3, 4, dilation=8, norm="batch")) == 8


def test_an_unknown_block_is_refused():
    with pytest.raises(ShapeError, match="block 'mamba'; use one of basic, convnext, dcn, inverted_residual"):
        build_block("mamba", 8, BlockOptions(index=0))


@pytest.mark.parametrize(("incoming", "projected"), [(64, True), (256, False)])
def test_a_bottleneck_projects_what_does_not_fit(incoming, projected):
    block = Bottleneck(incoming, 64, "group")
    inner = 64 * incoming + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256)
    outer = 256 * incoming + 2 * 256 if projected else 0
    assert sum(one.numel() for one in block.parameters()) == inner + outer
    x = drawn(1, incoming, 3, 5, dtype=torch.float32)
    assert block(x).shape == (1, 256, 3, 5)
    with torch.no_grad():
        block.inner[-1].weight.zero_()
        torch.testing.assert_close(block(x), functional.relu(block.shortcut(x)))


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (12, 6), (7, 7), (11, 1), (1, 1), (18, 6)])
def test_groups_of_a_normalisation_divide_the_channels(channels, groups):
    assert norm("group", channels).num_groups == groups
    assert isinstance(norm("batch", channels), nn.BatchNorm2d)


def test_channels_of_each_px_are_normalised():
    found = ChannelNorm(4).double()(
        torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0]]).double().t()[None, :, None]
    )
    assert found[0, :, 0, 0].tolist() == pytest.approx([-1.3416, -0.4472, 0.4472, 1.3416], abs=1e-4)
    assert found[0, :, 0, 1].tolist() == [0, 0, 0, 0]


def looks_at(attention, row, column, size):
    """The px (row, column) that px sees."""
    x = drawn(1, 4, *size).requires_grad_()
    (gradient,) = torch.autograd.grad(attention(x)[0, :, row, column].sum(), x)
    return {tuple(one.tolist()) for one in gradient.abs().sum(dim=(0, 1)).nonzero()}


def block_of(rows, columns):
    return {(row, column) for row in rows for column in columns}


@pytest.mark.parametrize(
    ("shift", "at", "rows", "columns"),
    [
        (0, (0, 0), range(7), range(7)),
        (0, (7, 13), range(7, 14), range(7, 14)),
        (3, (0, 0), range(3), range(3)),  # what wraps round is not seen
        (3, (5, 5), range(3, 10), range(3, 10)),
        (3, (13, 5), range(10, 14), range(3, 10)),
        (3, (1, 12), range(3), range(10, 14)),
    ],
)
def test_px_see_their_window_shifted_or_not(shift, at, rows, columns):
    attention = awake(WindowAttention(4, shift)).double()
    assert looks_at(attention, *at, (14, 14)) == block_of(rows, columns)


@pytest.mark.parametrize(
    ("size", "at", "rows", "columns"),
    [
        ((5, 4), (0, 0), range(5), range(4)),  # one window is not shifted
        ((9, 5), (0, 4), range(3), range(5)),
        ((9, 5), (8, 0), range(3, 9), range(5)),
        ((11, 7), (10, 0), range(10, 11), range(7)),
    ],
)
def test_windows_that_are_not_full_see_nothing_beyond_the_map(size, at, rows, columns):
    attention = awake(WindowAttention(4, 3)).double()
    assert looks_at(attention, *at, size) == block_of(rows, columns)


def test_every_other_block_shifts_its_windows():
    shifts = [build_block("swin", 8, BlockOptions(index)).attention[1].shift for index in range(4)]
    assert shifts == [0, 3, 0, 3]


def test_attention_is_its_definition_within_one_window():
    attention = awake(WindowAttention(4, 0)).double()
    x = drawn(1, 4, 7, 7)
    tokens = x.flatten(2)[0].t()
    kernel, bias = attention.seen.weight[:, :, 0, 0], attention.seen.bias
    query, key, value = (tokens @ kernel.t() + bias).chunk(3, dim=1)
    found = torch.zeros(49, 4, dtype=DOUBLE)
    for head in range(4):  # of one channel each
        likeness = query[:, head, None] * key[None, :, head]
        for a in range(49):
            for b in range(49):
                down, along = a // 7 - b // 7, a % 7 - b % 7
                likeness[a, b] = likeness[a, b] + attention.biases[head, (down + 6) * 13 + along + 6]
        found[:, head] = likeness.softmax(dim=1) @ value[:, head]
    wanted = found @ attention.out.weight[:, :, 0, 0].t() + attention.out.bias
    torch.testing.assert_close(attention(x)[0].flatten(1).t(), wanted)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), down=st.integers(-9, 9), along=st.integers(-9, 9))
def test_mixing_by_frequency_commutes_with_shifts(height, width, down, along):
    torch.manual_seed(0)
    mixing, x = SpectralMixing(4).double(), drawn(1, 4, height, width)
    found = mixing(x)
    assert found.dtype == DOUBLE
    shifted = mixing(x.roll((down, along), (2, 3)))
    torch.testing.assert_close(shifted, found.roll((down, along), (2, 3)), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("row", "column"), [(3, 2), (-3, 2), (0, 0), (15, 15), (-16, 15), (16, 2), (3, 16)])
def test_a_wave_comes_out_weighed_and_higher_ones_not_at_all(row, column):
    mixing = SpectralMixing(1).double()
    torch.manual_seed(1)
    nn.init.normal_(mixing.weight)
    place = torch.arange(40, dtype=DOUBLE)
    angle = 2 * torch.pi * (row * place[:, None] + column * place[None, :]) / 40
    found = mixing(angle.cos()[None, None])[0, 0]
    if max(row, column) >= 16:
        assert found.abs().max() < 1e-12
        return
    real, imaginary = mixing.weight[0, 0, 0, row, column]
    wanted = real * angle.cos() - imaginary * angle.sin()
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_a_wide_fourier_block_stays_below_five_million():
    width = 384
    count = sum(one.numel() for one in build_block("fno", width, BlockOptions(0)).parameters())
    assert count == 1024 * width * 8 + 4 * width**2 + 3 * width == 3_736_704


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 2), channels=st.integers(1, 3), height=st.integers(1, 6), width=st.integers(1, 6))
def test_the_haar_transform_is_exactly_invertible_and_keeps_energy(batch, channels, height, width):
    x = drawn(batch, channels, 2 * height, 2 * width)
    bands = haar(x)
    assert bands.shape == (batch, 4 * channels, height, width)
    torch.testing.assert_close(haar_back(bands), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(haar(haar_back(bands)), bands, rtol=0, atol=1e-12)
    torch.testing.assert_close(bands.square().sum(), x.square().sum(), rtol=1e-12, atol=0)


def test_bands_of_the_haar_transform():
    x = torch.tensor([[1.0, 2.0], [4.0, 8.0]], dtype=DOUBLE)[None, None]
    assert haar(x).flatten().tolist() == [7.5, -2.5, -4.5, 1.5]


def test_global_mixing_is_its_definition_and_bears_large_keys():
    mixing = awake(GlobalMixing(2)).double()
    x = drawn(1, 2, 2, 3)
    px = x.flatten(2)[0].t()
    before = torch.cat([torch.zeros(1, 2, dtype=DOUBLE), px[:-1]])
    mixed = [own.t() * px + (1 - own.t()) * before for own in mixing.own]
    key, value, gate = (
        layer(one) for layer, one in zip((mixing.key, mixing.value, mixing.gate), mixed, strict=True)
    )
    seen = (key.exp() * value).sum(dim=0) / key.exp().sum(dim=0)
    wanted = gate.sigmoid() * mixing.out(seen)
    torch.testing.assert_close(mixing(x)[0].flatten(1).t(), wanted)
    with torch.no_grad():
        mixing.key.weight.mul_(1e4)
    assert mixing(x).isfinite().all()
