"""Soft Dice over the classes in the foreground, where there are labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hooknet.shapes.refiner import RefinerShape
from hooknet.training.ranks import summed

#: Added above and below, so that a class that is nowhere and predicted nowhere is no loss (released code).
SMOOTHING = 1.0


def soft_dice(
    outputs: Sequence[Tensor], labels: Tensor, shape: RefinerShape, foreground: Sequence[int]
) -> Tensor:
    """Σ weight · soft Dice loss over a refiner's outputs; coarser ones are held against every nth label.

    ``outputs``: logits (B, K, n, n) as the network of ``shape`` gives them.  ``labels`` (B, N, N), 0 not
    annotated, 1..K.  ``foreground``: the class values that count, one or more.
    """
    parts = [
        weight * soft_dice_of(logits, labels[:, ::stride, ::stride], foreground, shape.dice_over == "batch")
        for logits, stride, weight in zip(outputs, shape.output_strides, shape.loss_weights, strict=True)
    ]
    return torch.stack(parts).sum()


def soft_dice_of(logits: Tensor, labels: Tensor, foreground: Sequence[int], whole_batch: bool) -> Tensor:
    """The mean over classes and images of 1 - (2 Σ p·y + 1) / (Σ p² + Σ y² + 1); 0 without any annotation.

    ``logits`` (B, K, n, n); ``labels`` (B, n, n), 0 not annotated, 1..K.  Sums run over the annotated px of an
    image, or of the ``whole_batch``.  Images without annotated px add nothing, and are not counted.
    """
    annotated = (labels > 0)[:, None]
    values = torch.tensor(list(foreground), device=labels.device)
    precise = logits if logits.dtype == torch.float64 else logits.float()
    shares = precise.softmax(dim=1)[:, values - 1] * annotated
    truth = (labels[:, None] == values.view(1, -1, 1, 1)).to(shares)
    over = (0, 2, 3) if whole_batch else (2, 3)
    both, squares = (shares * truth).sum(over), (shares.square() + truth).sum(over)
    if whole_batch:
        both, squares = summed(both), summed(squares)
    losses = 1 - (2 * both + SMOOTHING) / (squares + SMOOTHING)
    if whole_batch:
        return losses.mean()
    # An image without annotation has sums of 0, which make a loss of 0.
    counted = annotated.flatten(1).any(dim=1).sum()
    return summed(losses.mean(dim=1).sum()) / summed(counted).clamp(min=1)
