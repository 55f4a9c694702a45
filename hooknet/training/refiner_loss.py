"""The loss of a refiner: soft Dice, as H2G-Net has it, and any other terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hooknet.config.losses import LossOptions
from hooknet.shapes.refiner import RefinerShape
from hooknet.training.dice import soft_dice
from hooknet.training.loss_terms import TERMS, weights_at


class RefinerLoss:
    """Terms by the weights of ``options``; ``dice`` is soft Dice of the classes in the ``foreground``."""

    def __init__(self, options: LossOptions, shape: RefinerShape, foreground: Sequence[int]) -> None:
        self._options = options
        self._shape = shape
        self._foreground = foreground

    def __call__(self, outputs: Sequence[Tensor], labels: Tensor, epoch: int) -> Tensor:
        """The sum of all terms over a refiner's outputs; ``epoch`` from 0.

        ``outputs``: logits (B, K, n, n); coarser ones are held against every nth of ``labels`` (B, N, N), 0 not
        annotated, 1..K.
        """
        weights = weights_at(self._options, epoch)
        parts = [weight * self._term(name, outputs, labels) for name, weight in weights.items()]
        return torch.stack(parts).sum()

    def _term(self, name: str, outputs: Sequence[Tensor], labels: Tensor) -> Tensor:
        if name == "dice":
            return soft_dice(outputs, labels, self._shape, self._foreground)
        of = self._shape
        parts = [
            weight * TERMS[name](logits, labels[:, ::stride, ::stride])
            for logits, stride, weight in zip(outputs, of.output_strides, of.loss_weights, strict=True)
        ]
        return torch.stack(parts).sum()
