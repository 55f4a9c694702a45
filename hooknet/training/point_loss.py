"""The loss of points that PointRend classifies."""

from __future__ import annotations

from torch import Tensor

from hooknet.models.network import Points
from hooknet.training.losses import annotated_cross_entropy


def point_loss(points: Points, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the points on annotated px; 0 without any.

    ``labels`` (B, m, m), 0 not annotated, 1..K.  A point has the label of the px that it lies in.  Source: Kirillov
    et al. 2020.
    """
    height, width = labels.shape[-2:]
    # A place at 1, the outer corner, belongs to the last px.
    column = (points.places[..., 0] * width).long().clamp(0, width - 1)
    row = (points.places[..., 1] * height).long().clamp(0, height - 1)
    return annotated_cross_entropy(points.logits, labels.flatten(1).gather(1, row * width + column))
