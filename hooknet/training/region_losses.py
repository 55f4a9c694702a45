"""Losses over regions of pixels, where there are labels: Dice over all classes, and focal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from hooknet.training.losses import class_numbers, precise
from hooknet.training.ranks import summed

#: Added above and below in Dice (HDC-HRNet description).
SMOOTHING = 1e-5


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over classes of 1 - (2 Σ p·y + 1e-5) / (Σ p + Σ y + 1e-5); 0 without any annotation.

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.  Sums run over the annotated px of the
    whole batch, so that a class need not be in each image.  A class without any truth in the batch is left out of
    the mean: its Dice would be 0 however little of it is predicted, and what is predicted of it is missing from
    the classes that are there.  Source: HDC-HRNet description; its code
    takes the mean over all classes.
    """
    annotated = (labels > 0)[:, None]
    shares = precise(logits).softmax(dim=1) * annotated
    truth = one_hot(labels, shares.shape[1], shares.dtype)
    over = (0, 2, 3)
    both, either = summed((shares * truth).sum(over)), summed((shares + truth).sum(over))
    losses = 1 - (2 * both + SMOOTHING) / (either + SMOOTHING)
    present = summed(truth.sum(over)) > 0
    return (losses * present).sum() / present.sum().clamp(min=1)


def focal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of (1 - p)² · -log p, p of the true class, over the annotated px of the batch; 0 without any.

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.  Source: HDC-HRNet description (γ = 2, no
    weights of classes).
    """
    entropies = cross_entropies(logits, labels)
    # 1 - p without cancellation; 0 where nothing is annotated.
    missed = -(-entropies).expm1()
    return summed((missed.square() * entropies).sum()) / summed((labels > 0).sum()).clamp(min=1)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p of the true class at each px (B, m, m), 0 where not annotated, in single precision at least."""
    logarithms = log_softmax(precise(logits), dim=1)
    true = logarithms.gather(1, class_numbers(labels).clamp(min=0)[:, None])[:, 0]
    return -true.masked_fill(labels == 0, 0.0)


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """(B, m, m) of 0..K -> (B, K, m, m), 1 in the channel of the class; all 0 where not annotated."""
    values = torch.arange(1, classes + 1, device=labels.device)
    return (labels[:, None] == values.view(1, -1, 1, 1)).to(dtype)
