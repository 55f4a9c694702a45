"""Weights of a run, which have to be weights of this run's kind, and where they compute."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from hooknet.config.run import Run
from hooknet.errors import CheckpointError
from hooknet.models.checkpoint import Checkpoint, load_checkpoint, restore
from hooknet.models.gpus import device

logger = logging.getLogger(__name__)

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def fitting_checkpoint(run: Run, path: Path, slides: Sequence[str], wanted: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in a file; CheckpointError unless it was trained for the run's classes and ``wanted`` settings.

    ``wanted``: setting -> the run's, as JSON has it; settings within a section are not looked at where the run's
    section does not name them.  Warns of slides that the weights were trained or chosen on.
    """
    checkpoint = load_checkpoint(path)
    trained = checkpoint.spec.get("settings", {})
    classes = [one["name"] for one in checkpoint.spec.get("classes", [])]
    pairs = [("classes", classes, list(run.dataset.label_map.names))]
    pairs += [(key, _as_wanted(trained.get(key), value), value) for key, value in wanted.items()]
    for key, found, value in pairs:
        if found != value:
            told = " ".join(str(found).split())
            raise CheckpointError(
                f"{path}: trained with {key} {told}, run {run.name} has {value}; train the run again or "
                "use the experiment the weights come from"
            )
    seen = checkpoint.spec.get("slides", []) if checkpoint.spec.get("dataset") == run.dataset_name else []
    for slide in slides:
        if slide in seen:
            logger.warning(
                "%s: %s was trained or chosen on slide %s; a score on it means nothing", slide, path, slide
            )
    return checkpoint


def _as_wanted(found: Any, wanted: Any) -> Any:
    """Of a section what the wanted one names; False for a switch that older checkpoints do not know."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return {key: _as_wanted(value, wanted[key]) for key, value in found.items() if key in wanted}
    return False if found is None and isinstance(wanted, bool) else found


def ready(network: NetworkT, checkpoint: Checkpoint, path: Path) -> NetworkT:
    """A network with weights in it, in eval mode on the device that is there."""
    restore(network, checkpoint.state_dict, path)
    return on_device(network)


def on_device(network: NetworkT) -> NetworkT:
    """A network in eval mode on the device that is there."""
    network.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval()
