import pytest
import torch

from hooknet.config.dense import TrainOptions
from hooknet.config.hdc import HDCTrainOptions
from hooknet.models.network import Outputs, Points
from hooknet.training.loss_terms import TERMS
from hooknet.training.losses import all_pixels_cross_entropy, annotated_cross_entropy
from hooknet.training.point_loss import point_loss
from hooknet.training.segmentation_loss import SegmentationLoss


def example(branches=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(2, 3, 6, 6, generator=generator) for _ in range(branches)]
    labels = [torch.randint(0, 4, (2, 6, 6), generator=generator) for _ in range(branches)]
    return logits, labels


def test_by_default_it_is_the_cross_entropy_of_the_paper():
    logits, labels = example(2)
    found = SegmentationLoss(TrainOptions(), (0.75, 0.25)).terms(Outputs(logits), labels, epoch=0)
    wanted = sum(
        w * annotated_cross_entropy(*one)
        for w, one in zip((0.75, 0.25), zip(logits, labels, strict=True), strict=True)
    )
    assert list(found) == ["cross_entropy"]
    assert float(found["cross_entropy"]) == pytest.approx(float(wanted), rel=1e-6)


def test_each_term_is_weighted_over_branches_and_further_logits():
    logits, labels = example(2)
    deep = ((0.4, torch.randn(2, 3, 6, 6)), (0.1, torch.randn(2, 3, 6, 6)))
    weights = {"cross_entropy": 0.5, "dice": 2.0, "focal": 0.25, "frequency": 0.1, "boundary": 3.0}
    options = TrainOptions(losses={**weights, "boundary_warmup": 0})
    found = SegmentationLoss(options, (1.0, 0.5)).terms(Outputs(logits, deep), labels, epoch=0)
    for name, weight in weights.items():
        measure = TERMS[name]
        wanted = measure(logits[0], labels[0]) + 0.5 * measure(logits[1], labels[1])
        wanted += 0.4 * measure(deep[0][1], labels[0]) + 0.1 * measure(deep[1][1], labels[0])
        assert float(found[name]) == pytest.approx(weight * float(wanted), rel=1e-5), name
    assert set(found) == set(weights)


def test_all_pixels_count_in_the_cross_entropy_where_that_is_asked_for():
    logits, labels = example()
    options = TrainOptions(normalise="all_pixels", losses={"dice": 1.0})
    found = SegmentationLoss(options, (1.0,)).terms(Outputs(logits), labels, epoch=0)
    assert float(found["cross_entropy"]) == pytest.approx(
        float(all_pixels_cross_entropy(logits[0], labels[0]))
    )
    assert float(found["dice"]) == pytest.approx(float(TERMS["dice"](logits[0], labels[0])))


def test_the_boundary_comes_in_slowly():
    logits, labels = example()
    loss = SegmentationLoss(TrainOptions(losses={"boundary": 2.0}), (1.0,))
    whole = float(TERMS["boundary"](logits[0], labels[0]))
    assert "boundary" not in loss.terms(Outputs(logits), labels, epoch=5)
    for epoch, share in ((6, 0.1), (10, 0.5), (15, 1.0), (40, 1.0)):
        found = loss.terms(Outputs(logits), labels, epoch)
        assert float(found["boundary"]) == pytest.approx(2 * share * whole, rel=1e-6)


def test_points_have_a_loss_of_their_own():
    logits, labels = example()
    points = Points(torch.rand(2, 9, 2), torch.randn(2, 3, 9))
    outputs = Outputs(logits, points=points)
    found = SegmentationLoss(HDCTrainOptions(losses={"points": 0.5}), (1.0,)).terms(outputs, labels, epoch=0)
    assert float(found["points"]) == pytest.approx(0.5 * float(point_loss(points, labels[0])))
    without = SegmentationLoss(HDCTrainOptions(losses={"points": 0}), (1.0,)).terms(outputs, labels, epoch=0)
    assert list(without) == ["cross_entropy", "dice"]
