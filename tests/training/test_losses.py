import math

import numpy as np
import pytest
import torch

from hooknet.training.losses import (
    all_pixels_cross_entropy,
    annotated_cross_entropy,
    branches_loss,
    central,
    weight_decay,
)


def logits_of(*shares):
    """(1, K, 1, n) logits whose softmax are the given shares."""
    return torch.tensor(shares).log().T[None, :, None, :]


def test_four_pixels_by_hand():
    # Shares of the true class 1/2, 1/4, 1/8; the fourth pixel is not annotated.
    logits = logits_of((0.5, 0.3, 0.2), (0.25, 0.25, 0.5), (0.125, 0.5, 0.375), (0.001, 0.001, 0.998))
    labels = torch.tensor([[[1, 2, 1, 0]]], dtype=torch.uint8)
    found = annotated_cross_entropy(logits, labels)
    assert float(found) == pytest.approx((math.log(2) + math.log(4) + math.log(8)) / 3)


def test_pixels_and_not_patches_are_averaged():
    # One patch with 3 annotated pixels, one with 1: each pixel weighs a quarter.
    logits = torch.zeros(2, 2, 2, 2)
    logits[1, 0] = math.log(3)  # class 1 has a share of 3/4
    labels = torch.tensor([[[1, 1], [1, 0]], [[1, 0], [0, 0]]], dtype=torch.uint8)
    assert float(annotated_cross_entropy(logits, labels)) == pytest.approx(
        (3 * math.log(2) + math.log(4 / 3)) / 4
    )


def test_without_annotated_pixels_the_loss_is_0_and_so_is_its_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = annotated_cross_entropy(logits, torch.zeros(1, 4, 4, dtype=torch.uint8))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


def test_pixels_that_are_not_annotated_get_no_gradient():
    logits = torch.randn(1, 3, 1, 2, requires_grad=True)
    annotated_cross_entropy(logits, torch.tensor([[[0, 3]]], dtype=torch.uint8)).backward()
    assert not logits.grad[..., 0].any()
    assert logits.grad[..., 1].abs().min() > 0


def test_class_254_is_no_overflow():
    logits = torch.zeros(1, 254, 1, 1)
    labels = torch.tensor([[[254]]], dtype=torch.uint8)
    assert float(annotated_cross_entropy(logits, labels)) == pytest.approx(math.log(254))


def test_the_official_loss_counts_pixels_that_are_not_annotated():
    # The four pixels from above: the same sum, over four instead of three.
    logits = logits_of((0.5, 0.3, 0.2), (0.25, 0.25, 0.5), (0.125, 0.5, 0.375), (0.001, 0.001, 0.998))
    labels = torch.tensor([[[1, 2, 1, 0]]], dtype=torch.uint8)
    found = all_pixels_cross_entropy(logits, labels)
    assert float(found) == pytest.approx((math.log(2) + math.log(4) + math.log(8)) / 4)
    assert float(all_pixels_cross_entropy(logits, torch.zeros_like(labels))) == 0


def test_the_official_loss_of_a_pixel_lies_between_those_of_the_clipped_probabilities():
    labels = torch.tensor([[[1, 2]]], dtype=torch.uint8)
    logits = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    logits[0, 0] = -40.0
    logits.requires_grad_()
    lost = all_pixels_cross_entropy(logits, labels)  # one pixel is sure and wrong, one sure and right
    assert float(lost.detach()) == pytest.approx((-math.log(1e-7) - math.log(1 - 1e-7)) / 2, rel=1e-12)
    lost.backward()
    assert not logits.grad.any()


@pytest.mark.parametrize(
    ("of_true", "clipped"), [(0.9e-7, True), (1.1e-7, False), (1 - 1.1e-7, False), (1 - 0.9e-7, True)]
)
def test_the_official_gradient_ends_where_the_clip_begins(of_true, clipped):
    difference = math.log(of_true) - math.log1p(-of_true)
    logits = torch.tensor([difference, 0.0], dtype=torch.float64).reshape(1, 2, 1, 1).requires_grad_()
    all_pixels_cross_entropy(logits, torch.ones(1, 1, 1, dtype=torch.uint8)).backward()
    slope = 0.0 if clipped else of_true - 1
    assert logits.grad.flatten().tolist() == pytest.approx([slope, -slope], rel=1e-6)


def by_definition(logits, labels):
    """The official loss and its gradient with respect to the logits, pixel by pixel in plain numpy."""
    total, gradient = 0.0, np.zeros_like(logits)
    for index in np.argwhere(labels > 0):
        one, *place = index
        z = logits[one, :, *place]
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        wanted = labels[tuple(index)] - 1
        total -= np.log(np.clip(p[wanted], 1e-7, 1 - 1e-7))
        if 1e-7 <= p[wanted] <= 1 - 1e-7:
            gradient[one, :, *place] = p - (np.arange(len(p)) == wanted)
    return total / labels.size, gradient / labels.size


@pytest.mark.parametrize("spread", [1.0, 12.0])  # with the larger one some are clipped at either end
def test_the_official_loss_and_its_gradient_are_those_of_their_definition(spread):
    rng = np.random.default_rng(4)
    logits = rng.normal(0, spread, (2, 4, 9, 9))
    labels = rng.integers(0, 5, (2, 9, 9)).astype(np.uint8)
    wanted, slopes = by_definition(logits, labels)
    given = torch.from_numpy(logits).requires_grad_()
    found = all_pixels_cross_entropy(given, torch.from_numpy(labels))
    found.backward()
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(given.grad.numpy(), slopes, atol=1e-15)
    clipped = (slopes == 0).all(axis=1) & (labels > 0)
    assert clipped.any() == (spread > 10)


def test_both_losses_are_the_same_where_every_pixel_is_annotated_and_none_is_clipped():
    logits = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    labels = torch.randint(1, 4, (2, 5, 5), generator=torch.Generator().manual_seed(2))
    one, other = (
        branches_loss([logits], [labels], (1.0,), how)
        for how in (annotated_cross_entropy, all_pixels_cross_entropy)
    )
    assert float(one) == pytest.approx(float(other), rel=1e-6)


def test_double_precision_stays_so():
    logits = torch.zeros(1, 3, 1, 1, dtype=torch.float64)
    labels = torch.ones(1, 1, 1, dtype=torch.uint8)
    for measure in (annotated_cross_entropy, all_pixels_cross_entropy):
        assert float(measure(logits, labels)) == pytest.approx(math.log(3), rel=1e-15)
    assert float(weight_decay([torch.full((1,), 0.1, dtype=torch.float64)], 1.0)) == pytest.approx(
        0.01, rel=1e-15
    )


def test_branches_are_weighted_with_lambda_and_the_rest():
    logits = [logits_of((0.5, 0.5)), logits_of((0.25, 0.75))]
    labels = [torch.tensor([[[1]]], dtype=torch.uint8)] * 2
    found = branches_loss(logits, labels, (0.75, 0.25))
    assert float(found) == pytest.approx(0.75 * math.log(2) + 0.25 * math.log(4))
    sparse = [torch.tensor([[[1, 0]]], dtype=torch.uint8)] * 2
    wide = [one.expand(-1, -1, 1, 2) for one in logits]
    assert float(branches_loss(wide, sparse, (0.75, 0.25), all_pixels_cross_entropy)) == pytest.approx(
        float(found) / 2
    )


def test_a_branch_too_many_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        branches_loss([torch.zeros(1, 2, 1, 1)], [], (1.0,))


@pytest.mark.parametrize("measure", [annotated_cross_entropy, all_pixels_cross_entropy])
def test_half_precision_logits_are_summed_in_full(measure):
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16)
    labels = torch.ones(1, 300, 300, dtype=torch.uint8)
    found = measure(logits, labels)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(math.log(2), rel=1e-5)


def test_weight_decay_is_the_sum_of_squares_without_a_half():
    kernels = [torch.tensor([[1.0, -2.0]]), torch.tensor([3.0])]
    assert float(weight_decay(kernels, 0.1)) == pytest.approx(1.4)


def test_the_middle_of_labels_is_cut_evenly():
    labels = torch.arange(36).reshape(1, 6, 6)
    assert central(labels, 2)[0].tolist() == [[14, 15], [20, 21]]
    assert torch.equal(central(labels, 6), labels)
