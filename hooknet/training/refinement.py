"""Train a refiner: whole slides at low power with their heat maps, soft Dice where there are labels (H2G-Net)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import hooknet
from hooknet.config.datasets import SlideSettings
from hooknet.config.project import digest
from hooknet.config.run import RefinerRun
from hooknet.data.augment.slide_images import SlideStrengths
from hooknet.data.samplers import EpochSampler, SlideDraws
from hooknet.data.slide_images import SlideFile, SlideImages
from hooknet.errors import ConfigError, MaskError
from hooknet.io.probabilities import Probabilities
from hooknet.training.batches import Batch, reading
from hooknet.training.loop import Training, fit
from hooknet.training.ranks import OwnShare, Shares
from hooknet.training.refiner_loss import RefinerLoss
from hooknet.training.scored import ADAM_EPSILON, ONCE_AN_EPOCH, Scored
from hooknet.training.states import TrainFiles, stamps
from hooknet.training.weights import checkpoint_spec, new_refiner

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefinerFolders:
    """Where the slides' and the runs' results are: label masks, heat maps."""

    slides: Path
    runs: Path


class Refinement(Scored):
    """A refiner.  A batch is images (B, 3 + heat maps, N, N) of 0..1 and labels (B, N, N) uint8, 0 ignored."""

    def __init__(self, network: nn.Module, run: RefinerRun) -> None:
        super().__init__(network, len(run.dataset.classes), run.seed)
        self._loss = RefinerLoss(run.settings.train.losses, run.shape, run.foreground)
        self._rate = run.settings.train.learning_rate

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.network.parameters(), lr=self._rate, eps=ADAM_EPSILON)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of one mini-batch."""
        images, labels = batch
        loss = self._loss(self._outputs(images), labels, self.current_epoch)
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(labels), **ONCE_AN_EPOCH)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count which class met which prediction, px by px of whole slides."""
        images, labels = batch
        outputs = self._outputs(images)
        loss = self._loss(outputs, labels, self.current_epoch)
        predicted = outputs[0].argmax(dim=1).cpu().numpy() + 1
        self._validated(labels.cpu().numpy(), predicted, float(loss), len(labels))

    def _outputs(self, images: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = self.network(images.contiguous(memory_format=torch.channels_last))
        return outputs


def train_refiner(
    run: RefinerRun,
    training: Sequence[SlideFile],
    validation: Sequence[SlideFile],
    files: TrainFiles,
) -> None:
    """Train, or go on with an interrupted training of the same settings and data.

    Memory: 4 bytes and one a heat map for each px of every slide's square.  ConfigError where no slide has a
    label of a foreground class.
    """
    options = run.settings.train
    torch.set_num_threads(options.threads)  # sums of floats depend on it, so it is a setting
    _check_heat_classes(run.dataset.label_map.names, (*training, *validation))
    shown = SlideImages(training, run.settings.size, run.settings.stretch, run.foreground)
    checked = SlideImages(validation, run.settings.size, run.settings.stretch, run.foreground)
    for split, images in (("training", shown), ("validation", checked)):
        _check_labels(run, split, images)
    module = Refinement(new_refiner(run), run)
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draws = SlideDraws(len(training), options.batch, run.seed)
    fit(
        Training(
            module,
            _loaders(run, shown, checked, draws),
            draws,
            checkpoint_spec(run, (*training, *validation)),
            _identity(run, training, validation),
            options,
            options.accumulate,
        ),
        files,
    )


def slide_files(
    run: RefinerRun, slides: Sequence[SlideSettings], heat_maps: dict[str, str], folders: RefinerFolders
) -> list[SlideFile]:
    """What training needs of each slide; ``heat_maps``: slide -> the run that made its heat map."""
    return [
        SlideFile(
            one.id,
            Path(str(one.slide)),
            one.spacing_override,
            folders.slides / one.id / "labels.tif",
            folders.runs / heat_maps[one.id] / "probabilities" / f"{one.id}.tif" if heat_maps else None,
        )
        for one in slides
    ]


def _check_heat_classes(names: tuple[str, ...], slides: Sequence[SlideFile]) -> None:
    """MaskError for a heat map of other classes: its bands would be taken for those of the dataset's."""
    for one in slides:
        if one.heat is None:
            continue
        with Probabilities.open(one.heat) as heat:
            if heat.names != names:
                raise MaskError(
                    f"{one.heat}: probabilities of {', '.join(heat.names)}, wanted {', '.join(names)}; make it again "
                    "with classify-patches"
                )


def _check_labels(run: RefinerRun, split: str, images: SlideImages) -> None:
    there = images.values()
    names = [one.name for one in run.dataset.label_map.classes if one.value in run.foreground]
    missing = [name for name in names if run.dataset.classes[name].value not in there]
    if missing:
        raise ConfigError(
            f"run {run.name}: the {len(images)} {split} slides show no px of {', '.join(missing)} at this size; "
            "annotate more, or take the class out of `foreground`"
        )


def _loaders(
    run: RefinerRun, shown: SlideImages, checked: SlideImages, draws: SlideDraws
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    options = run.settings.train
    steps = ceil(options.passes * len(shown) / options.batch)
    training = DataLoader(
        shown.augmented(SlideStrengths(**run.settings.augment.model_dump()), run.seed),
        batch_sampler=Shares(EpochSampler(draws, steps)),
        **reading(0),
    )
    checking = DataLoader(
        checked,
        batch_size=options.batch,
        sampler=OwnShare([(0, one) for one in range(len(checked))]),
        **reading(0),
    )
    return training, checking


def _identity(run: RefinerRun, *splits: Sequence[SlideFile]) -> str:
    """A fingerprint of settings and data, split by split."""
    seen = [[_seen(one) for one in slides] for slides in splits]
    return digest(run.training_settings(), seen, hooknet.__version__)


def _seen(one: SlideFile) -> list[Any]:
    heat = None if one.heat is None else hashlib.sha256(one.heat.read_bytes()).hexdigest()
    return [one.id, stamps(one.slide, one.labels), heat]
