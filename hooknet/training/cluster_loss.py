"""Cross-entropy that weighs the clusters of patches alike (H2G-Net)."""

from __future__ import annotations

from math import log, log1p
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, nll_loss

from hooknet.training.losses import CLIP
from hooknet.training.ranks import summed

Reduction = Literal["per_class", "poster"]


def cluster_cross_entropy(
    logits: Tensor, labels: Tensor, clusters: Tensor, clusters_count: int, reduction: Reduction = "per_class"
) -> Tensor:
    """Cross-entropy averaged over the patches of a cluster first and over clusters then.

    ``logits`` (B, K); ``labels`` (B,), 0 ignored, 1..K; ``clusters`` (B,) integers 0..``clusters_count`` - 1, of
    ignored patches too.  Only classes and clusters that the batch has patches of are averaged over; without any
    the loss is 0 and so is its gradient.  Computed in single precision at least.  Probabilities are clipped to
    [1e-7, 1 - 1e-7]; where the clip bites the gradient is 0.

    ``per_class``: the mean over the patches of each class and cluster, then over the clusters of each class, then
    over the classes; with one cluster that is the class-balanced cross-entropy.  Source: the released code, which
    divides by 0 where a class is absent.
    ``poster``: the mean over the patches of each cluster, whatever their class, then over the clusters; with one
    cluster that is the mean cross-entropy.  Source: the poster, whose sum over clusters, read literally, would
    drop out; each cluster is divided by its own number of patches instead.
    """
    losses = _cross_entropies(logits, labels)
    # A row for each label: that of label 0, which is ignored, is left out afterwards.
    zeros = losses.new_zeros(logits.shape[1] + 1, clusters_count)
    groups = (labels.long(), clusters.long())
    sums = summed(zeros.index_put(groups, losses, accumulate=True)[1:])
    counts = summed(zeros.index_put(groups, torch.ones_like(losses), accumulate=True)[1:])
    if reduction == "poster":
        sums, counts = sums.sum(dim=0), counts.sum(dim=0)
        return _mean_of_present(sums / counts.clamp(min=1), counts > 0)
    of_class = _mean_of_present(sums / counts.clamp(min=1), counts > 0)
    return _mean_of_present(of_class, (counts > 0).any(dim=1))


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p of the true class (B,), p clipped; 0 for what is ignored."""
    precise = logits if logits.dtype == torch.float64 else logits.float()
    logarithms = log_softmax(precise, dim=1).clamp(log(CLIP), log1p(-CLIP))
    return nll_loss(logarithms, labels.long() - 1, ignore_index=-1, reduction="none")


def _mean_of_present(values: Tensor, present: Tensor) -> Tensor:
    """Mean over the last axis of the values that are present; 0 without any.  What is absent holds 0."""
    return values.sum(dim=-1) / present.sum(dim=-1).clamp(min=1)
