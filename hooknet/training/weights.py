"""The weights a training starts from, and what is stored with those it makes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import hooknet
from hooknet.config.run import ClassifierRun, DenseRun, RefinerRun, Run
from hooknet.data.index import SlideFiles
from hooknet.data.slide_images import SlideFile
from hooknet.models.backbone_files import read_backbone
from hooknet.models.checkpoint import load_checkpoint, restore
from hooknet.models.classifier import PatchClassifier
from hooknet.models.encoded import EncodedNet
from hooknet.models.encoders import encoder_weights
from hooknet.models.network import Network
from hooknet.models.refiners.renorm import BatchRenorm2d
from hooknet.models.refiners.table import build_refiner
from hooknet.models.table import build_model
from hooknet.training.provenance import versions

logger = logging.getLogger(__name__)


def new_network(run: DenseRun) -> Network:
    """The run's network with weights from its seed, or from ``init_from``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = build_model(run.settings.model, run.network)
    weights = run.settings.encoder_weights
    if weights is not None and isinstance(network, EncodedNet):
        network.load_encoders(encoder_weights(Path(weights)), Path(weights))
        logger.info("encoders start from %s", weights)
    start = run.settings.train.init_from
    if start is not None:
        restore(network, load_checkpoint(start).state_dict, start)
        logger.info("weights start from %s", start)
    return network


def new_classifier(run: ClassifierRun) -> PatchClassifier:
    """The run's patch classifier, drawn from its seed; its backbone from the file that it names, if it does."""
    options = run.settings.network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = PatchClassifier(run.shape)
    if options.weights is not None:
        state = read_backbone(Path(options.weights), options.backbone, options.layout)
        restore(network.backbone, state, options.weights)
        logger.info("backbone starts from %s", options.weights)
    set_momentum(network, options.batch_norm_momentum)
    return network


def new_refiner(run: RefinerRun) -> nn.Module:
    """The run's refiner, drawn from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = build_refiner(run.shape)
    set_momentum(network, run.settings.network.batch_norm_momentum)
    return network


def set_momentum(network: nn.Module, momentum: float) -> None:
    """How much of the running statistics a step keeps, as Keras counts; torch counts from the other end."""
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, BatchRenorm2d)):
            module.momentum = 1 - momentum


def checkpoint_spec(run: Run, slides: Sequence[SlideFiles | SlideFile]) -> dict[str, Any]:
    """What is stored with the weights: everything needed to use them, and where they come from."""
    known = {one.id for one in slides}
    classes = [
        {"name": one.name, "value": one.value, "colour": one.colour} for one in run.dataset.label_map.classes
    ]
    return {
        "run": run.name,
        "experiment": run.experiment,
        "dataset": run.dataset_name,
        "seed": run.seed,
        "fold": run.fold,
        "classes": classes,
        # Trained or chosen on, also by the weights that training started from: no score on them is honest.
        "slides": [*(one.id for one in slides), *(one for one in _seen_before(run) if one not in known)],
        "channels": run.dataset.channels,
        "settings": run.settings.model_dump(mode="json"),
        "version": hooknet.__version__,
        "versions": versions(),
    }


def _seen_before(run: Run) -> list[str]:
    """Slides of the run's dataset that the weights it starts from have seen."""
    start = run.settings.starts_from
    spec = {} if start is None else load_checkpoint(start).spec
    return list(spec.get("slides", [])) if spec.get("dataset") == run.dataset_name else []
