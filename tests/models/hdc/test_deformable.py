import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hooknet.errors import ShapeError
from hooknet.models.hdc import deformable
from hooknet.models.hdc.deformable import (
    DeformableAggregation,
    DeformableConv2d,
    aggregated,
    convolved,
    modulated_deformable_conv,
)
from hooknet.models.hdc.sampling import Taps, WeightedRows, grid_samples

DOUBLE = torch.float64


def drawn(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def case(batch=2, channels=3, outgoing=4, size=(5, 7), dtype=DOUBLE):
    """Map, offsets of up to 3 px, masks, weight, bias."""
    return (
        drawn(batch, channels, *size, dtype=dtype),
        3 * drawn(batch, 18, *size, seed=1, dtype=dtype).tanh(),
        drawn(batch, 9, *size, seed=2, dtype=dtype).sigmoid(),
        drawn(outgoing, channels, 3, 3, seed=3, dtype=dtype),
        drawn(outgoing, seed=4, dtype=dtype),
    )


def by_hand(x, offsets, masks, weight, bias, dilation):
    """The definition, one sample after the other."""
    batch, _, height, width = x.shape
    found = bias.view(1, -1, 1, 1).repeat(batch, 1, height, width)

    def read(b, y, z):
        return x[b, :, y, z] if 0 <= y < height and 0 <= z < width else torch.zeros_like(x[b, :, 0, 0])

    for b in range(batch):
        for row in range(height):
            for column in range(width):
                for tap in range(9):
                    y = row + (tap // 3 - 1) * dilation + float(offsets[b, 2 * tap, row, column])
                    z = column + (tap % 3 - 1) * dilation + float(offsets[b, 2 * tap + 1, row, column])
                    top, left = int(y // 1), int(z // 1)
                    down, right = y - top, z - left
                    sample = (
                        (1 - down) * (1 - right) * read(b, top, left)
                        + (1 - down) * right * read(b, top, left + 1)
                        + down * (1 - right) * read(b, top + 1, left)
                        + down * right * read(b, top + 1, left + 1)
                    )
                    kernel = weight[:, :, tap // 3, tap % 3]
                    found[b, :, row, column] += kernel @ sample * masks[b, tap, row, column]
    return found


@pytest.fixture(params=["rows", "grid"])
def way(request, monkeypatch):
    """Both ways to take samples: that of a processor, and that of a GPU and of exported graphs."""
    monkeypatch.setattr(deformable, "uses_rows", lambda _: request.param == "rows")
    return request.param


@pytest.mark.parametrize("dilation", [1, 2, 4, 32])
@pytest.mark.parametrize("size", [(6, 9), (1, 1), (40, 3)])
def test_without_offsets_and_masks_it_is_a_plain_convolution(way, dilation, size):
    x, _, _, weight, bias = case(size=size)
    offsets, masks = x.new_zeros(2, 18, *size), x.new_ones(2, 9, *size)
    wanted = functional.conv2d(x, weight, bias, padding=dilation, dilation=dilation)
    found = modulated_deformable_conv(x, offsets, masks, weight, bias, dilation)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dilation", [1, 3])
def test_it_is_its_definition(way, dilation):
    given_ = case(batch=2, channels=2, outgoing=3, size=(4, 5))
    torch.testing.assert_close(
        modulated_deformable_conv(*given_, dilation), by_hand(*given_, dilation), rtol=0, atol=1e-12
    )


def test_whole_offsets_read_shifted_px_and_zero_outside(way):
    x, _, _, weight, bias = case(batch=1, size=(5, 6))
    offsets = x.new_zeros(1, 9, 2, 5, 6)
    offsets[:, :, 0], offsets[:, :, 1] = 2.0, -1.0  # two rows down, one column back
    found = modulated_deformable_conv(x, offsets.flatten(1, 2), x.new_ones(1, 9, 5, 6), weight, bias, 1)
    padded = functional.pad(x, (3, 3, 3, 3))
    wanted = functional.conv2d(padded, weight, bias)[:, :, 2 + 2 : 7 + 2, 2 - 1 : 8 - 1]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_half_a_px_off_the_border_reads_half_the_border_and_further_out_nothing(way):
    x = torch.ones(1, 1, 1, 3, dtype=DOUBLE)
    weight = torch.zeros(1, 1, 3, 3, dtype=DOUBLE)
    weight[..., 1, 1] = 1.0
    offsets = torch.zeros(1, 9, 2, 1, 3, dtype=DOUBLE)
    offsets[0, 4, 1, 0] = torch.tensor([-0.5, 0.25, 1.0])  # columns -0.5, 1.25 and 3
    found = modulated_deformable_conv(x, offsets.flatten(1, 2), torch.ones(1, 9, 1, 3, dtype=DOUBLE), weight,
                                      torch.zeros(1, dtype=DOUBLE), 1)  # fmt: skip
    assert found.flatten().tolist() == pytest.approx([0.5, 1.0, 0.0], abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 3),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    dilation=st.integers(1, 9),
    rows=st.integers(1, 8),
    far=st.sampled_from([0.5, 3.0, 1000.0]),
)
def test_rows_at_a_time_and_either_way_give_the_same_numbers_and_gradients(batch, size, dilation, rows, far):
    results = []
    for path, count in (("rows", size[0]), ("rows", rows), ("grid", size[0]), ("grid", rows)):
        x, offsets, masks, weight, bias = (one.requires_grad_() for one in case(batch, size=size))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deformable, "uses_rows", lambda _, path=path: path == "rows")
            found = convolved(x, Taps(far * offsets, masks, dilation), weight, bias, count)
            together = aggregated(x, Taps(far * offsets, masks, dilation), count)
        loss = (found * drawn(*found.shape, seed=5)).sum() + (together * drawn(*x.shape, seed=6)).sum()
        gradients = torch.autograd.grad(loss, (x, offsets, masks, weight, bias))
        results.append((found, together, *gradients))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_only_few_rows_are_done_at_once_where_the_map_is_large(monkeypatch):
    seen = []

    def spied(taps, **_):
        seen.append((taps.first, taps.offsets.shape[2]))
        return taps.masks

    monkeypatch.setattr(deformable, "LARGEST", 2 * 9 * 3 * 7 * 2)  # two rows of both maps
    x, offsets, masks, _, _ = case(size=(5, 7))
    rows = deformable.rows_at_once(x, 27)
    joined = deformable._in_parts(spied, Taps(offsets, masks, 1), rows)
    assert (rows, seen) == (2, [(0, 2), (2, 2), (4, 1)])
    assert torch.equal(joined, masks)


@pytest.mark.parametrize("rows", [1, 2])
def test_gradients_of_version_2(way, rows):
    given_ = [one.requires_grad_() for one in case(batch=2, channels=2, outgoing=1, size=(2, 1))]

    def convolve(x, offsets, masks, weight, bias):
        return convolved(x, Taps(offsets, masks, 2), weight, bias, rows)

    assert torch.autograd.gradcheck(convolve, given_)


def test_gradients_of_sums_of_rows():
    table, factors = drawn(5, 3).requires_grad_(), drawn(4, 2, seed=1).requires_grad_()
    rows = torch.tensor([[0, 0], [4, 1], [1, 0], [2, 2]], dtype=torch.int32)  # row 3 is never read
    assert torch.autograd.gradcheck(lambda a, b: WeightedRows.apply(a, rows, b), (table, factors))
    wanted = (table[rows.long()] * factors[..., None]).sum(dim=1)
    torch.testing.assert_close(WeightedRows.apply(table, rows, factors), wanted)


def test_half_precision_samples_where_single_precision_does(way):
    # At column 200 bf16 knows whole px only.
    x, offsets, masks, weight, bias = case(batch=1, channels=2, size=(2, 260), dtype=torch.float32)
    low = [one.bfloat16() for one in (x, offsets, masks, weight, bias)]
    found = modulated_deformable_conv(*low, 1)
    wanted = modulated_deformable_conv(*(one.float() for one in low), 1)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = modulated_deformable_conv(*(one.float() for one in low), 1)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, wanted, rtol=0.02, atol=0.1)


def test_offsets_of_another_size_are_refused():
    x, offsets, masks, weight, bias = case()
    with pytest.raises(ShapeError, match=r"map \(2, 3, 5, 7\): .* \(2, 16, 5, 7\) and .*; make them \(2, 18"):
        modulated_deformable_conv(x, offsets[:, :16], masks, weight, bias, 1)


def test_version_2_starts_as_an_eighth_of_a_plain_convolution():
    torch.manual_seed(0)
    layer, x = DeformableConv2d(6, 5, 2).double(), drawn(2, 6, 5, 4)
    assert sum(one.numel() for one in layer.parameters()) == 9 * 6 * 5 + 5 + 243 * 6 + 27
    share = 1 / (1 + torch.e**2)
    wanted = functional.conv2d(x, share * layer.kernel.weight, layer.kernel.bias, padding=2, dilation=2)
    torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-6)


def test_offsets_of_version_2_reach_three_px():
    layer, x = DeformableConv2d(1, 1), torch.zeros(1, 1, 1, 9)
    x[..., 7] = 1.0
    with torch.no_grad():
        layer.kernel.weight.zero_()
        layer.kernel.weight[..., 1, 1] = 1.0
        layer.kernel.bias.zero_()
        layer.offset.bias[9] = 100.0  # dx of the middle tap: tanh is 1
        layer.mask.bias.fill_(100.0)
        assert layer(x).flatten().tolist() == pytest.approx([0, 0, 0, 0, 1, 0, 0, 0, 0])


def identical(channels, dilation):
    """Version 3 whose 1x1 convolutions change nothing."""
    layer = DeformableAggregation(channels, dilation).double()
    with torch.no_grad():
        for one in (layer.value, layer.out):
            one.weight.copy_(torch.eye(channels)[:, :, None, None])
            one.bias.zero_()
    return layer


@pytest.mark.parametrize("dilation", [1, 2])
def test_version_3_starts_as_the_mean_of_nine_px(way, dilation):
    layer = identical(2, dilation)
    x = torch.arange(18, dtype=DOUBLE).view(1, 2, 3, 3)
    found = layer(x)
    if dilation == 1:
        assert found[0, 0].tolist() == pytest.approx(torch.tensor(
            [[8 / 9, 15 / 9, 12 / 9], [21 / 9, 36 / 9, 27 / 9], [20 / 9, 33 / 9, 24 / 9]]))  # fmt: skip
    kernel = torch.full((2, 1, 3, 3), 1 / 9, dtype=DOUBLE)
    wanted = functional.conv2d(x, kernel, padding=dilation, dilation=dilation, groups=2)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("channels", "groups"), [(48, 3), (24, 2), (6, 1), (17, 17), (1, 1), (32, 2)])
def test_groups_of_version_3_are_as_wide_as_may_be(channels, groups):
    assert DeformableAggregation(channels).groups == groups


def test_groups_of_version_3_look_where_they_want():
    layer = identical(32, 1)
    x = drawn(1, 32, 1, 8)
    with torch.no_grad():
        layer.offset.bias.view(2, 9, 2)[1, 4, 1] = 2.0  # second group, middle tap: two columns on
        layer.mask.bias.view(2, 9)[:, 4] = 100.0  # and nothing but the middle
    found = layer(x)
    torch.testing.assert_close(found[:, :16], x[:, :16])
    torch.testing.assert_close(found[:, 16:, :, :6], x[:, 16:, :, 2:])
    assert found[:, 16:, :, 6:].abs().max() < 1e-12


def test_gradients_of_version_3(way):
    torch.manual_seed(0)
    layer = DeformableAggregation(4).double()
    for one in layer.parameters():
        torch.nn.init.normal_(one, std=0.4)
    x = drawn(1, 4, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize("made", [DeformableConv2d(3, 4, 2), DeformableAggregation(6)])
def test_export_samples_by_grid_and_gives_the_same_numbers(made):
    for one in made.parameters():
        torch.nn.init.normal_(one, std=0.3)
    x = drawn(1, 3 if isinstance(made, DeformableConv2d) else 6, 5, 4, dtype=torch.float32)
    with torch.no_grad():
        exported = torch.export.export(made.eval(), (x,))
        torch.testing.assert_close(exported.module()(x), made(x), rtol=1e-4, atol=1e-4)
    called = {str(node.target) for node in exported.graph.nodes}
    assert any("grid_sampler" in one for one in called)
    assert not any("embedding" in one for one in called)


# Torch's own: its compiler makes an instance of each autograd function that it meets.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("largest", [2**22, 2**8])
def test_it_compiles_as_one_graph(monkeypatch, largest):
    monkeypatch.setattr(deformable, "LARGEST", largest)
    torch._dynamo.reset()
    layer = DeformableConv2d(2, 2)
    for one in layer.parameters():
        torch.nn.init.normal_(one, std=0.3)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    gradients = []
    for one in (layer, compiled):
        x = drawn(1, 2, 5, 6, dtype=torch.float32).requires_grad_()
        gradients.append(torch.autograd.grad(one(x).square().sum(), (x, *layer.parameters())))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_samples_by_grid_are_channels_then_taps():
    x = torch.arange(4, dtype=DOUBLE).view(1, 1, 2, 2).repeat(1, 2, 1, 1)
    x[:, 1] *= 10
    zeros = torch.zeros(1, 18, 2, 2, dtype=DOUBLE)
    samples = grid_samples(x, Taps(zeros, torch.ones(1, 9, 2, 2, dtype=DOUBLE), 1))
    assert samples[0, :, :, 0, 0].round(decimals=12).tolist() == [
        [0, 0, 0, 0, 0, 1, 0, 2, 3],
        [0, 0, 0, 0, 0, 10, 0, 20, 30],
    ]
