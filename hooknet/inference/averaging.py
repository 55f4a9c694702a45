"""Probabilities that are the mean of several: of a tile turned and mirrored, and of several networks.

The mean is that of probabilities, in float64.  A square tile turned about its centre keeps its pooling grid, so that
what is computed of it when the slide is turned is the same eight tiles in another order, and the map turns with the
slide.  Each engine computes as it would alone, and is compared with torch alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hooknet.config.dense import InferOptions
from hooknet.inference.choice import Job
from hooknet.inference.engines import Engine, Predicted, Views
from hooknet.inference.memory import noticing_out_of_memory
from hooknet.io.uncertainty import LEVELS
from hooknet.models.network import Network

#: Quarter turns, and whether it is mirrored after them: all eight ways to lay down a square.
DIHEDRAL: Final = tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))

Value = TypeVar("Value", bound=np.generic)


def laid(options: InferOptions) -> tuple[tuple[int, bool], ...]:
    """How tiles are laid before the network: as they are, or in all eight ways."""
    return DIHEDRAL if options.tta == "dihedral" else DIHEDRAL[:1]


def uncertainty_bands(options: InferOptions, networks: int) -> tuple[str, ...]:
    """What a map of uncertainty tells, a band each; () where none is wanted.

    ``entropy``: of the mean probabilities, as a share of log K.  ``mutual information``, where there are several
    predictions: that entropy less the mean of theirs, on the same scale; how much they contradict each other.
    """
    if not options.uncertainty:
        return ()
    several = networks * len(laid(options)) > 1
    return ("entropy", "mutual information") if several else ("entropy",)


def engine_of(
    networks: Sequence[Network],
    job: Job,
    options: InferOptions,
    bands: Sequence[str],
    make: Callable[[Network, Job], Engine],
) -> Engine:
    """What computes a tile: an engine, or the mean of several, or of one in several ways.

    ``bands``: those of :func:`uncertainty_bands`; ``make``: the engine of one network by itself.
    """
    ways = laid(options)
    if len(networks) * len(ways) == 1 and not bands:
        return make(networks[0], job)
    alone = replace(job, tiles=job.tiles * len(ways), shares=False)
    return MeanEngine([make(one, alone) for one in networks], ways, bands, job.shares)


class MeanEngine(Engine):
    """The mean of several engines' probabilities, each on a tile laid in several ways.

    ``shares`` of what it predicts has the bands of uncertainty behind those of the classes.
    """

    def __init__(
        self, engines: Sequence[Engine], ways: Sequence[tuple[int, bool]], bands: Sequence[str], shares: bool
    ) -> None:
        """``bands``: those of :func:`uncertainty_bands`; ``shares``: whether probabilities are wanted."""
        first = engines[0]
        kinds = dict.fromkeys(f"{one.name}, {one.precision}" for one in engines)
        super().__init__(
            f"mean of {len(engines) * len(ways)} ({'; '.join(kinds)})", first.precision, first.tile
        )
        self._engines, self._ways, self._bands, self._shares = engines, ways, bands, shares

    def start(self, views: Views, logits: bool = False) -> Callable[[], Predicted]:
        """Take a tile; all is computed when what comes back is called.  Logits are logarithms of the mean."""

        def result() -> Predicted:
            with noticing_out_of_memory():
                return self._mean(views, logits)

        return result

    def _mean(self, views: Views, logits: bool) -> Predicted:
        mean, own = self._predictions(views)
        labels = (mean.argmax(0) + 1).astype(np.uint8)
        told = np.log(np.maximum(mean, np.finfo(np.float32).tiny)).astype(np.float32) if logits else None
        if not self._shares:
            return Predicted(labels, None, told)
        parts = [np.round(mean * 255).astype(np.uint8)]
        if self._bands:
            whole = entropy(mean)
            parts += [_levels(one, len(mean)) for one in (whole, whole - own)[: len(self._bands)]]
        return Predicted(labels, np.concatenate(parts), told)

    def _predictions(self, views: Views) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean of all probabilities (K, s, s), and of their entropies (s, s), 0 where nobody asks."""
        total: NDArray[np.float64] | None = None
        own = np.zeros((self.tile.stride,) * 2)
        for way in self._ways:
            turned = [turn(view, way) for view in views]
            for engine in self._engines:
                found = engine.start(turned, logits=True)().logits
                assert found is not None
                likely = torch.from_numpy(found).softmax(0).numpy()
                likely = turn_back(likely, way).astype(np.float64)
                if len(self._bands) > 1:
                    own += entropy(likely)
                total = likely if total is None else np.add(total, likely, out=total)
        assert total is not None
        count = len(self._ways) * len(self._engines)
        return total / count, own / count


def entropy(likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """-sum p log p (nats) over the first axis; 0 log 0 is 0."""
    found: NDArray[np.float64] = -(likely * np.log(np.where(likely > 0, likely, 1))).sum(0)
    return found


def turn(image: NDArray[Value], way: tuple[int, bool]) -> NDArray[Value]:
    """(height, width, channels) after quarter turns, then mirrored where that is asked for."""
    turned = np.rot90(image, way[0])
    return np.ascontiguousarray(turned[:, ::-1] if way[1] else turned)


def turn_back(maps: NDArray[Value], way: tuple[int, bool]) -> NDArray[Value]:
    """(K, height, width) of a turned image as they lie on the image itself."""
    straight = maps[..., ::-1] if way[1] else maps
    return np.ascontiguousarray(np.rot90(straight, -way[0], axes=(1, 2)))


def _levels(found: NDArray[np.float64], classes: int) -> NDArray[np.uint8]:
    """(1, s, s) bytes 1..255 of an entropy of so many classes."""
    share = found / log(classes) if classes > 1 else np.zeros_like(found)
    return (1 + np.round(LEVELS * np.clip(share, 0, 1))).astype(np.uint8)[None]
