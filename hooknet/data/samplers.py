"""Which patch comes next: the pixel-balanced draws of the paper (section 3.5).

Sampling says where; it needs no pixel.  The draws are one sequence, fixed by the index, the rule and a seed: they
do not depend on workers, prefetching or where a training was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.errors import CheckpointError

Draws = list[tuple[int, int]]


class Sampler(Protocol):
    """An endless sequence of mini-batches that a training can be resumed in the middle of."""

    #: What ``shares`` counts: ``annotated pixels``, ``patches``.
    unit: str

    @property
    def shares(self) -> NDArray[np.float64] | None:
        """Share of each class in what was drawn so far; None where nobody counts."""

    def next_batch(self) -> Draws:
        """The next mini-batch."""

    def realised(self) -> pd.DataFrame | None:
        """How often what was drawn so far, to be reported; None where there is nothing to tell."""

    def state_dict(self) -> dict[str, Any]:
        """What to go on from: plain values that JSON can hold."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; CheckpointError for the state of another sampler."""


#: Share of the draws of ``PixelBalanced`` that does not depend on what has been shown.
STANDING = 0.05


class PixelBalanced:
    """Mini-batches of (draw number, row of the index) that come to show equally many pixels of each class.

    The first mini-batch is random.  From then on patches are drawn one by one: first a class, with a chance in
    proportion to the square of the pixels it lacks to the class shown most, then a centre of that class evenly.
    A part of the draws (``STANDING``) has chances of its own, inverse to the pixels of its class that a patch
    shows: so a class that the patches of others show too often is still looked at for itself.  Pixels are those
    of the un-augmented target label patch, as the index has them.

    Equal shares are reached where some mixture of centres has them, with ``STANDING`` or more of each class's
    pixels from its own centres (else about as nearly as that).  A class that covers little of the patches
    centred on it cannot be brought to its share; squares, rather than pixels per patch, keep it from taking all
    draws.
    """

    rule = "balanced"
    unit = "annotated pixels"

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
        self._standing = self._standing_chances()
        self._rng = np.random.default_rng([seed, 1])
        self._step = 0
        #: Pixels of each class shown so far.
        self.shown = np.zeros(pixels.shape[1], np.int64)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each class in the pixels shown so far; nan before the first mini-batch."""
        total = self.shown.sum()
        return self.shown / (total or np.nan)

    def next_batch(self) -> Draws:
        """The next mini-batch."""
        if self._step == 0:
            rows = self._rng.integers(0, len(self._pixels), self._batch)
            self._show(rows)
        else:
            rows = self._balanced_rows()
        first = self._step * self._batch
        self._step += 1
        return [(first + number, int(row)) for number, row in enumerate(rows)]

    def realised(self) -> pd.DataFrame | None:
        """None: the shares tell it all."""
        return None

    def chances(self) -> NDArray[np.float64]:
        """Chance of each class to be drawn next, 0 for one without centres."""
        lack = np.where(self._present, self.shown[self._present].max(initial=0) - self.shown, 0)
        # The 1 gives equal chances where nothing lacks; a float, as squares of many pixels overflow.
        squares = np.where(self._present, lack + 1.0, 0.0) ** 2
        chances: NDArray[np.float64] = (1 - STANDING) * squares / squares.sum() + STANDING * self._standing
        return chances

    def state_dict(self) -> dict[str, Any]:
        """What to go on from: plain values that JSON can hold."""
        return {
            "rule": self.rule,
            "step": self._step,
            "shown": self.shown.tolist(),
            "random": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the sampler of the same index whose ``state_dict`` it is; CheckpointError when it cannot be."""
        if state.get("rule") != self.rule:
            raise CheckpointError(
                f"state of a sampler of the rule {state.get('rule')}, wanted {self.rule}; train afresh"
            )
        if len(state["shown"]) != len(self.shown):
            raise CheckpointError(
                f"state of a sampler of {len(state['shown'])} classes, wanted {len(self.shown)}; train afresh"
            )
        self._step = int(state["step"])
        self.shown = np.array(state["shown"], np.int64)
        self._rng.bit_generator.state = state["random"]

    def _standing_chances(self) -> NDArray[np.float64]:
        """Chances that show equally many pixels of every class where patches hold one class each."""
        own = np.zeros(len(self._rows))
        for column, rows in enumerate(self._rows):
            if len(rows):
                own[column] = 1 / self._pixels[rows, column].mean()
        chances: NDArray[np.float64] = own / max(own.sum(), np.finfo(float).tiny)
        return chances

    def _balanced_rows(self) -> NDArray[np.int64]:
        """Rows of a mini-batch after the first: one after the other, each knowing what the last has shown."""
        drawn = np.zeros(self._batch, np.int64)
        for number in range(self._batch):
            one = self._rng.choice(len(self.shown), p=self.chances())
            drawn[number] = self._rng.choice(self._rows[one])
            self._show(drawn[number : number + 1])
        return drawn

    def _show(self, rows: NDArray[np.int64]) -> None:
        self.shown += self._pixels[rows].sum(axis=0, dtype=np.int64)


class OfficialBalanced(PixelBalanced):
    """The rule of the official code: chances inverse to the pixels shown, the same within a mini-batch.

    A class that shows few pixels a patch stays behind: with patches of one class each, shares come to be in
    proportion to the square root of pixels per patch.

    Source: ``PixelCountedLabelSampler`` of wholeslidedata, which counts from 1.
    """

    rule = "official"

    def chances(self) -> NDArray[np.float64]:
        """Chance of each class to be drawn next, 0 for one without centres."""
        inverse = np.where(self._present, 1.0 / (1 + self.shown), 0.0)
        chances: NDArray[np.float64] = inverse / inverse.sum()
        return chances

    def _balanced_rows(self) -> NDArray[np.int64]:
        classes = self._rng.choice(len(self.shown), self._batch, p=self.chances())
        rows = np.array([self._rng.choice(self._rows[one]) for one in classes])
        self._show(rows)
        return rows


#: ``train.sampler`` -> the rule.
SAMPLERS: dict[str, type[PixelBalanced]] = {one.rule: one for one in (PixelBalanced, OfficialBalanced)}


class SlideDraws:
    """Mini-batches of (draw number, slide): all slides in a random order, then all in another, without end."""

    rule = "slides"
    unit = "slides"
    shares = None

    def __init__(self, slides: int, batch: int, seed: int) -> None:
        """``slides``: how many there are."""
        self._slides = slides
        self._batch = batch
        self._seed = seed
        self._drawn = 0

    def next_batch(self) -> Draws:
        """The next mini-batch; it may run from one order into the next."""
        numbers = range(self._drawn, self._drawn + self._batch)
        self._drawn = numbers.stop
        return [(number, self._slide(number)) for number in numbers]

    def realised(self) -> None:
        """Nothing to tell: every slide comes as often as any other."""
        return

    def state_dict(self) -> dict[str, Any]:
        """What to go on from: plain values that JSON can hold."""
        return {"rule": self.rule, "slides": self._slides, "drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; CheckpointError for the state of another sampler."""
        if (state.get("rule"), state.get("slides")) != (self.rule, self._slides):
            raise CheckpointError(
                f"state of a sampler of the rule {state.get('rule')} over {state.get('slides')} slides, wanted "
                f"{self.rule} over {self._slides}; train afresh"
            )
        self._drawn = int(state["drawn"])

    def _slide(self, number: int) -> int:
        order = np.random.default_rng([self._seed, 1, number // self._slides]).permutation(self._slides)
        return int(order[number % self._slides])


class EpochSampler:
    """``steps`` mini-batches an epoch from one endless sequence; a torch batch sampler."""

    def __init__(self, draws: Sampler, steps: int) -> None:
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
