"""What Lightning runs: a training step, a validation step, an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hooknet.config.dense import DenseSettings
from hooknet.data.augment.chain import Augment
from hooknet.models.network import Network
from hooknet.training.batches import Batch, prepare
from hooknet.training.losses import branches_loss, weight_decay
from hooknet.training.scored import ADAM_EPSILON, Scored

Forward = Callable[[Sequence[Tensor]], list[Tensor]]


class Segmentation(Scored):
    """A network, its loss and its validation score.

    A batch is views (B, branches, S, S, 3) uint8, labels per output branch (B, s, s) uint8, and the random
    numbers of augmentation (see :mod:`hooknet.data.patches`).
    """

    network: Network

    def __init__(
        self,
        network: Network,
        augment: Augment | None,
        settings: DenseSettings,
        classes: Sequence[str],
    ) -> None:
        """``augment`` None trains on the patches as they are."""
        super().__init__(network, len(classes), seed=0)  # no layer of it draws numbers
        # Functions and no modules: weights keep their names, and are stored once.
        self._forward: Forward = network.forward
        if settings.train.compile:
            self._forward = torch.compile(network.forward, dynamic=False)
        self._augment = augment
        self._options = settings.train
        self._shuffle_context = settings.shuffle_context
        weights = network.settings.all_loss_weights
        self._weights = [weights[branch] for branch in network.output_branches]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as the paper."""
        return torch.optim.Adam(self.network.parameters(), lr=self._options.learning_rate, eps=ADAM_EPSILON)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """All but the numbers that decide how patches are augmented, see :class:`Augment`."""
        views, labels, uniform, field = batch
        views, labels, field = super().transfer_batch_to_device(
            (views, labels, field), device, dataloader_idx
        )
        return views, labels, uniform, field

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of one mini-batch."""
        views, labels = self._prepare(batch, augment=True)
        loss = branches_loss(self._logits(views), labels, self._weights, self._options.normalise)
        self.log("train_cross_entropy", loss.detach(), on_step=False, on_epoch=True, batch_size=len(views))
        if self._options.l2 > 0:
            loss = loss + weight_decay(self.network.regularised_kernels(), self._options.l2)
        self.log(
            "train_loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, batch_size=len(views)
        )
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count which truth met which prediction, at the target spacing."""
        if self._shuffle_context and len(batch[0]) == 1:
            return  # the last one of an epoch may hold one patch, for which there is no other context
        views, labels = self._prepare(batch, augment=False)
        logits = self._logits(views)
        loss = branches_loss(logits, labels, self._weights, self._options.normalise)
        meant = labels[0] > 0 if self._options.normalise == "annotated" else torch.ones_like(labels[0])
        predicted = logits[0].argmax(dim=1).cpu().numpy() + 1
        self._validated(labels[0].cpu().numpy(), predicted, float(loss), int(meant.sum()))

    def _logits(self, views: Tensor) -> list[Tensor]:
        layout = torch.channels_last
        return self._forward(
            [views[:, one].contiguous(memory_format=layout) for one in range(views.shape[1])]
        )

    def _prepare(self, batch: Batch, augment: bool) -> tuple[Tensor, list[Tensor]]:
        """Views (B, branches, 3, S, S) as floats 0..1, labels cut to the output."""
        return prepare(
            batch,
            self._augment if augment else None,
            self.network.output_branches,
            self.network.patch_spec.output_size,
            self._shuffle_context,
        )
