"""What every training has: a network that is validated by the F1 of its classes."""

from __future__ import annotations

from typing import Any, Final

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hooknet.metrics.confusion import count, no_counts
from hooknet.metrics.scores import Scores, scores
from hooknet.training.ranks import added, drawn_by, share_statistics

ADAM_EPSILON = 1e-7  # Keras's default, torch's is 1e-8

#: How a value of a training step is logged: its mean over the epoch's steps, and over the processes.
ONCE_AN_EPOCH: Final[dict[str, Any]] = {"on_step": False, "on_epoch": True, "sync_dist": True}


class Scored(lightning.LightningModule):
    """A network and its validation score; what a step does is said by each kind of training."""

    def __init__(self, network: nn.Module, classes: int, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self.network = network
        self._classes = classes
        self._counts = no_counts(classes)
        self._validation = np.zeros(2)  # loss · weight, and weight

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Draw what layers drop by seed and place in the training, so that a resumed one drops the same."""
        torch.manual_seed(drawn_by(self._seed, 4, self.current_epoch, batch_idx))

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's counts."""
        share_statistics(self.network)
        self._counts = no_counts(self._classes)
        self._validation = np.zeros(2)

    def on_validation_epoch_end(self) -> None:
        """Macro F1 over all that was validated, pooled; by all processes."""
        self._counts = added(self._counts, self.device)
        self._validation = added(self._validation, self.device)
        macro = self.validation_scores.macro_f1
        self.log("validation_macro_f1", 0.0 if np.isnan(macro) else macro, prog_bar=True, sync_dist=True)

    @property
    def validation_scores(self) -> Scores:
        """Scores of the last validation."""
        return scores(self._counts)

    @property
    def validation_loss(self) -> float:
        """The mean loss of the last validation, as if all of it were one mini-batch.

        (Of context branches nearly: mini-batches weigh by the target's pixels.)
        """
        return float(self._validation[0] / max(1.0, self._validation[1]))

    def _validated(
        self, truth: NDArray[np.uint8], predicted: NDArray[np.integer], loss: float, weight: int
    ) -> None:
        """Count a mini-batch: which truth (0 not annotated, 1..K) met which prediction (1..K)."""
        self._counts += count(truth, predicted, self._classes)
        self._validation += loss * weight, weight
