import pytest
import torch

from hooknet.config.refiner import RefinerLossOptions
from hooknet.shapes.refiner import RefinerShape
from hooknet.training.dice import soft_dice
from hooknet.training.loss_terms import TERMS
from hooknet.training.refiner_loss import RefinerLoss


def example(name):
    shape = RefinerShape(name, 32, 1, 2)
    generator = torch.Generator().manual_seed(1)
    outputs = [
        torch.randn(2, 2, 32 // stride, 32 // stride, generator=generator) for stride in shape.output_strides
    ]
    return shape, outputs, torch.randint(0, 3, (2, 32, 32), generator=generator)


@pytest.mark.parametrize("name", ["unet", "agunet"])
def test_by_default_it_is_soft_dice(name):
    shape, outputs, labels = example(name)
    found = RefinerLoss(RefinerLossOptions(), shape, (2,))(outputs, labels, 0)
    assert float(found) == pytest.approx(float(soft_dice(outputs, labels, shape, (2,))))


def test_other_terms_run_over_all_outputs_too():
    shape, outputs, labels = example("agunet")
    options = RefinerLossOptions(dice=0.5, focal=2.0, boundary=1.0)
    loss = RefinerLoss(options, shape, (1, 2))
    focal = sum(
        weight * TERMS["focal"](logits, labels[:, ::stride, ::stride])
        for logits, stride, weight in zip(outputs, shape.output_strides, shape.loss_weights, strict=True)
    )
    dice = soft_dice(outputs, labels, shape, (1, 2))
    assert len(outputs) > 1
    assert float(loss(outputs, labels, 5)) == pytest.approx(float(0.5 * dice + 2 * focal))
    assert (
        float(loss(outputs, labels, 15)) > float(loss(outputs, labels, 10)) > float(loss(outputs, labels, 5))
    )
