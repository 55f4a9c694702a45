"""The loss of the paper: λ-weighted cross-entropy of the branches, and weight decay.

The paper does not say over which pixels the mean is; the official code takes all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log, log1p

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

from hooknet.training.ranks import summed

#: Logits (B, K, m, m) and labels (B, m, m), 0 not annotated, 1..K -> a number.
Loss = Callable[[Tensor, Tensor], Tensor]

CLIP = 1e-7  # Keras keeps the probabilities in its cross-entropy so far from 0 and 1
_IGNORED = -1


def annotated_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over the batch's annotated pixels and divided by their number; 0 without any.

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.
    """
    total = cross_entropy(precise(logits), class_numbers(labels), ignore_index=_IGNORED, reduction="sum")
    return summed(total) / summed((labels > 0).sum()).clamp(min=1)


def all_pixels_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of probabilities clipped to [1e-7, 1 - 1e-7], divided by the number of all pixels.

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.  Pixels that are not annotated add
    nothing and yet count; where the clip bites the gradient is 0.  Source: the official code, whose labels
    are one-hot with rows of zeros and whose loss is Keras's categorical cross-entropy on probabilities.
    """
    logarithms = log_softmax(precise(logits), dim=1).clamp(log(CLIP), log1p(-CLIP))
    return (
        nll_loss(logarithms, class_numbers(labels), ignore_index=_IGNORED, reduction="sum") / labels.numel()
    )


def branches_loss(
    logits: Sequence[Tensor],
    labels: Sequence[Tensor],
    weights: Sequence[float],
    measure: Loss = annotated_cross_entropy,
) -> Tensor:
    """Σ weight · loss over the branches, target first: λ and 1 - λ in the paper (section 3.4)."""
    parts = [weight * measure(one, label) for one, label, weight in zip(logits, labels, weights, strict=True)]
    return torch.stack(parts).sum()


def weight_decay(kernels: Iterable[Tensor], strength: float) -> Tensor:
    """``strength`` · Σ w² (no ½), as Keras's L2 regulariser in the official code."""
    return strength * torch.stack([precise(kernel).square().sum() for kernel in kernels]).sum()


def central(labels: Tensor, size: int) -> Tensor:
    """The central (B, size, size) of labels (B, s, s); s - size is even by construction."""
    margin = (labels.shape[-1] - size) // 2
    return labels[..., margin : margin + size, margin : margin + size]


def class_numbers(labels: Tensor) -> Tensor:
    """Classes 0..K-1; what is not annotated becomes the value that is ignored."""
    return labels.long() + _IGNORED


def precise(values: Tensor) -> Tensor:
    """In single precision at least, whatever the network computes in."""
    return values if values.dtype == torch.float64 else values.float()
