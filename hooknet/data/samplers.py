"""Which patch comes next: the pixel-balanced draws of the paper (section 3.5).

Sampling says where; it needs no pixel.  The draws are one sequence, fixed by the index and a seed: they do not
depend on workers, prefetching or where a training was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Draws = list[tuple[int, int]]


class PixelBalanced:
    """Mini-batches of (draw number, row of the index).

    The first mini-batch is random.  From then on a class is drawn with a chance inverse to the pixels of it
    that the label patches have shown so far, and a centre of that class evenly.  The pixels are those of the
    un-augmented target label patch, as the index has them.
    """

    def __init__(self, labels: NDArray[np.uint8], pixels: NDArray[np.int32], batch: int, seed: int) -> None:
        """``labels`` (centres,): class under the centre, 1..K; ``pixels`` (centres, K) of the label patch."""
        self._pixels = pixels
        self._batch = batch
        # At a coarse spacing a patch may show none of a small region: drawing it would never fill its class.
        self._rows = [
            np.flatnonzero((labels == value) & (pixels[:, value - 1] > 0))
            for value in range(1, pixels.shape[1] + 1)
        ]
        self._present = np.array([len(rows) > 0 for rows in self._rows])
        self._rng = np.random.default_rng([seed, 1])
        self._step = 0
        #: Pixels of each class shown so far; 1 at the start, as nobody can divide by 0.
        self.shown = np.ones(pixels.shape[1], np.int64)
        #: Draws of each class so far.
        self.drawn = np.zeros(pixels.shape[1], np.int64)

    def next_batch(self) -> Draws:
        """The next mini-batch."""
        if self._step == 0:
            rows = self._rng.integers(0, len(self._pixels), self._batch)
        else:
            weights = np.where(self._present, 1.0 / self.shown, 0.0)
            classes = self._rng.choice(len(weights), self._batch, p=weights / weights.sum())
            rows = np.array([self._rng.choice(self._rows[one]) for one in classes])
            np.add.at(self.drawn, classes, 1)
        self.shown += self._pixels[rows].sum(axis=0)
        first = self._step * self._batch
        self._step += 1
        return [(first + number, int(row)) for number, row in enumerate(rows)]

    def skip(self, steps: int) -> None:
        """Go on as if ``steps`` mini-batches had been drawn."""
        for _ in range(steps):
            self.next_batch()


class EpochSampler:
    """``steps`` mini-batches an epoch from one endless sequence; a torch batch sampler."""

    def __init__(self, draws: PixelBalanced, steps: int) -> None:
        """Share out ``draws``."""
        self._draws = draws
        self._steps = steps

    def __len__(self) -> int:
        """Mini-batches an epoch."""
        return self._steps

    def __iter__(self) -> Iterator[Draws]:
        for _ in range(self._steps):
            yield self._draws.next_batch()


def validation_rows(labels: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.int64]:
    """About ``count`` rows of the index, equally many of each class that is there, drawn evenly; sorted."""
    rng = np.random.default_rng([seed, 2])
    present = np.unique(labels)
    each = max(1, count // max(1, len(present)))
    rows = [np.flatnonzero(labels == value) for value in present]
    drawn = [rng.choice(one, min(each, len(one)), replace=False) for one in rows]
    return np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, np.int64)
