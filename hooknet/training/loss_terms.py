"""Losses by name, for any network that gives logits for each px."""

from __future__ import annotations

from typing import Final

from hooknet.config.losses import LossOptions
from hooknet.training.boundary_loss import boundary_loss, boundary_ramp
from hooknet.training.frequency_loss import frequency_loss
from hooknet.training.losses import Loss, annotated_cross_entropy
from hooknet.training.region_losses import dice_loss, focal_loss

#: Each takes logits (B, K, m, m) and labels (B, m, m), 0 not annotated, 1..K; each ignores px that are not annotated.
TERMS: Final[dict[str, Loss]] = {
    "cross_entropy": annotated_cross_entropy,
    "dice": dice_loss,
    "focal": focal_loss,
    "frequency": frequency_loss,
    "boundary": boundary_loss,
}


def weights_at(options: LossOptions, epoch: int) -> dict[str, float]:
    """Term -> weight in an epoch (from 0), of those that count by then: the boundary comes in slowly."""
    ramp = boundary_ramp(epoch, options.boundary_warmup)
    found = {name: weight * (ramp if name == "boundary" else 1.0) for name, weight in options.terms.items()}
    return {name: weight for name, weight in found.items() if weight > 0}
