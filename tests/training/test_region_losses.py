import math

import numpy as np
import pytest
import torch

from hooknet.training.losses import annotated_cross_entropy
from hooknet.training.region_losses import cross_entropies, dice_loss, focal_loss, one_hot


def logits_of(*shares):
    """(1, K, 1, n) logits whose softmax are the given shares."""
    return torch.tensor(shares, dtype=torch.float64).log().T[None, :, None, :]


def labels_of(*values):
    return torch.tensor(values, dtype=torch.uint8)[None, None]


# p of class 2: 3/4, 1/2, 1/4; the third px is of class 1, the fourth not annotated.
THREE_PX = logits_of((0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (0.1, 0.9)), labels_of(2, 2, 1, 0)


def test_dice_of_three_px_by_hand():
    of_2 = 1 - (2 * (0.75 + 0.5) + 1e-5) / (1.5 + 2 + 1e-5)
    of_1 = 1 - (2 * 0.75 + 1e-5) / (1.5 + 1 + 1e-5)
    assert float(dice_loss(*THREE_PX)) == pytest.approx((of_1 + of_2) / 2, rel=1e-14)


def test_a_class_without_truth_is_left_out_of_the_mean():
    logits = logits_of((0.5, 0.25, 0.25), (0.5, 0.25, 0.25))
    found = dice_loss(logits, labels_of(1, 1))
    assert float(found) == pytest.approx(1 - (2 * 1 + 1e-5) / (1 + 2 + 1e-5), rel=1e-14)
    # What is predicted of it counts all the same: less of it is better.
    surer = logits_of((0.9, 0.05, 0.05), (0.9, 0.05, 0.05))
    assert float(dice_loss(surer, labels_of(1, 1))) < float(found)


def test_dice_sums_over_the_batch_and_not_over_images():
    # Class 2 is in the second image alone.
    shares = [[(0.8, 0.2), (0.6, 0.4)], [(0.7, 0.3), (0.1, 0.9)]]
    logits = torch.cat([logits_of(*image) for image in shares])
    labels = torch.cat([labels_of(1, 1), labels_of(1, 2)])
    of_1 = 1 - (2 * (0.8 + 0.6 + 0.7) + 1e-5) / (2.2 + 3 + 1e-5)
    of_2 = 1 - (2 * 0.9 + 1e-5) / (1.8 + 1 + 1e-5)
    assert float(dice_loss(logits, labels)) == pytest.approx((of_1 + of_2) / 2, rel=1e-14)


def test_a_sure_and_right_prediction_has_no_loss_and_a_sure_and_wrong_one_a_dice_of_nothing():
    labels = torch.tensor([[[1, 2], [2, 1]]], dtype=torch.uint8)
    right = 100 * one_hot(labels, 2, torch.float64)
    assert float(dice_loss(right, labels)) == pytest.approx(0, abs=1e-12)
    assert float(focal_loss(right, labels)) == pytest.approx(0, abs=1e-12)
    assert float(dice_loss(-right, labels)) == pytest.approx(1 - 1e-5 / (4 + 1e-5), rel=1e-12)
    assert float(focal_loss(-right, labels)) == pytest.approx(100, rel=1e-12)


def test_focal_of_three_px_by_hand():
    by_hand = (0.25**2 * math.log(4 / 3) + 0.5**2 * math.log(2) + 0.25**2 * math.log(4 / 3)) / 3
    assert float(focal_loss(*THREE_PX)) == pytest.approx(by_hand, rel=1e-14)


def test_focal_of_a_nearly_sure_px_does_not_cancel():
    missed = 1e-6
    found = focal_loss(logits_of((1 - missed, missed)), labels_of(1))
    assert float(found) == pytest.approx(missed**2 * -math.log1p(-missed), rel=1e-6)


def test_cross_entropies_are_those_whose_mean_is_the_loss():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 3, (2, 4, 5, 6)))
    labels = torch.from_numpy(rng.integers(0, 5, (2, 5, 6)).astype(np.uint8))
    found = cross_entropies(logits, labels)
    assert not found[labels == 0].any()
    assert float(found.sum() / (labels > 0).sum()) == pytest.approx(
        float(annotated_cross_entropy(logits, labels)), rel=1e-14
    )


def test_one_hot_by_hand():
    found = one_hot(torch.tensor([[[0, 2, 3]]], dtype=torch.uint8), 3, torch.float32)
    assert found[0, :, 0].T.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("loss", [dice_loss, focal_loss])
def test_class_254_is_no_overflow(loss):
    logits = torch.zeros(1, 254, 1, 1)
    labels = torch.full((1, 1, 1), 254, dtype=torch.uint8)
    p = 1 / 254
    by_hand = {dice_loss: 1 - (2 * p + 1e-5) / (p + 1 + 1e-5), focal_loss: (1 - p) ** 2 * -math.log(p)}
    assert float(loss(logits, labels)) == pytest.approx(by_hand[loss], rel=1e-5)
