"""Whether what computes tiles fast gives what the network gives: looked up on a real tile before any is trusted.

A map does not depend on the tile, so that parts of a large tile equal what the plain network (torch, fp32) makes of a
small one at the same place.  That shows a wrong operation, a wrong crop and a seam alike, and costs a few small tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hooknet.inference.engines import Engine, Predicted, TorchEngine, Views
from hooknet.models.network import Network
from hooknet.shapes.dense import DenseShape
from hooknet.shapes.tiles import Tile

#: The largest difference of a probability in fp32, and the smallest share of equal class values.
LARGEST_DIFFERENCE: Final = 1e-4
SMALLEST_AGREEMENT: Final = 0.999


Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class Agreement:
    """The largest difference of a probability, and the share of px with the same class value."""

    difference: float
    share: float

    def suffices(self, precision: str) -> bool:
        """Whether it is within what the precision allows."""
        close = precision != "fp32" or self.difference <= LARGEST_DIFFERENCE
        return close and self.share >= SMALLEST_AGREEMENT


def agreement(network: Network, engine: Engine, views: Views) -> Agreement:
    """How an engine's result on a tile agrees with the network's (see :func:`compared`)."""
    return compared(network, engine.tile, engine.start(views, logits=True)(), views)


def compared(network: Network, tile: Tile, predicted: Predicted, views: Views) -> Agreement:
    """How a tile's result agrees with the network's in fp32, on small tiles in its middle and off it.

    All that is written of a tile is looked at: class values, and probabilities as bytes where they are kept.
    """
    small = small_tile(network.shape, tile)
    plain = TorchEngine(network, small, shares=False, precision="fp32")
    differences, equal = [], []
    for offsets in _offsets(network.shape, tile, small):
        parts = [
            _central(view, size, offset)
            for view, size, offset in zip(views, small.sizes, offsets, strict=True)
        ]
        found, wanted = _part(predicted, small.stride, offsets[0]), plain.start(parts, logits=True)()
        assert found.logits is not None
        assert wanted.logits is not None
        likely = _softmax(wanted.logits)
        differences.append(np.abs(_softmax(found.logits) - likely).max())
        if found.shares is not None:  # rounding to a byte is no difference
            differences.append((np.abs(found.shares / 255 - likely) - 0.5 / 255).max())
        equal.append((found.labels == wanted.labels).mean())
    return Agreement(float(np.max(differences)), float(np.mean(equal)))


def _part(predicted: Predicted, size: int, offset: int) -> Predicted:
    """What was predicted in a square of ``size`` px off the middle."""

    def cut(maps: NDArray[Value]) -> NDArray[Value]:
        return _central(maps.transpose(1, 2, 0), size, offset).transpose(2, 0, 1)

    return Predicted(
        cut(predicted.labels[None])[0],
        None if predicted.shares is None else cut(predicted.shares),
        None if predicted.logits is None else cut(predicted.logits),
    )


def small_tile(shape: DenseShape, large: Tile) -> Tile:
    """The tile of the longest stride whose target view is a training patch, or the smallest there is.

    The large one itself where padding shows in so much of it that no small one would equal a part of it, and of a
    network whose pixels depend on the whole tile.
    """
    if not shape.is_seamless:
        return large
    small = shape.tile(shape.settings.patch_size)
    return small if _room(shape, large, small) >= 0 else large


def _room(shape: DenseShape, large: Tile, small: Tile) -> int:
    """By how many stride units a small tile can lie off the centre of a large one."""
    steps = _steps(shape)
    kept = min(large.stride, shape.kept(large.sizes[0], shape.rim))
    views = [
        (whole - part) // 2 // step for whole, part, step in zip(large.sizes, small.sizes, steps, strict=True)
    ]
    return min(*views, (kept - small.stride) // 2 // shape.unit)


def _steps(shape: DenseShape) -> list[int]:
    """A stride unit in px of each view."""
    spacings = shape.settings.spacings
    return [round(shape.unit * spacings[0] / spacing) for spacing in spacings]


def _offsets(shape: DenseShape, large: Tile, small: Tile) -> Iterator[tuple[int, ...]]:
    """Places of small tiles in a large one: px from its centre to theirs, in each view.

    The centre, and as far towards the lower right corner as views and what is kept allow.
    """
    for number in sorted({0, max(0, _room(shape, large, small))}):
        yield tuple(step * number for step in _steps(shape))


def _central(image: NDArray[Value], size: int, offset: int) -> NDArray[Value]:
    """A square of ``size`` px whose centre lies ``offset`` px right and below that of (height, width, channels)."""
    start = (image.shape[0] - size) // 2 + offset
    return np.ascontiguousarray(image[start : start + size, start : start + size])


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return torch.from_numpy(np.ascontiguousarray(logits)).softmax(0).numpy()
