"""What every training has: a network that is validated by the F1 of its classes."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hooknet.metrics.confusion import count, no_counts
from hooknet.metrics.scores import Scores, scores

ADAM_EPSILON = 1e-7  # Keras's default, torch's is 1e-8


class Scored(lightning.LightningModule):
    """A network and its validation score; what a step does is said by each kind of training."""

    def __init__(self, network: nn.Module, classes: int, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self.network = network
        self._classes = classes
        self._counts = no_counts(classes)
        self._validation: list[tuple[float, int]] = []

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Draw what layers drop by seed and place in the training, so that a resumed one drops the same."""
        numbers = np.random.SeedSequence([self._seed, 4, self.current_epoch, batch_idx])
        torch.manual_seed(int(numbers.generate_state(1)[0]))

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's counts."""
        self._counts = no_counts(self._classes)
        self._validation = []

    def on_validation_epoch_end(self) -> None:
        """Macro F1 over all that was validated, pooled."""
        macro = self.validation_scores.macro_f1
        self.log("validation_macro_f1", 0.0 if np.isnan(macro) else macro, prog_bar=True)

    @property
    def validation_scores(self) -> Scores:
        """Scores of the last validation."""
        return scores(self._counts)

    @property
    def validation_loss(self) -> float:
        """The mean loss of the last validation, as if all of it were one mini-batch.

        (Of context branches nearly: mini-batches weigh by the target's pixels.)
        """
        weights = sum(number for _, number in self._validation)
        return sum(loss * number for loss, number in self._validation) / max(1, weights)

    def _validated(
        self, truth: NDArray[np.uint8], predicted: NDArray[np.integer], loss: float, weight: int
    ) -> None:
        """Count a mini-batch: which truth (0 not annotated, 1..K) met which prediction (1..K)."""
        self._counts += count(truth, predicted, self._classes)
        self._validation.append((loss, weight))
