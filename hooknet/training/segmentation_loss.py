"""The loss of a network that predicts a class per pixel: weighted terms, over all that it gives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hooknet.config.dense import TrainOptions
from hooknet.models.network import Outputs
from hooknet.training.loss_terms import TERMS, weights_at
from hooknet.training.losses import Loss, all_pixels_cross_entropy, branches_loss
from hooknet.training.point_loss import point_loss


class SegmentationLoss:
    """Terms by the weights of a training's ``losses``."""

    def __init__(self, options: TrainOptions, branch_weights: Sequence[float]) -> None:
        """``branch_weights``: one for each output branch, target first."""
        self._options = options.losses
        self._point_weight = options.losses.point_weight
        self._branches = branch_weights
        self._measures: dict[str, Loss] = {name: TERMS[name] for name in options.losses.terms}
        if options.normalise == "all_pixels" and "cross_entropy" in self._measures:
            self._measures["cross_entropy"] = all_pixels_cross_entropy

    def terms(self, outputs: Outputs, labels: Sequence[Tensor], epoch: int) -> dict[str, Tensor]:
        """Weight · loss of each term, whose sum is the loss; ``epoch`` from 0.

        ``labels`` (B, m, m) per output branch, 0 not annotated, 1..K.  A term is summed over the branches, each with
        its weight, and over the further logits of the target, each with its share.
        """
        found = {
            name: weight * self._over_all(self._measures[name], outputs, labels)
            for name, weight in weights_at(self._options, epoch).items()
        }
        if outputs.points is not None and self._point_weight > 0:
            found["points"] = self._point_weight * point_loss(outputs.points, labels[0])
        return found

    def _over_all(self, measure: Loss, outputs: Outputs, labels: Sequence[Tensor]) -> Tensor:
        total = branches_loss(outputs.logits, labels, self._branches, measure)
        deep = [share * measure(logits, labels[0]) for share, logits in outputs.deep]
        return total + torch.stack(deep).sum() if deep else total
