import math

import pytest
import torch

from hooknet.models.network import Points
from hooknet.training.point_loss import point_loss

LABELS = torch.tensor([[[1, 2, 0], [2, 1, 2]]], dtype=torch.uint8)  # 2 rows of 3 px


def points_at(*places, shares=None):
    """Points whose share of class 1 is given, 1/4 where it is not."""
    of_1 = torch.tensor(shares or [0.25] * len(places), dtype=torch.float64)
    return Points(
        torch.tensor(places, dtype=torch.float64)[None],
        torch.stack([of_1, 1 - of_1])[None].log().requires_grad_(),
    )


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ((0.0, 0.0), 1),
        ((0.33, 0.49), 1),  # just inside the first px
        ((0.34, 0.49), 2),  # just beyond, along x
        ((0.33, 0.51), 2),  # just beyond, along y
        ((0.5, 0.75), 1),
        ((1.0, 1.0), 2),  # the outer corner
        ((0.99, 0.5), 2),
        ((0.9, 0.2), 0),
    ],
)
def test_a_point_has_the_label_of_the_px_that_it_lies_in(place, label):
    by_hand = {0: 0.0, 1: math.log(4), 2: math.log(4 / 3)}[label]
    assert float(point_loss(points_at(place), LABELS).detach()) == pytest.approx(by_hand, rel=1e-14)


def test_the_mean_is_over_points_on_annotated_px():
    points = points_at((0.1, 0.1), (0.9, 0.1), (0.4, 0.2), shares=[0.5, 0.5, 0.75])
    loss = point_loss(points, LABELS)
    assert float(loss.detach()) == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-14)
    loss.backward()
    assert not points.logits.grad[..., 1].any()
    assert points.logits.grad[..., [0, 2]].abs().min() > 0


def test_each_image_has_its_own_labels():
    points = Points(torch.full((2, 1, 2), 0.5), torch.tensor([[0.25, 0.75]] * 2).log()[..., None])
    labels = torch.tensor([[[1]], [[2]]], dtype=torch.uint8)
    assert float(point_loss(points, labels)) == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)


def test_without_points_on_annotated_px_the_loss_is_0_and_so_is_its_gradient():
    points = points_at((0.9, 0.1), (0.8, 0.4))
    loss = point_loss(points, LABELS)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not points.logits.grad.any()


def test_gradients_are_those_of_finite_differences():
    points = points_at((0.1, 0.1), (0.9, 0.1), (0.4, 0.2), shares=[0.5, 0.5, 0.75])
    assert torch.autograd.gradcheck(
        lambda one: point_loss(Points(points.places, one), LABELS), (points.logits,)
    )
