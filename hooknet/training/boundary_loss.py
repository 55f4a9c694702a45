"""Cross-entropy that counts px at borders between classes twice (HDC-HRNet)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from hooknet.training.ranks import summed
from hooknet.training.region_losses import cross_entropies, one_hot


def boundary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Σ w · cross-entropy / Σ w over the annotated px of the batch; w is 2 on boundaries, else 1.  0 without any.

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.
    """
    entropies = cross_entropies(logits, labels)
    weights = (labels > 0).to(entropies) * (1 + boundary_mask(labels, logits.shape[1]).to(entropies))
    return summed((weights * entropies).sum()) / summed(weights.sum()).clamp(min=1)


def boundary_mask(labels: Tensor, classes: int) -> Tensor:
    """Which px (B, m, m) of ``labels`` (B, m, m) of 0..``classes`` see a border between classes: bool.

    Those where the Sobel gradient of any class's mask is not 0: within one px of the border, on both sides.  Of a
    line one px wide the sides are boundary and the line, whose gradients cancel, is not.  Neighbours that are not
    annotated or off the image count as px of the same class, so that only borders between classes are boundaries.

    Source: HDC-HRNet description.  Its code asks for sqrt(g² + 1e-8) > 0, which holds everywhere; and it takes
    the gradient of class numbers, where those of 1 and 3 beside a 2 cancel.
    """
    # Small integers: gradients are exact, and 4 times smaller than as floats.
    masks = one_hot(labels, classes, torch.int8)
    annotated = (labels > 0).to(torch.int8)[:, None]
    # Σ k · a · (mask - mask here) over the neighbours: those that do not count (a = 0) differ by nothing.
    gradients = zip(_sobel(masks), _sobel(annotated), strict=True)
    along_x, along_y = (of_mask - masks * of_annotated for of_mask, of_annotated in gradients)
    found: Tensor = (along_x | along_y).any(dim=1) & (labels > 0)
    return found


def boundary_ramp(epoch: int, warmup: int = 10) -> float:
    """What the boundary loss counts for in an epoch (from 0): 0 up to half the warm-up, 1 a warm-up later.

    Source: HDC-HRNet description: (epoch - 5) / 10 from epoch 5 to 15.  Without a warm-up (0) always 1.
    """
    if warmup <= 0:
        return 1.0
    return min(1.0, max(0.0, (epoch - warmup / 2) / warmup))


def _sobel(values: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of (B, C, m, m) along x and y; off the image all is 0."""
    around = pad(values, (1, 1, 1, 1))
    over_y = around[..., :-2, :] + 2 * around[..., 1:-1, :] + around[..., 2:, :]
    over_x = around[..., :-2] + 2 * around[..., 1:-1] + around[..., 2:]
    return over_y[..., 2:] - over_y[..., :-2], over_x[..., 2:, :] - over_x[..., :-2, :]
