import pytest
import torch
from torch import nn
from torch.nn import functional

from hooknet.models.refiners.agunet import AttentionGate
from hooknet.models.refiners.blocks import NORMS
from hooknet.models.refiners.dagunet import ChannelAttention, PositionAttention
from hooknet.models.refiners.doubleunet import SqueezeExcite
from hooknet.models.refiners.renorm import BatchRenorm2d
from hooknet.models.refiners.table import REFINERS, build_refiner
from hooknet.shapes.refiner import RefinerShape
from hooknet.training.dice import soft_dice

NETWORKS = sorted(REFINERS)


def drawn(shape, seed=0):
    torch.manual_seed(seed)
    return build_refiner(shape)


def images_of(shape, batch=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, shape.inputs, shape.size, shape.size, generator=generator)


def numbers(network):
    return sum(one.numel() for one in network.parameters())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("size", "heat", "classes", "norm"),
    [(1024, 1, 2, "renorm"), (256, 0, 3, "batch"), (64, 1, 2, "batch"), (16, 2, 4, "renorm")],
)
def test_parameters_are_those_of_the_arithmetic(network, size, heat, classes, norm):
    shape = RefinerShape(network, size, heat, classes, norm)
    assert numbers(build_refiner(shape)) == shape.parameter_count


def test_parameters_at_the_published_size():
    counts = {network: RefinerShape(network, 1024, 1, 2).parameter_count for network in NETWORKS}
    assert counts == {
        "unet": 11_563_410,
        "agunet": 7_659_915,
        "dagunet": 10_064_776,
        "doubleunet": 16_010_292,
    }


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("norm", ["renorm", "batch"])
def test_logits_of_each_output_have_its_stride_in_training_and_inference(network, norm):
    shape = RefinerShape(network, 256, 1, 3, norm)
    built, images = drawn(shape), images_of(shape)
    wanted = [(1, 3, 256 // stride, 256 // stride) for stride in shape.output_strides]
    for mode in (True, False):
        with torch.no_grad():
            assert [tuple(one.shape) for one in built.train(mode)(images)] == wanted
    limits = {(one.r_max, one.d_max) for one in built.modules() if isinstance(one, BatchRenorm2d)}
    assert limits == {(3.0, 5.0) if norm == "renorm" else (1.0, 0.0)}


def test_batch_normalisation_is_torchs_at_every_step_but_for_how_its_statistics_start():
    ours, theirs = NORMS["batch"](3).double(), nn.BatchNorm2d(3, eps=1e-3).double()
    generator = torch.Generator().manual_seed(0)
    images = [5 + 3 * torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(3)]
    for one in images[:2]:
        torch.testing.assert_close(ours(one), theirs(one))
    mean = torch.stack([one.mean(dim=(0, 2, 3)) for one in images[:2]]).mean(dim=0)
    torch.testing.assert_close(ours.running_mean, mean)
    ours.num_batches_tracked.fill_(10**6)  # where renormalisation has its widest limits
    torch.testing.assert_close(ours(images[2]), theirs(images[2]))


@pytest.mark.parametrize("network", NETWORKS)
def test_all_parameters_learn_and_all_inputs_are_seen(network):
    shape = RefinerShape(network, 32, 1, 2)
    built, images = drawn(shape), images_of(shape, batch=2).requires_grad_()
    outputs = built(images)
    torch.stack([one.square().mean() for one in outputs]).sum().backward()
    without = [name for name, one in built.named_parameters() if one.grad is None]
    assert without == []
    assert images.grad.abs().amax(dim=(0, 2, 3)).min() > 0


@pytest.mark.parametrize(
    ("network", "reach"), [("unet", 56), ("doubleunet", 56), ("agunet", 32), ("dagunet", 32)]
)
def test_a_corner_is_told_about_the_opposite_one_or_the_middle(network, reach):
    # Bottlenecks of 4 px are seen as a whole; of 8 px half, while attention adds nothing.
    shape = RefinerShape(network, 64, 1, 2)
    built, images = drawn(shape).eval(), images_of(shape).requires_grad_()
    (gradient,) = torch.autograd.grad(built(images)[0][0, 0, 0, 0], images)
    assert gradient[0, :, reach:, reach:].abs().max() > 0


@pytest.mark.parametrize("network", NETWORKS)
def test_inference_is_repeatable_and_exports(network):
    shape = RefinerShape(network, 32, 1, 2)
    built, images = drawn(shape).eval(), images_of(shape)
    exported = torch.export.export(built, (images,)).module()
    with torch.no_grad():
        made = built(images)
        for one, again, other in zip(made, built(images), exported(images), strict=True):
            assert torch.equal(one, again)
            torch.testing.assert_close(other, one)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_loss_in_half_precision_is_nearly_that_in_single_and_can_be_learnt_from(network):
    shape = RefinerShape(network, 32, 1, 2)
    built, images = drawn(shape), images_of(shape, batch=2)
    for module in built.modules():
        if isinstance(module, (nn.Dropout, nn.Dropout2d)):
            module.p = 0.0
    labels = torch.randint(0, 3, (2, 32, 32), generator=torch.Generator().manual_seed(2))
    losses = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            outputs = built(images)
            losses.append(soft_dice(outputs, labels, shape, (2,)))
        assert {one.dtype for one in outputs} == {torch.bfloat16 if half else torch.float32}
    losses[1].backward()
    assert float(losses[1].detach()) == pytest.approx(float(losses[0].detach()), abs=0.005)
    assert all(one.grad.isfinite().all() for one in built.parameters())
    assert all(one.isfinite().all() for one in built.buffers())


@pytest.mark.parametrize("network", NETWORKS)
def test_work_is_what_the_convolutions_do(network):
    shape, done = RefinerShape(network, 32, 1, 3), []

    def count(convolution, inputs, output):
        # A transposed convolution spreads each px that it reads over 3x3.
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        done.append(convolution.weight.numel() * (inputs[0] if transposed else output)[0, 0].numel())

    built = drawn(shape).eval()
    for module in built.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(count)
    built(images_of(shape))
    assert sum(done) == shape.multiply_accumulates


def test_weights_depend_on_the_seed_alone():
    shape = RefinerShape("unet", 16, 1, 2)
    states = [drawn(shape, seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], one) for name, one in states[1].items())
    assert any(not torch.equal(states[0][name], one) for name, one in states[2].items())


@pytest.mark.parametrize(
    ("network", "shares"),
    # Two in each block; AGU-Net: none; DAGU-Net: three more at the bottleneck; DoubleU-Net: in 4 blocks a level.
    [("unet", [0.1] * 6), ("agunet", []), ("dagunet", [0.1] * 4 + [0.5] * 3), ("doubleunet", [0.1] * 24)],
)
def test_where_dropout_is(network, shares):
    built = build_refiner(RefinerShape(network, 32, 1, 2))
    kinds = (nn.Dropout, nn.Dropout2d)
    found = [(name, one.p) for name, one in built.named_modules() if isinstance(one, kinds)]
    assert sorted(p for _, p in found) == shares
    if network in {"unet", "dagunet"}:
        assert not [name for name, _ in found if name.startswith("encoder")]


def test_a_gate_weighs_each_px_of_the_skip_by_one_share():
    torch.manual_seed(0)
    gate = AttentionGate(8, "batch").eval()
    signal, skip = torch.randn(2, 8, 4, 4), torch.rand(2, 8, 4, 4) + 0.5
    shares = (gate(signal, skip) / skip).detach()
    torch.testing.assert_close(shares, shares[:, :1].expand_as(shares))
    assert 0 < shares.min() < shares.max() < 1
    # By hand, at one px: running statistics are 0 and 1.
    small = (1 + 1e-3) ** -0.5
    halves = [
        functional.linear(one[0, :, 1, 2], part[0].weight[:, :, 0, 0], part[0].bias) * small
        for one, part in ((signal, gate.signal), (skip, gate.skip))
    ]
    told = functional.linear(torch.cat(halves).relu(), gate.share[0].weight[:, :, 0, 0], gate.share[0].bias)
    torch.testing.assert_close(shares[0, 0, 1, 2], torch.sigmoid(told * small).detach()[0])


@pytest.mark.parametrize("attention", [PositionAttention(8), ChannelAttention()])
def test_attention_adds_nothing_at_first_but_learns_to(attention):
    x = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    made = attention(x)
    assert torch.equal(made, x)
    made.square().sum().backward()
    assert attention.gamma.grad.abs() > 0


def test_position_attention_by_a_loop_over_px():
    torch.manual_seed(0)
    attention = PositionAttention(8).double()
    nn.init.constant_(attention.gamma, 0.5)
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64)
    queries, keys, values = (
        one(x)[0].flatten(1) for one in (attention.query, attention.key, attention.value)
    )
    wanted = x.clone()
    for px in range(6):
        likeness = torch.stack([queries[:, px] @ keys[:, other] for other in range(6)]).softmax(dim=0)
        wanted[0, :, px // 3, px % 3] += 0.5 * sum(likeness[other] * values[:, other] for other in range(6))
    torch.testing.assert_close(attention(x), wanted)


def test_channel_attention_by_a_loop_over_channels():
    attention = ChannelAttention().double()
    nn.init.constant_(attention.gamma, 0.5)
    x = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    maps, wanted = x[0].flatten(1), x.clone()
    for channel in range(3):
        likeness = torch.stack([maps[channel] @ other for other in maps]).softmax(dim=0)
        wanted[0, channel] += 0.5 * (likeness[:, None] * maps).sum(dim=0).view(2, 2)
    torch.testing.assert_close(attention(x), wanted)


def test_channels_are_weighed_by_what_their_means_tell():
    torch.manual_seed(0)
    weigh = SqueezeExcite(16)
    x = torch.randn(2, 16, 4, 4)
    shares = (weigh(x) / x).detach()
    torch.testing.assert_close(shares, shares[:, :, :1, :1].expand_as(shares), rtol=1e-3, atol=1e-4)
    mixed = x.flatten(2)[:, :, torch.randperm(16)].view_as(x)  # the same means
    torch.testing.assert_close((weigh(mixed) / mixed).detach(), shares, rtol=1e-3, atol=1e-4)


def test_the_second_net_sees_what_the_first_makes_of_the_image_and_its_encoder():
    shape = RefinerShape("doubleunet", 16, 1, 2)
    built, images = drawn(shape).eval(), images_of(shape)
    seen = built.second.encoder[0][0][0]
    kept = {}
    seen.register_forward_pre_hook(lambda _, inputs: kept.update(input=inputs[0]))
    with torch.no_grad():
        after, before = built(images)
        torch.testing.assert_close(kept["input"], torch.cat([images, before.softmax(dim=1)], dim=1))
        # Decoder of the second: first its elder's skip, then its own, then the map from below.
        width = shape.widths[0]
        assert built.second.decoder[-1][0][0].in_channels == 2 * width + shape.widths[1]
        built.second.decoder[-1][0][0].weight[:, :width] = 0
        assert not torch.equal(built(images)[0], after)
