import math

import pytest
import torch

from hooknet.config.dense import TrainOptions
from hooknet.config.hdc import HDCTrainOptions
from hooknet.training.optimiser import optimiser


def weight():
    return torch.nn.Parameter(torch.ones(3))


def test_hooknet_is_trained_by_adam_at_a_constant_rate():
    found = optimiser([weight()], TrainOptions())
    assert type(found) is torch.optim.Adam
    assert found.param_groups[0]["lr"] == 5e-6
    assert found.param_groups[0]["eps"] == 1e-7


def test_adamw_shrinks_weights_that_have_no_gradient():
    one = weight()
    found = optimiser([one], TrainOptions(optimiser="adamw", weight_decay=0.5, learning_rate=0.1))
    one.grad = torch.zeros(3)
    found.step()
    assert one.tolist() == pytest.approx([0.95] * 3)


def test_a_cosine_falls_from_the_rate_to_a_hundredth_of_it():
    found = optimiser([weight()], HDCTrainOptions(epochs=4, learning_rate=1.0))
    schedule = found["lr_scheduler"]["scheduler"]
    assert found["lr_scheduler"]["interval"] == "epoch"
    rates = []
    for _ in range(5):
        rates.append(found["optimizer"].param_groups[0]["lr"])
        found["optimizer"].step()
        schedule.step()
    assert rates == pytest.approx([0.01 + 0.99 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(5)])
