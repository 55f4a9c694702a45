import numpy as np
import pytest
import torch
from torch import nn

from hooknet.models.refiners.renorm import RAMP, BatchRenorm2d

CHANNELS = 3


def random_images(seed, batch=4, size=5, dtype=torch.float64):
    """Channels of different means and spreads."""
    noise = torch.randn(
        batch, CHANNELS, size, size, generator=torch.Generator().manual_seed(seed), dtype=dtype
    )
    spread, mean = torch.tensor([0.5, 1.0, 3.0], dtype=dtype), torch.tensor([-2.0, 0.0, 1.0], dtype=dtype)
    return noise * spread.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1)


def scaled(layer):
    """The layer in double precision, with a scale and a shift that show."""
    layer = layer.double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
        layer.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    return layer


def ripe(layer, mean, variance, steps=10**6):
    """The layer after many steps that left these statistics."""
    layer.running_mean.copy_(torch.tensor(mean))
    layer.running_var.copy_(torch.tensor(variance))
    layer.num_batches_tracked.fill_(steps)
    return layer


STATISTICS = ([-1.0, 0.5, 2.0], [0.3, 1.5, 4.0])


def test_at_first_it_is_batch_normalisation_gradients_included():
    ours, theirs = scaled(BatchRenorm2d(CHANNELS)), scaled(nn.BatchNorm2d(CHANNELS, eps=1e-3))
    for step in range(3):
        seen = [random_images(step).requires_grad_() for _ in range(2)]
        made = [layer(images) for layer, images in zip((ours, theirs), seen, strict=True)]
        torch.testing.assert_close(made[0], made[1])
        for layer, one in zip((ours, theirs), made, strict=True):
            layer.zero_grad()
            one.square().sum().backward()
        torch.testing.assert_close(seen[0].grad, seen[1].grad)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


def test_without_limits_training_sees_what_inference_sees_whatever_the_batch():
    layer = ripe(scaled(BatchRenorm2d(CHANNELS, momentum=1e-9, r_max=1e9, d_max=1e9)), *STATISTICS)
    for seed, batch in ((0, 4), (1, 1), (2, 7)):
        images = random_images(seed, batch)
        in_inference = layer.eval()(images)
        torch.testing.assert_close(layer.train()(images), in_inference, rtol=1e-6, atol=1e-6)


def test_limits_by_the_formula_of_the_paper():
    layer = ripe(scaled(BatchRenorm2d(CHANNELS, r_max=1.25, d_max=0.5)), *STATISTICS)
    images = random_images(5)
    found = layer(images).detach().numpy()
    x, (running_mean, running_variance) = images.numpy(), (np.array(one) for one in STATISTICS)
    mean, deviation = x.mean(axis=(0, 2, 3)), np.sqrt(x.var(axis=(0, 2, 3)) + 1e-3)
    running = np.sqrt(running_variance + 1e-3)
    r, d = deviation / running, (mean - running_mean) / running
    # Of each limit some channel is beyond, and some is not.
    assert r.min() < 1 / 1.25 < np.median(r) < 1.25 < r.max()
    assert np.abs(d).min() < 0.5 < np.abs(d).max()
    r, d = np.clip(r, 1 / 1.25, 1.25), np.clip(d, -0.5, 0.5)
    by_channel = (1, -1, 1, 1)
    normalised = (x - mean.reshape(by_channel)) / deviation.reshape(by_channel)
    normalised = normalised * r.reshape(by_channel) + d.reshape(by_channel)
    wanted = normalised * np.array([0.5, 2.0, -1.0]).reshape(by_channel)
    np.testing.assert_allclose(found, wanted + np.array([0.1, -0.2, 0.3]).reshape(by_channel), atol=1e-6)


def test_no_gradient_goes_through_r_and_d():
    layer = ripe(scaled(BatchRenorm2d(CHANNELS, r_max=1e9, d_max=1e9)), *STATISTICS)
    images = random_images(6).requires_grad_()
    upstream = torch.randn(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (found,) = torch.autograd.grad((layer(images) * upstream).sum(), images)
    mean = images.mean(dim=(0, 2, 3), keepdim=True)
    deviation = (images.var(dim=(0, 2, 3), correction=0, keepdim=True) + 1e-3).sqrt()
    running = [torch.tensor(one).double().view(1, -1, 1, 1) for one in STATISTICS]
    held = deviation.detach() / (running[1] + 1e-3).sqrt()
    weighed = (images - mean) / deviation * held * layer.weight.view(1, -1, 1, 1)
    (wanted,) = torch.autograd.grad((weighed * upstream).sum(), images)
    torch.testing.assert_close(found, wanted)
    # With a gradient through them the batch's statistics would cancel out, and this would come out.
    plain = upstream * (layer.weight.detach().view(1, -1, 1, 1) / (running[1] + 1e-3).sqrt())
    assert not torch.allclose(found, plain, rtol=1e-3)


@pytest.mark.parametrize(
    ("step", "r_max", "d_max"),
    [(0, 1, 0), (RAMP[0], 1, 0), (sum(RAMP) // 2, 2, 2.5), (RAMP[1], 3, 5), (10**6, 3, 5)],
)
def test_limits_widen_as_statistics_ripen(step, r_max, d_max):
    # Far from what running statistics hold, so that both limits bind: the output's mean is d, its spread r.
    layer = ripe(BatchRenorm2d(1, momentum=0.0).double(), [0.0], [1.0], step)
    images = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = layer(images * 1000 + 50_000)
    assert float(made.detach().mean()) == pytest.approx(d_max, abs=1e-6)
    assert float(made.detach().std(correction=0)) == pytest.approx(r_max, rel=1e-6)


def test_running_statistics_are_the_mean_of_the_first_steps_then_forget():
    layer = BatchRenorm2d(CHANNELS, momentum=0.25).double()
    means, variances = [], []
    for step in range(6):
        images = random_images(step) * (1 + step) + step
        means.append(images.mean(dim=(0, 2, 3)))
        variances.append(images.var(dim=(0, 2, 3), correction=0))
        layer(images)
        if step < 4:
            torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(dim=0))
            torch.testing.assert_close(layer.running_var, torch.stack(variances).mean(dim=0))
    held = torch.stack(means[:4]).mean(dim=0)
    for mean in means[4:]:
        held = 0.75 * held + 0.25 * mean
    torch.testing.assert_close(layer.running_mean, held)
    assert int(layer.num_batches_tracked) == 6


def test_inference_takes_running_statistics_and_leaves_them():
    layer = ripe(scaled(BatchRenorm2d(CHANNELS)), *STATISTICS).eval()
    images = random_images(7)
    mean, variance = (torch.tensor(one).double().view(1, -1, 1, 1) for one in STATISTICS)
    wanted = (images - mean) / (variance + 1e-3).sqrt() * layer.weight.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(images), wanted + layer.bias.view(1, -1, 1, 1))
    assert layer.running_mean.tolist() == STATISTICS[0]
    assert int(layer.num_batches_tracked) == 10**6


def test_a_single_value_is_normalised_to_what_it_is_against_running_statistics():
    layer = ripe(BatchRenorm2d(1, momentum=0.0, r_max=3.0).double(), [1.0], [4.0 - 1e-3])
    assert float(layer(torch.full((1, 1, 1, 1), 5.0).double()).detach()) == pytest.approx((5 - 1) / 2)
    assert float(BatchRenorm2d(1)(torch.full((1, 1, 1, 1), 5.0)).detach()) == pytest.approx(0, abs=1e-5)


def test_its_state_is_that_of_batch_normalisation():
    layer = BatchRenorm2d(CHANNELS).double()
    for step in range(3):
        layer(random_images(step))
    plain = nn.BatchNorm2d(CHANNELS, eps=1e-3).double()
    plain.load_state_dict(layer.state_dict())
    back = BatchRenorm2d(CHANNELS).double()
    back.load_state_dict(plain.state_dict())
    images = random_images(9)
    torch.testing.assert_close(plain.eval()(images), layer.eval()(images))
    assert torch.equal(back.train()(images), layer.train()(images))
    assert int(back.num_batches_tracked) == 4


def test_statistics_of_half_precision_maps_are_in_single():
    layer = BatchRenorm2d(CHANNELS)
    images = random_images(0, dtype=torch.float32).bfloat16()
    made = layer(images)
    assert made.dtype == torch.bfloat16
    assert layer.running_mean.dtype == torch.float32
    torch.testing.assert_close(layer.running_mean, images.float().mean(dim=(0, 2, 3)))
