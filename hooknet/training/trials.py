"""A trial of a search: a training of some of its epochs, and what its best weights make of the validation centres."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from hooknet.config.run import DenseRun
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.data.samplers import validation_rows
from hooknet.io.points import Points, write_points
from hooknet.models.checkpoint import load_checkpoint, restore
from hooknet.models.gpus import device, rounding_to_tf32
from hooknet.training.batches import complete_index, prepare, reading
from hooknet.training.loop import train
from hooknet.training.states import TrainFiles
from hooknet.training.weights import new_network

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialFiles:
    """Where the results of a rung go, and the folder ``earlier`` that the rung before kept; None for the first."""

    training: TrainFiles
    points: Path
    earlier: Path | None = None


def train_trial(
    run: DenseRun,
    training: Sequence[SlideFiles],
    validation: Sequence[SlideFiles],
    files: TrialFiles,
    epochs: int,
) -> None:
    """Train a candidate up to the end of epoch ``epochs``, from where the rung before ended, and let it predict.

    What comes out does not depend on whether there was a rung before.  Raises as :func:`hooknet.training.loop.train`.
    """
    _take_over(files.earlier, files.training.state)
    if not train(run, training, validation, files.training, epochs):
        return  # of several processes the first predicts
    write_points(files.points, predict_centres(run, validation, files.training.best))
    logger.info("%s: predicted the validation centres", run.name)


def _take_over(earlier: Path | None, state: Path) -> None:
    """A copy of what the rung before kept, unless this one has begun; another training's is not gone on with."""
    if earlier is None or state.exists():
        return
    partial = state.with_name(f".{state.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(earlier, partial)
    try:
        os.replace(partial, state)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not state.exists():  # else another process of this training was faster
            raise


def predict_centres(run: DenseRun, validation: Sequence[SlideFiles], weights: Path) -> Points:
    """The class probabilities of the pixel under each validation centre, by weights of the run.

    Which centres they are depends on the slides and the seed, not on the network: so that networks of other views
    and other targets are asked about the same ones.
    """
    names, spec = run.dataset.label_map.names, run.network.shape.patch_spec
    index = complete_index(run, "validation", validation, spec)
    rows = validation_rows(index.labels, run.settings.train.validation_patches, run.seed)
    table = index.table.iloc[rows]
    return Points(
        names,
        np.array([index.slides[one].id for one in table["slide"]], np.str_),
        table["x"].to_numpy(np.float64),
        table["y"].to_numpy(np.float64),
        table["label"].to_numpy(np.uint8),
        _probabilities(run, index, rows, weights),
    )


@torch.inference_mode()
@rounding_to_tf32(False)  # as maps are compared
def _probabilities(
    run: DenseRun, index: CentreIndex, rows: np.ndarray[tuple[int], np.dtype[np.int64]], weights: Path
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    options, spec = run.settings.train, run.network.shape.patch_spec
    chosen = device()
    network = new_network(run)
    restore(network, load_checkpoint(weights).state_dict, weights)
    network.to(chosen, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    loader = DataLoader(
        PatchDataset(index, spec, LabelSpec((0,), (spec.output_size,)), None, run.seed),
        batch_size=options.batch,
        sampler=[(number, int(row)) for number, row in enumerate(rows)],
        **reading(options.workers),
    )
    found = []
    for raw, labels, uniform, field in loader:
        batch = (raw.to(chosen), [one.to(chosen) for one in labels], uniform, field)
        views, _ = prepare(batch, None, (0,), spec.output_size, shuffle_context=False)
        patches = [
            views[:, one].contiguous(memory_format=torch.channels_last) for one in range(views.shape[1])
        ]
        logits = network(patches)[0].float()
        # A centre is the upper left corner of the labelled pixel: of an even output the one below and right of its own.
        middle = logits.shape[-1] // 2
        found.append(logits[..., middle, middle].softmax(dim=1).cpu().numpy())
    return np.concatenate(found).astype(np.float64)
