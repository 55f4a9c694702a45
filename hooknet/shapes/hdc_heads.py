"""Heads that refine the logits of a map: what they are built from, and their numbers to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hooknet.errors import ShapeError

PointMode = Literal["paper", "repo"]

#: Hidden layers of the network that classifies points, of each mode.
POINT_LAYERS: Final[dict[str, int]] = {"paper": 3, "repo": 2}

SHEARLET_WIDTH: Final = 256  # of all hidden layers
SHEARLET_SCALES: Final = (0.5, 4.0, 4)  # frequencies that are learnt: first, last, how many, evenly spaced
SHEARLET_ORIENTATIONS: Final = 8


@dataclass(frozen=True)
class PointOptions:
    """How PointRend draws and classifies points; ShapeError for numbers that draw none.

    ``mode``: the protocol of Kirillov et al. 2020 (``paper``), or that of the HDC-HRNet code (``repo``).
    ``points``: how many are classified of an image in training; in ``repo`` mode also afterwards.
    ``important``: the share of them that are the most uncertain; the others are drawn evenly.
    ``oversample``: times ``points`` candidates of which the most uncertain are taken (paper).
    ``hidden``: width of the layers.  ``subdivisions``: doublings of the coarse map in inference, in each of which
    the ``inference_points`` most uncertain px are classified anew (paper).
    Defaults: Kirillov et al. 2020, semantic segmentation of Cityscapes.
    """

    mode: PointMode = "paper"
    points: int = 2048
    oversample: int = 3
    important: float = 0.75
    hidden: int = 256
    subdivisions: int = 2
    inference_points: int = 8192

    def __post_init__(self) -> None:
        if self.mode not in POINT_LAYERS:
            raise ShapeError(f"PointRend mode {self.mode!r}; use one of {', '.join(POINT_LAYERS)}")
        for name in ("points", "oversample", "hidden", "subdivisions", "inference_points"):
            if getattr(self, name) < 1:
                raise ShapeError(f"PointRend with {name} {getattr(self, name)}: wanted 1 or more")
        if not 0 <= self.important <= 1:
            raise ShapeError(f"PointRend with important {self.important}: wanted a share of 0 to 1")

    @property
    def uncertain(self) -> int:
        """How many of the ``points`` are the most uncertain."""
        return int(self.important * self.points)


def pointrend_parameters(features: int, classes: int, hidden: int, mode: PointMode) -> int:
    """Trained numbers of PointRend on fine features of so many channels and the logits of the classes."""
    between = (POINT_LAYERS[mode] - 1) * _layer(hidden, hidden)
    return _layer(features + classes, hidden) + between + _layer(hidden, classes)


def shearlet_parameters(features: int, classes: int) -> int:
    """Trained numbers of the shearlet implicit head on features of so many channels."""
    width = SHEARLET_WIDTH
    waves = SHEARLET_SCALES[2] * SHEARLET_ORIENTATIONS
    controller = _layer(features, width) + _layer(width, width) + _layer(width, 4)
    coordinates = _layer(2, width) + _layer(width, width)
    decoder = _layer(width + waves + features, width) + _layer(width, width) + _layer(width, classes)
    return controller + coordinates + decoder + SHEARLET_SCALES[2] + 1


def shearlet_multiply_accumulates(features: int, classes: int, held: int, size: int) -> int:
    """Multiply-accumulate operations of its layers for a map of ``size`` px from features of ``held`` px a side.

    Layers that see the features work at their size, all others at that of the map.
    """
    width = SHEARLET_WIDTH
    of_features = 2 * features * width
    waves = SHEARLET_SCALES[2] * SHEARLET_ORIENTATIONS
    # Controller, place, waves, decoder.
    behind = width * (width + 4) + width * (2 + 2 * width) + waves * width + width * (width + classes)
    return of_features * held**2 + behind * size**2


def _layer(incoming: int, outgoing: int) -> int:
    return incoming * outgoing + outgoing
