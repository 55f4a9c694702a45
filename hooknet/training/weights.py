"""The weights a training starts from, and what is stored with those it makes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

import hooknet
from hooknet.config.run import Run
from hooknet.data.index import SlideFiles
from hooknet.models.checkpoint import load_checkpoint, restore
from hooknet.models.network import Network
from hooknet.models.table import build_model

logger = logging.getLogger(__name__)


def new_network(run: Run) -> Network:
    """The run's network with weights from its seed, or from ``init_from``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = build_model(run.settings.model, run.network)
    start = run.settings.train.init_from
    if start is not None:
        restore(network, load_checkpoint(start).state_dict, start)
        logger.info("weights start from %s", start)
    return network


def checkpoint_spec(run: Run, slides: Sequence[SlideFiles]) -> dict[str, Any]:
    """What is stored with the weights: everything needed to use them, and where they come from."""
    known = {one.id for one in slides}
    classes = [{"name": one.name, "colour": one.colour} for one in run.dataset.label_map.classes]
    return {
        "run": run.name,
        "experiment": run.experiment,
        "dataset": run.dataset_name,
        "seed": run.seed,
        "fold": run.fold,
        "classes": classes,
        # Trained or chosen on, also by the weights that training started from: no score on them is honest.
        "slides": [*(one.id for one in slides), *(one for one in _seen_before(run) if one not in known)],
        "settings": run.settings.model_dump(mode="json"),
        "version": hooknet.__version__,
    }


def _seen_before(run: Run) -> list[str]:
    """Slides of the run's dataset that the weights it starts from have seen."""
    start = run.settings.train.init_from
    spec = {} if start is None else load_checkpoint(start).spec
    return list(spec.get("slides", [])) if spec.get("dataset") == run.dataset_name else []
