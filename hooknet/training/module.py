"""What Lightning runs: a training step, a validation step, an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from hooknet.config.dense import DenseSettings
from hooknet.data.augment.chain import Augment
from hooknet.models.network import Network, Outputs
from hooknet.training.batches import Batch, prepare
from hooknet.training.losses import weight_decay
from hooknet.training.optimiser import optimiser
from hooknet.training.parts import checkpointed, joined
from hooknet.training.scored import ONCE_AN_EPOCH, Scored
from hooknet.training.segmentation_loss import SegmentationLoss

Forward = Callable[[Sequence[Tensor]], Outputs]


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
        seed: int = 0,
    ) -> None:
        """``augment`` None trains on the patches as they are; ``seed`` of what layers draw (PointRend's points)."""
        super().__init__(network, len(classes), seed)
        # Functions and no modules: weights keep their names, and are stored once.
        self._outputs: Forward = network.outputs
        if settings.train.compile:
            self._outputs = torch.compile(network.outputs, dynamic=False)
        self._augment = augment
        self._options = settings.train
        self._shuffle_context = settings.shuffles_context
        weights = network.settings.all_loss_weights
        self._loss = SegmentationLoss(settings.train, [weights[branch] for branch in network.output_branches])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, as HookNet's paper, or AdamW; the learning rate constant, or a cosine down to a hundredth."""
        return optimiser(self.network.parameters(), self._options)

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
        terms = self._loss.terms(self._in_parts(self._patches(views)), labels, self.current_epoch)
        for name, value in terms.items():
            self.log(f"train_{name}", value.detach(), batch_size=len(views), **ONCE_AN_EPOCH)
        loss = torch.stack(list(terms.values())).sum()
        if self._options.l2 > 0:
            loss = loss + weight_decay(self.network.regularised_kernels(), self._options.l2)
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(views), **ONCE_AN_EPOCH)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count which truth met which prediction, at the target spacing."""
        if self._shuffle_context and len(batch[0]) == 1:
            return  # the last one of an epoch may hold one patch, for which there is no other context
        views, labels = self._prepare(batch, augment=False)
        outputs = self._outputs(self._patches(views))
        loss = sum(self._loss.terms(outputs, labels, self.current_epoch).values())
        meant = labels[0] > 0 if self._options.normalise == "annotated" else torch.ones_like(labels[0])
        predicted = outputs.logits[0].argmax(dim=1).cpu().numpy() + 1
        self._validated(labels[0].cpu().numpy(), predicted, float(loss), int(meant.sum()))

    def _in_parts(self, patches: list[Tensor]) -> Outputs:
        """What the network gives, of one part of the mini-batch after the other where memory shall be saved.

        Then nothing inside the network is kept for the gradient but computed once more, part by part; the loss
        sees the whole mini-batch all the same.
        """
        parts = min(self._options.accumulate, len(patches[0]))
        if parts == 1:
            return self._outputs(patches)
        each = zip(*(one.chunk(parts) for one in patches), strict=True)
        return joined([checkpointed(self.network, self._outputs, list(one)) for one in each])

    def _patches(self, views: Tensor) -> list[Tensor]:
        layout = torch.channels_last
        return [views[:, one].contiguous(memory_format=layout) for one in range(views.shape[1])]

    def _prepare(self, batch: Batch, augment: bool) -> tuple[Tensor, list[Tensor]]:
        """Views (B, branches, 3, S, S) as floats 0..1, labels cut to the output."""
        return prepare(
            batch,
            self._augment if augment else None,
            self.network.output_branches,
            self.network.patch_spec.output_size,
            self._shuffle_context,
        )
