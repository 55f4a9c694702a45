"""What moves the weights of a network that predicts a class per pixel."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from hooknet.config.dense import TrainOptions
from hooknet.training.scored import ADAM_EPSILON

#: A cosine schedule ends at this share of the learning rate (HDC-HRNet description: 1e-4 to 1e-6).
COSINE_END = 0.01


def optimiser(parameters: Iterable[nn.Parameter], options: TrainOptions) -> OptimizerLRScheduler:
    """Adam, as HookNet's paper, or AdamW; the learning rate constant, or a half cosine over all epochs."""
    found: torch.optim.Optimizer
    if options.optimiser == "adam":
        found = torch.optim.Adam(parameters, lr=options.learning_rate, eps=ADAM_EPSILON)
    else:
        found = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
    if options.schedule == "constant":
        return found
    end = COSINE_END * options.learning_rate
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(found, options.epochs, end)
    return {"optimizer": found, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
