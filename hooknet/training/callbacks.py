"""What is kept of a training: curves, the best and the last weights, and a state to go on from."""

from __future__ import annotations

import logging
import math
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import lightning
import pandas as pd
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback

from hooknet.data.samplers import Sampler
from hooknet.errors import CheckpointError, ConfigError
from hooknet.io.atomic import atomic, remove_stale
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.scored import Scored
from hooknet.training.suspicion import suspicions

logger = logging.getLogger(__name__)

BEST, LAST, METRICS, DRAWS = "best.ckpt", "last.ckpt", "metrics.csv", "draws.csv"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints written beside their place and renamed: a kill leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``path`` whole or not at all."""
        with atomic(path) as partial:
            super().save_checkpoint(checkpoint, partial, storage_options)


class LeaveTogether(Callback):
    """End all processes of a training at once when one of them is told to end (SIGTERM).

    Lightning would have them agree on it first, which processes that wait for each other elsewhere never do.
    Nothing is lost: the state of the last epoch is on disk.
    """

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """In place of Lightning's own, which is set by now."""
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, partial(self._leave, trainer))

    def _leave(self, trainer: lightning.Trainer, number: int, _: object) -> NoReturn:
        launcher = trainer.strategy.launcher
        if launcher is not None:
            launcher.kill(signal.SIGKILL)
        # Without Python's farewell, which would wait for the other processes too.
        os._exit(128 + number)


class Keeper(Callback):
    """After each validation: a line in the log and in the curves, and the weights if they are the best so far.

    Its own state and the sampler's travel in Lightning's checkpoint, so a resumed training ends with the same files.
    """

    def __init__(self, folder: Path, spec: dict[str, Any], classes: tuple[str, ...], draws: Sampler) -> None:
        """``spec`` is stored with the weights."""
        self._folder = folder
        self._spec = spec
        self._classes = classes
        self._draws = draws
        self._rows: list[dict[str, float]] = []
        self._best = -1.0

    def state_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return {"rows": self._rows, "best": self._best, "draws": self._draws.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; CheckpointError for the state of another sampler."""
        self._rows, self._best = list(state_dict["rows"]), float(state_dict["best"])
        try:
            self._draws.load_state_dict(state_dict.get("draws", {}))
        except CheckpointError as error:
            raise CheckpointError(f"{self._folder}: {error}") from None

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Runs after the epoch's validation and before Lightning writes its checkpoint."""
        assert isinstance(pl_module, Scored)
        row = self._row(trainer, pl_module)
        if not math.isfinite(row["train_loss"]):
            raise ConfigError(
                f"run {self._spec['run']}: the loss is {row['train_loss']} in epoch {row['epoch']:.0f}, "
                "wanted a number; lower the experiment's train.learning_rate"
            )
        self._rows.append(row)
        if trainer.is_global_zero:
            self._keep(trainer, pl_module, row)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what looks wrong about the curves."""
        for one in suspicions(self._rows, self._classes) if trainer.is_global_zero else ():
            logger.warning("%s: %s", self._spec["run"], one)

    def _keep(self, trainer: lightning.Trainer, module: Scored, row: dict[str, float]) -> None:
        macro = row["validation_macro_f1"]
        logger.info(
            "epoch %d of %s: loss %.4f, validation macro F1 %.4f%s",
            row["epoch"],
            trainer.max_epochs,
            row["train_loss"],
            macro,
            self._shown(),
        )
        if macro > self._best:
            self._best = macro
            self._save(BEST, module, row)
        self._save(LAST, module, row)
        with atomic(self._folder / METRICS) as file:
            pd.DataFrame(self._rows).to_csv(file, index=False)
        drawn = self._draws.realised()
        if drawn is not None:
            with atomic(self._folder / DRAWS) as file:
                drawn.to_csv(file, index=False)

    def _row(self, trainer: lightning.Trainer, module: Scored) -> dict[str, float]:
        found = module.validation_scores
        f1 = {f"f1_{name}": float(value) for name, value in zip(self._classes, found.f1, strict=True)}
        # The loss by its terms, without weight decay, where it is told so.
        parts = [
            name for name in trainer.callback_metrics if name.startswith("train_") and name != "train_loss"
        ]
        return {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "train_loss": float(trainer.callback_metrics["train_loss"]),
            **{name: float(trainer.callback_metrics[name]) for name in parts},
            "validation_loss": module.validation_loss,
            "validation_macro_f1": float(trainer.callback_metrics["validation_macro_f1"]),
            **f1,
            **{f"share_{name}": value for name, value in self._shares().items()},
        }

    def _shares(self) -> dict[str, float]:
        """Class -> its share of what was shown, where the sampler counts."""
        shares = self._draws.shares
        return {} if shares is None else dict(zip(self._classes, map(float, shares), strict=True))

    def _shown(self) -> str:
        told = ", ".join(f"{name} {share:.1%}" for name, share in self._shares().items())
        return f"; {self._draws.unit} shown: {told}" if told else ""

    def _save(self, name: str, module: Scored, row: dict[str, float]) -> None:
        extra = {
            "epoch": row["epoch"],
            "step": row["step"],
            "validation_macro_f1": row["validation_macro_f1"],
            "validation_f1": {one: _or_none(row[f"f1_{one}"]) for one in self._classes},
        }
        remove_stale(self._folder / name)
        save_checkpoint(self._folder / name, module.network, self._spec, extra)


def _or_none(value: float) -> float | None:
    """A number as JSON has it."""
    return value if math.isfinite(value) else None
