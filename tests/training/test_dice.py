import numpy as np
import pytest
import torch

from hooknet.shapes.refiner import RefinerShape
from hooknet.training.dice import soft_dice, soft_dice_of

UNET = RefinerShape("unet", 8, 1, 2)


def logits_of(*shares):
    """(1, K, 1, n) logits whose softmax are the given shares."""
    return torch.tensor(shares, dtype=torch.float64).log().T[None, :, None, :]


def labels_of(*values):
    return torch.tensor(values, dtype=torch.uint8)[None, None]


def random_case(seed, batch=3, classes=3, size=8):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(batch, classes, size, size)))
    labels = torch.from_numpy(rng.integers(0, classes + 1, (batch, size, size)).astype(np.uint8))
    return logits, labels


def by_numpy(logits, labels, foreground, whole_batch):
    """The formula px by px of numpy, one class and one image (or all) at a time."""
    exponents = np.exp(logits.numpy())
    shares, truth = exponents / exponents.sum(axis=1, keepdims=True), labels.numpy()
    groups = [slice(None)] if whole_batch else [one for one in range(len(truth)) if truth[one].any()]
    losses = []
    for group in groups:
        inside = truth[group] > 0
        for value in foreground:
            p = np.moveaxis(shares, 1, 0)[value - 1][group][inside]
            y = (truth[group] == value)[inside].astype(float)
            losses.append(1 - (2 * (p * y).sum() + 1) / ((p**2).sum() + (y**2).sum() + 1))
    return np.mean(losses)


def test_three_px_by_hand():
    # p of class 2: 3/4, 1/2, 1/4; the third px is of class 1, the fourth not annotated.
    logits = logits_of((0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (0.1, 0.9))
    found = soft_dice([logits], labels_of(2, 2, 1, 0), UNET, (2,))
    both, squares = 0.75 + 0.5, 0.5625 + 0.25 + 0.0625 + 2
    assert float(found) == pytest.approx(1 - (2 * both + 1) / (squares + 1))


def test_a_sure_and_right_prediction_is_no_loss_and_a_sure_and_wrong_one_nearly_1():
    right, wrong = torch.full((2, 1, 2, 8, 8), -50.0, dtype=torch.float64)
    labels = torch.ones(1, 8, 8, dtype=torch.uint8)
    labels[:, :4] = 2
    right[:, 0, 4:], right[:, 1, :4] = 50.0, 50.0
    wrong[:, 0, :4], wrong[:, 1, 4:] = 50.0, 50.0
    assert float(soft_dice([right], labels, UNET, (1, 2))) == pytest.approx(0, abs=1e-12)
    assert float(soft_dice([wrong], labels, UNET, (1, 2))) == pytest.approx(1 - 1 / (32 + 32 + 1))


def test_a_class_that_is_nowhere_costs_what_is_predicted_of_it():
    found = soft_dice([logits_of((0.5, 0.5), (0.5, 0.5))], labels_of(1, 1), UNET, (2,))
    assert float(found) == pytest.approx(1 - 1 / (0.5 + 1))


@pytest.mark.parametrize("foreground", [(2,), (1, 3), (3, 2, 1)])
@pytest.mark.parametrize("whole_batch", [False, True])
def test_any_classes_per_image_and_over_the_batch_are_those_of_the_formula(foreground, whole_batch):
    logits, labels = random_case(0)
    found = soft_dice_of(logits, labels, foreground, whole_batch)
    assert float(found) == pytest.approx(by_numpy(logits, labels, foreground, whole_batch), rel=1e-12)


def test_the_shape_says_what_sums_run_over():
    logits, labels = random_case(1, classes=2, size=16)
    for network, whole_batch in (
        ("unet", False),
        ("doubleunet", False),
        ("dagunet", False),
        ("agunet", True),
    ):
        shape = RefinerShape(network, 16, 1, 2)
        outputs = [logits] * len(shape.output_strides)
        assert set(shape.output_strides) == {1}
        wanted = by_numpy(logits, labels, (2,), whole_batch)
        assert float(soft_dice(outputs, labels, shape, (2,))) == pytest.approx(wanted, rel=1e-12)
    assert by_numpy(logits, labels, (2,), True) != pytest.approx(
        by_numpy(logits, labels, (2,), False), rel=1e-6
    )


def test_coarser_outputs_are_held_against_every_nth_label():
    shape = RefinerShape("dagunet", 32, 1, 2)
    assert shape.output_strides == (1, 2)
    fine, labels = random_case(2, classes=2, size=32)
    coarse = random_case(3, classes=2, size=16)[0]
    wanted = (by_numpy(fine, labels, (2,), False) + by_numpy(coarse, labels[:, ::2, ::2], (2,), False)) / 2
    found = float(soft_dice([fine, coarse], labels, shape, (2,)))
    assert found == pytest.approx(wanted, rel=1e-12)
    between = labels.clone()
    between[:, 1::2] = 0  # the coarse output never sees these
    assert float(soft_dice_of(coarse, between[:, ::2, ::2], (2,), False)) == pytest.approx(
        by_numpy(coarse, labels[:, ::2, ::2], (2,), False)
    )


@pytest.mark.parametrize("network", ["unet", "agunet", "dagunet", "doubleunet"])
def test_px_without_annotation_have_no_influence(network):
    shape = RefinerShape(network, 32, 1, 3)
    labels = random_case(4, size=32)[1]
    outputs = [
        random_case(5 + number, size=32 // stride)[0].requires_grad_()
        for number, stride in enumerate(shape.output_strides)
    ]
    loss = soft_dice(outputs, labels, shape, (1, 3))
    loss.backward()
    changed = []
    for one, stride in zip(outputs, shape.output_strides, strict=True):
        ignored = (labels[:, ::stride, ::stride] == 0)[:, None].expand_as(one)
        assert ignored.any()
        assert not one.grad[ignored].any()
        assert one.grad[~ignored].abs().min() > 0
        noise = torch.randn(one.shape, generator=torch.Generator().manual_seed(0), dtype=one.dtype)
        changed.append(torch.where(ignored, 30 * noise, one.detach()))
    torch.testing.assert_close(soft_dice(changed, labels, shape, (1, 3)), loss.detach(), rtol=1e-13, atol=0)


def test_an_image_without_annotation_adds_nothing():
    logits, labels = random_case(6, batch=2)
    labels[1] = 0
    alone = soft_dice_of(logits[:1], labels[:1], (2,), False)
    for whole_batch in (False, True):
        torch.testing.assert_close(soft_dice_of(logits, labels, (2,), whole_batch), alone)


@pytest.mark.parametrize("whole_batch", [False, True])
def test_without_any_annotation_the_loss_is_0_and_so_is_its_gradient(whole_batch):
    logits = random_case(7)[0].requires_grad_()
    loss = soft_dice_of(logits, torch.zeros(3, 8, 8, dtype=torch.uint8), (1, 2), whole_batch)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("whole_batch", [False, True])
def test_gradients_are_those_of_finite_differences(whole_batch):
    logits, labels = random_case(8, batch=2, size=3)
    assert torch.autograd.gradcheck(
        lambda one: soft_dice_of(one, labels, (1, 3), whole_batch), (logits.requires_grad_(),)
    )


def test_half_precision_logits_are_summed_in_single():
    logits, labels = random_case(9, batch=1, size=128)
    half = logits.bfloat16()
    found = soft_dice_of(half, labels, (2,), False)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(by_numpy(half.double(), labels, (2,), False), rel=1e-5)
