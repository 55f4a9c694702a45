"""Train one run: from the indices of its slides to the best and the last weights."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import signal
import sys
import time
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
from hooknet.config.experiment import LoopOptions
from hooknet.config.project import digest
from hooknet.config.run import DenseRun, Run
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.data.samplers import EpochSampler, PixelBalanced, Sampler, validation_rows
from hooknet.errors import HookNetError
from hooknet.io.atomic import atomic, write_text
from hooknet.io.locks import exclusive
from hooknet.io.memory import keep_freed_memory
from hooknet.models.network import Network
from hooknet.training.batches import augmentation, balanced_draws, complete_index, reading, training_loader
from hooknet.training.callbacks import BEST, DRAWS, LAST, METRICS, AtomicCheckpointIO, Keeper, LeaveTogether
from hooknet.training.endings import as_one_line, lost
from hooknet.training.module import Segmentation
from hooknet.training.provenance import provenance
from hooknet.training.ranks import OwnShare, Ranks, Shares, ranks_of
from hooknet.training.scored import Scored
from hooknet.training.weights import checkpoint_spec, new_network

logger = logging.getLogger(__name__)

Loaders = tuple[DataLoader[Any], DataLoader[Any]]
IDENTITY = "identity"
#: Seconds that processes wait for the first of them.
OPENED_WITHIN = 600
STATE = "state"


@dataclass(frozen=True)
class TrainFiles:
    """Where results go; ``state`` lives until the training is done, or is ``kept`` for a longer one.

    ``draws``: how often what was drawn, where the sampler tells it.
    """

    best: Path
    last: Path | None
    metrics: Path
    state: Path
    draws: Path | None = None
    kept: Path | None = None


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
            checkpoint_spec(run, (*training, *validation)) | provenance(run, train_index, check_index),
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
    trainer = _trainer(training, files.state, keeper, ranks)
    first = trainer.is_global_zero
    if not first:
        logging.getLogger(hooknet.__name__).setLevel(logging.WARNING)
    # Two trainings of one run would mix their states.
    lock = files.state.with_name(f".{files.state.name}.lock")
    with exclusive(lock) if first else contextlib.nullcontext():
        state = (_open_state if first else _state_of_the_first)(files.state, training.identity)
        if state is None or _go_on(state, training.options.epochs):
            _fit(trainer, training.module, training.loaders, state)
        if first:
            _move_results(files)
    return first


def _go_on(state: Path, epochs: int) -> bool:
    """Whether there is more to do after a state, which was saved at the end of an epoch."""
    saved = torch.load(state, map_location="cpu", weights_only=True)
    done = int(saved["epoch"]) + 1
    # Lightning would train an epoch more before it looks at its patience again.
    stopped = any(
        one["wait_count"] >= one["patience"]
        for name, one in saved["callbacks"].items()
        if name.startswith(EarlyStopping.__name__)
    )
    logger.info("going on after epoch %d of %d%s", done, epochs, ", which was the last" * stopped)
    return done < epochs and not stopped


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


def _trainer(training: Training, folder: Path, keeper: Keeper, ranks: Ranks) -> lightning.Trainer:
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
        precision="bf16-mixed" if torch.cuda.is_available() else "32-true",
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


def identity_of(run: Run, weights: Sequence[Path], *splits: Sequence[SlideFiles]) -> str:
    """A fingerprint of settings and data, split by split; ``weights``: files that it starts from or leans on."""
    seen = [[_seen(one) for one in slides] for slides in splits]
    started = [hashlib.sha256(path.read_bytes()).hexdigest() for path in weights]
    return digest(run.training_settings(), seen, started, hooknet.__version__)


def _seen(one: SlideFiles) -> list[Any]:
    return [one.id, stamps(one.slide, one.labels), hashlib.sha256(one.centres.read_bytes()).hexdigest()]


def stamps(*paths: Path) -> list[tuple[int, int]]:
    """Size and time of files too large to be summed."""
    return [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def _open_state(folder: Path, identity: str) -> Path | None:
    """The state to go on from, if there is one of the same identity; else an empty folder."""
    marker, state = folder / IDENTITY, folder / f"{STATE}.ckpt"
    if marker.is_file() and marker.read_text() == identity:
        return state if state.is_file() else None
    if folder.exists():
        logger.info("%s: left by a training of other settings or data; starting afresh", folder)
        shutil.rmtree(folder)
    write_text(marker, identity)
    return None


def _state_of_the_first(folder: Path, identity: str) -> Path | None:
    """The state that the first process goes on from, once it has opened it."""
    marker, state = folder / IDENTITY, folder / f"{STATE}.ckpt"
    until = time.monotonic() + OPENED_WITHIN
    while not (marker.is_file() and marker.read_text() == identity):
        if time.monotonic() > until:
            raise HookNetError(
                f"{folder}: the first process of this training has not opened it within {OPENED_WITHIN} s; "
                "see its log, and whether all see the same disk"
            )
        time.sleep(0.1)
    return state if state.is_file() else None


def _move_results(files: TrainFiles) -> None:
    """Put the results in their place and drop the state."""
    places = ((BEST, files.best), (LAST, files.last), (METRICS, files.metrics), (DRAWS, files.draws))
    for name, place in places:
        if place is None:
            continue
        with atomic(place) as partial:
            shutil.copyfile(files.state / name, partial)
    if files.kept is not None:
        shutil.rmtree(files.kept, ignore_errors=True)
        os.replace(files.state, files.kept)
        return
    # First, so that a kill in between leaves no state without its results.
    (files.state / f"{STATE}.ckpt").unlink()
    shutil.rmtree(files.state)
