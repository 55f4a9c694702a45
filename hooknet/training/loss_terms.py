"""Losses by name, for any network that gives logits for each px."""

from __future__ import annotations

from typing import Final

from hooknet.training.boundary_loss import boundary_loss
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
