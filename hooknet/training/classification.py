"""Train a patch classifier: hierarchical-balanced draws, and cross-entropy that may weigh clusters alike (H2G-Net)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from hooknet.config.run import ClassifierRun
from hooknet.data.augment.chain import Augment, Strengths
from hooknet.data.augment.numbers import field_layout
from hooknet.data.hierarchical import Hierarchical
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.data.labelled_patches import LabelledPatches
from hooknet.data.samplers import EpochSampler, validation_rows
from hooknet.errors import ConfigError
from hooknet.models.classifier import PatchClassifier
from hooknet.models.gpus import in_fp32
from hooknet.training.batches import Batch, complete_index, hierarchical_draws, reading
from hooknet.training.cluster_loss import cluster_cross_entropy
from hooknet.training.clusters import Clusters, floats, load_clusters
from hooknet.training.loop import Training, fit
from hooknet.training.ranks import OwnShare, Shares
from hooknet.training.scored import ADAM_EPSILON, ONCE_AN_EPOCH, Scored
from hooknet.training.states import TrainFiles, identity_of
from hooknet.training.weights import checkpoint_spec, new_classifier


class Classification(Scored):
    """A patch classifier.  A batch is views (B, 1, S, S, 3) uint8, classes (B,) uint8 and augmentation numbers."""

    def __init__(
        self,
        network: PatchClassifier,
        augment: Augment | None,
        run: ClassifierRun,
        clusters: Clusters | None = None,
    ) -> None:
        """``augment`` None trains on the patches as they are; without ``clusters`` the loss is cross-entropy."""
        super().__init__(network, len(run.dataset.classes), run.seed)
        self._augment = augment
        self._settings = run.settings
        # In a list, so that they are no part of the module: frozen, and stored in a file of their own.
        self._clusters = [] if clusters is None else [clusters]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        rate = self._settings.train.learning_rate
        return torch.optim.Adam(self.network.parameters(), lr=rate, eps=ADAM_EPSILON)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """All but the numbers that decide how patches are augmented, see :class:`Augment`."""
        views, labels, uniform, field = batch
        moved = super().transfer_batch_to_device((views, labels, field), device, dataloader_idx)
        return moved[0], moved[1], uniform, moved[2]

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of one mini-batch."""
        raw, labels, uniform, field = batch
        patches = floats(raw[:, 0])
        loss = self._loss(self.network(self._augmented(patches, uniform, field)), labels, patches)
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(labels), **ONCE_AN_EPOCH)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count which class met which prediction."""
        raw, labels = batch[:2]
        logits = self.network(floats(raw[:, 0])).float()
        loss = cross_entropy(logits, labels.long() - 1)
        predicted = logits.argmax(dim=1).cpu().numpy() + 1
        self._validated(labels.cpu().numpy(), predicted, float(loss), len(labels))

    def _augmented(self, patches: Tensor, uniform: Tensor, field: Tensor) -> Tensor:
        if self._augment is None:
            return patches
        with torch.no_grad(), in_fp32(patches.device):
            views, _ = self._augment(patches[:, None], (), (), uniform, field)
        return views[:, 0].contiguous(memory_format=torch.channels_last)

    def _loss(self, logits: Tensor, labels: Tensor, patches: Tensor) -> Tensor:
        options = self._settings.clusters
        if options is None:
            return cross_entropy(logits.float(), labels.long() - 1)
        (clusters,) = self._clusters
        # Of the patch as it was drawn: its cluster is no matter of how it was augmented.
        return cluster_cross_entropy(logits, labels, clusters.of(patches), clusters.count, options.reduction)


def train_classifier(
    run: ClassifierRun,
    training: Sequence[SlideFiles],
    validation: Sequence[SlideFiles],
    clusters: Path | None,
    files: TrainFiles,
) -> None:
    """Train, or go on with an interrupted training of the same settings and data.

    ``clusters``: what ``fit-clusters`` wrote, for a run whose loss weighs by them.  ConfigError where a class of
    the dataset is absent from training or validation.
    """
    options = run.settings.train
    if (clusters is None) != (run.settings.clusters is None):
        raise ConfigError(
            f"run {run.name}: found {'no clusters' if clusters is None else 'clusters'}, wanted "
            f"{'some' if clusters is None else 'none'} by its settings; give --clusters (see fit-clusters) where the "
            "experiment has `clusters`, and only there"
        )
    torch.set_num_threads(options.threads)  # sums of floats depend on it, so it is a setting
    indices = [
        complete_index(run, split, slides, run.patch_spec)
        for split, slides in (("training", training), ("validation", validation))
    ]
    network = new_classifier(run)
    weights = [Path(one) for one in (run.settings.network.weights,) if one is not None]
    module = Classification(
        network,
        augmentation(run),
        run,
        None if clusters is None else load_clusters(run, clusters),
    )
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draws = hierarchical_draws(run, indices[0], options.batch)
    fit(
        Training(
            module,
            _loaders(run, indices[0], indices[1], draws),
            draws,
            checkpoint_spec(run, (*training, *validation)),
            identity_of(run, [*weights, *([] if clusters is None else [clusters])], training, validation),
            options,
        ),
        files,
    )


def augmentation(run: ClassifierRun) -> Augment:
    """The run's augmentation."""
    settings = run.settings.augment
    layout = field_layout(_width_um(run), settings.elastic_scale_um)
    return Augment(Strengths(**settings.model_dump()), run.patch_spec, layout)


def _width_um(run: ClassifierRun) -> float:
    return run.settings.patch_size * run.settings.spacing


def _loaders(
    run: ClassifierRun, train_index: CentreIndex, check_index: CentreIndex, draws: Hierarchical
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    options, spec = run.settings.train, run.patch_spec
    layout = field_layout(_width_um(run), run.settings.augment.elastic_scale_um)
    training = DataLoader(
        LabelledPatches(train_index, spec, layout, run.seed, options.cache_mb * 2**20),
        batch_sampler=Shares(EpochSampler(draws, options.steps)),
        **reading(options.workers),
    )
    rows = validation_rows(check_index.labels, options.validation_patches, run.seed)
    checking = DataLoader(
        LabelledPatches(check_index, spec, None, run.seed),
        batch_size=options.batch,
        sampler=OwnShare([(number, int(row)) for number, row in enumerate(rows)]),
        **reading(options.workers),
    )
    return training, checking
