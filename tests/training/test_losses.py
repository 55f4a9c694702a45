import math

import pytest
import torch

from hooknet.training.losses import annotated_cross_entropy, branches_loss, central, weight_decay


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


def test_branches_are_weighted_with_lambda_and_the_rest():
    logits = [logits_of((0.5, 0.5)), logits_of((0.25, 0.75))]
    labels = [torch.tensor([[[1]]], dtype=torch.uint8)] * 2
    found = branches_loss(logits, labels, (0.75, 0.25))
    assert float(found) == pytest.approx(0.75 * math.log(2) + 0.25 * math.log(4))


def test_a_branch_too_many_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        branches_loss([torch.zeros(1, 2, 1, 1)], [], (1.0,))


def test_half_precision_logits_are_summed_in_full():
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16)
    labels = torch.ones(1, 300, 300, dtype=torch.uint8)
    found = annotated_cross_entropy(logits, labels)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(math.log(2), rel=1e-5)


def test_weight_decay_is_the_sum_of_squares_without_a_half():
    kernels = [torch.tensor([[1.0, -2.0]]), torch.tensor([3.0])]
    assert float(weight_decay(kernels, 0.1)) == pytest.approx(1.4)


def test_the_middle_of_labels_is_cut_evenly():
    labels = torch.arange(36).reshape(1, 6, 6)
    assert central(labels, 2)[0].tolist() == [[14, 15], [20, 21]]
    assert torch.equal(central(labels, 6), labels)
