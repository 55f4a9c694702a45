"""A checkpoint of weights that were trained elsewhere."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from hooknet.config.run import DenseRun
from hooknet.errors import CheckpointError
from hooknet.io.atomic import remove_stale
from hooknet.models.checkpoint import restore, save_checkpoint
from hooknet.models.keras_file import read_keras
from hooknet.models.table import build_model
from hooknet.shapes.encoded import EncodedSettings
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.training.weights import checkpoint_spec

logger = logging.getLogger(__name__)


def import_keras(run: DenseRun, weights: Path, input_scale: int, out: Path) -> None:
    """Write the checkpoint that the run's experiment would use; CheckpointError for weights that do not fit it.

    Of the run only the experiment counts: the weights have no seed, no fold and no slides of ours.
    """
    settings = run.network
    if not isinstance(settings, HookNetSettings):
        raise CheckpointError(
            f"{weights}: experiment {run.experiment} is of model {run.settings.model}, Keras weights are of a unet "
            "or hooknet; give such an experiment"
        )
    if isinstance(settings, EncodedSettings):
        raise CheckpointError(
            f"{weights}: experiment {run.experiment} has an encoder of its own, which no Keras weights are of; leave "
            "network.encoder out"
        )
    if settings.merge == "attention":
        raise CheckpointError(
            f"{weights}: experiment {run.experiment} hooks by attention, which the official code does not; name the "
            "merge that the weights were trained with"
        )
    if out.resolve() == weights.resolve():
        raise CheckpointError(f"{weights}: the checkpoint would replace the weights; give another --out")
    found = read_keras(weights, settings, input_scale)
    network = build_model(run.settings.model, settings)
    restore(network, found.state, weights)
    spec = checkpoint_spec(run, ()) | {"run": run.experiment, "seed": None, "fold": None}
    extra = {
        "source": weights.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "input_scale": input_scale,
        "first_kernels_multiplied_by": found.factor,
    }
    remove_stale(out)
    save_checkpoint(out, network, spec, extra)
    logger.info("%s: %d parameters for experiment %s", out, settings.shape.parameter_count, run.experiment)
