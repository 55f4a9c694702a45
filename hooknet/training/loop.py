"""Train one run: from the indices of its slides to the best and the last weights."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

import hooknet
from hooknet.config.experiment import LoopOptions, Precision
from hooknet.config.run import DenseRun
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.data.samplers import EpochSampler, PixelBalanced, Sampler, validation_rows
from hooknet.errors import ConfigError, HookNetError
from hooknet.io.locks import exclusive
from hooknet.io.memory import keep_freed_memory
from hooknet.models.gpus import has_bf16, rounding_to_tf32
from hooknet.models.network import Network
from hooknet.training.batches import augmentation, balanced_draws, complete_index, reading, training_loader
from hooknet.training.callbacks import AtomicCheckpointIO, Keeper, LeaveTogether
from hooknet.training.endings import as_one_line, lost
from hooknet.training.module import Segmentation
from hooknet.training.provenance import provenance
from hooknet.training.ranks import OwnShare, Ranks, Shares, ranks_of
from hooknet.training.scored import Scored
from hooknet.training.states import (
    STATE,
    TrainFiles,
    go_on,
    identity_of,
    move_results,
    open_state,
    state_of_the_first,
)
from hooknet.training.weights import checkpoint_spec, new_network

logger = logging.getLogger(__name__)

Loaders = tuple[DataLoader[Any], DataLoader[Any]]


@dataclass(frozen=True)
class Training:
    """What is trained, and how long.

    ``spec`` is stored with the weights, ``draws`` is the sampler of the training loader, ``identity`` a
    fingerprint of all that the weights depend on.  ``accumulate``: mini-batches whose gradients make one step.
    ``clip``: how long a step's gradient may be at most.
    """

    module: Scored
    loaders: Loaders
    draws: Sampler
    spec: dict[str, Any]
    identity: str
    options: LoopOptions
    accumulate: int = 1
    clip: float | None = None

    @property
    def validated(self) -> int:
        """Members of the validation, of all processes."""
        sampler = self.loaders[1].sampler
        assert isinstance(sampler, OwnShare)
        return sampler.all


def train(
    run: DenseRun,
    training: Sequence[SlideFiles],
    validation: Sequence[SlideFiles],
    files: TrainFiles,
    epochs: int | None = None,
) -> bool:
    """Train a network that predicts a class per pixel, or go on with an interrupted training of the same.

    ``epochs``: the first so many alone; a shorter training is the start of a longer one.  Returns as :func:`fit`.
    ConfigError where a class of the dataset is absent from training or validation.
    """
    settings = run.settings
    options = settings.train if epochs is None else settings.train.model_copy(update={"epochs": epochs})
    torch.set_num_threads(settings.train.threads)  # sums of floats depend on it, so it is a setting
    network = new_network(run)
    names, spec = run.dataset.label_map.names, run.network.shape.patch_spec
    train_index = complete_index(run, "training", training, spec)
    check_index = complete_index(run, "validation", validation, spec)
    module = Segmentation(network, augmentation(run), settings, names, run.seed)
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draws = balanced_draws(run, train_index)
    return fit(
        Training(
            module,
            _loaders(run, network, train_index, check_index, draws),
            draws,
            checkpoint_spec(run, (*training, *validation))
            | provenance(run, train_index, check_index, measured=epochs is None),
            _identity(run, training, validation),
            options,
            clip=settings.train.clip_gradient,
        ),
        files,
    )


def fit(training: Training, files: TrainFiles) -> bool:
    """Train to the end, from where the same training was interrupted; then put the results in their place.

    Of several processes all do the same but for files, which the first writes: whether this is the first.
    """
    keep_freed_memory()
    ranks = ranks_of(training.options, training.validated, training.spec["run"])
    classes = tuple(one["name"] for one in training.spec["classes"])
    keeper = Keeper(files.state, training.spec, classes, training.draws)
    precision = precision_of(training.options, training.spec["run"])
    trainer = _trainer(training, files.state, keeper, ranks, precision)
    first = trainer.is_global_zero
    if not first:
        logging.getLogger(hooknet.__name__).setLevel(logging.WARNING)
    # Two trainings of one run would mix their states.
    lock = files.state.with_name(f".{files.state.name}.lock")
    with exclusive(lock) if first else contextlib.nullcontext():
        epochs = training.options.epochs
        state = (open_state if first else state_of_the_first)(files.state, training.identity, epochs)
        if state is None or go_on(state, epochs):
            if torch.cuda.is_available():
                logger.info("on %s, in %s", torch.cuda.get_device_name(), precision)
            with rounding_to_tf32(precision == "tf32"):
                _fit(trainer, training.module, training.loaders, state)
        if first:
            move_results(files)
    return first


def _fit(trainer: lightning.Trainer, module: Scored, loaders: Loaders, state: Path | None) -> None:
    """Train to the end, leaving out Lightning's remarks on what is so on purpose and on its own code."""
    with warnings.catch_warnings():
        # The state to go on from, and the mark of whose it is.
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        # A rung of a trial goes on in a folder of its own.
        warnings.filterwarnings("ignore", "The dirpath has changed from")
        # Their number is a setting.
        warnings.filterwarnings("ignore", ".* does not have many workers")
        # A login node, or one process of a job, trains as any machine does.
        warnings.filterwarnings("ignore", "The `srun` command is available")
        # Lightning 2.6 calls what torch 2.13 is about to drop.
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        try:
            trainer.fit(module, *loaders, ckpt_path=state, weights_only=True)
        except SIGTERMException:
            # Lightning leaves with status 0, which would pass for a training that is done.
            raise SystemExit(128 + signal.SIGTERM) from None
        except HookNetError as error:
            raise as_one_line(error) from None
        except (RuntimeError, ConnectionError) as error:
            explained = lost(error, trainer.world_size)
            if explained is None:
                raise
            raise explained from None


def _loaders(
    run: DenseRun,
    network: Network,
    train_index: CentreIndex,
    check_index: CentreIndex,
    draws: PixelBalanced,
) -> Loaders:
    options, spec, branches = run.settings.train, network.patch_spec, network.output_branches
    scored = LabelSpec(branches, (spec.output_size,) * len(branches))
    training = training_loader(run, train_index, Shares(EpochSampler(draws, options.steps)), options.workers)
    rows = validation_rows(check_index.labels, options.validation_patches, run.seed)
    if run.settings.shuffles_context:
        # Neighbours in the index are neighbours on the slide: their contexts would be no others.
        rows = np.random.default_rng(run.seed).permutation(rows)
    pairs = [(number, int(row)) for number, row in enumerate(rows)]
    checking = DataLoader(
        PatchDataset(check_index, spec, scored, None, run.seed),
        batch_size=options.batch,
        sampler=OwnShare(pairs),
        **reading(options.workers),
    )
    return training, checking


def precision_of(options: LoopOptions, run: str) -> Precision:
    """What a training computes in; ConfigError where the device that is there has not what is asked for."""
    if options.precision == "auto":
        return "bf16" if has_bf16() else "fp32"
    if options.precision != "fp32" and not has_bf16():
        where = f"a {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no GPU"
        raise ConfigError(
            f"run {run}: train.precision {options.precision} needs a GPU that computes in it (NVIDIA's since Ampere), "
            f"found {where}; set it to auto or fp32"
        )
    return options.precision


def _trainer(
    training: Training, folder: Path, keeper: Keeper, ranks: Ranks, precision: Precision
) -> lightning.Trainer:
    callbacks: list[lightning.Callback] = [keeper, LeaveTogether()]
    if training.options.stop_after is not None:
        stop = EarlyStopping(
            "validation_macro_f1",
            patience=training.options.stop_after,
            mode="max",
            check_on_train_epoch_end=True,
        )
        callbacks.append(stop)
    callbacks.append(
        ModelCheckpoint(folder, filename=STATE, save_on_train_epoch_end=True, enable_version_counter=False)
    )
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar())
    # What it tells of itself; what goes on is told by the callbacks.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    how = ranks.trainer_options()
    how["plugins"] = [AtomicCheckpointIO(), *how["plugins"]]
    return lightning.Trainer(
        max_epochs=training.options.epochs,
        accumulate_grad_batches=training.accumulate,
        gradient_clip_val=training.clip,
        accelerator="auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        callbacks=callbacks,
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
        **how,
    )


def _identity(run: DenseRun, *splits: Sequence[SlideFiles]) -> str:
    start = run.settings.starts_from
    return identity_of(run, [] if start is None else [Path(start)], *splits)
