"""The loss of the paper: λ-weighted cross-entropy of the branches, over annotated pixels only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

_IGNORED = -1


def annotated_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over the batch's annotated pixels and divided by their number; 0 without any.

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.
    """
    wanted = labels.long() + (_IGNORED)  # classes 0..K-1, what is not annotated is ignored
    total = cross_entropy(logits.float(), wanted, ignore_index=_IGNORED, reduction="sum")
    return total / (labels > 0).sum().clamp(min=1)


def branches_loss(logits: Sequence[Tensor], labels: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ weight · cross-entropy over the branches, target first: λ and 1 - λ in the paper (section 3.4)."""
    parts = [
        weight * annotated_cross_entropy(one, label)
        for one, label, weight in zip(logits, labels, weights, strict=True)
    ]
    return torch.stack(parts).sum()


def weight_decay(kernels: Iterable[Tensor], strength: float) -> Tensor:
    """``strength`` · Σ w² (no ½), as Keras's L2 regulariser in the official code."""
    return strength * torch.stack([kernel.float().square().sum() for kernel in kernels]).sum()


def central(labels: Tensor, size: int) -> Tensor:
    """The central (B, size, size) of labels (B, s, s); s - size is even by construction."""
    margin = (labels.shape[-1] - size) // 2
    return labels[..., margin : margin + size, margin : margin + size]
