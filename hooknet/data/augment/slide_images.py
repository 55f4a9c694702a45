"""How whole slides are varied: flips and turns with all that lies on them, stain and brightness of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hooknet.data.augment.macenko import change_stains, find_stains
from hooknet.data.augment.spatial import turn

#: Of random numbers: whether to mirror, which axis, whether to turn, how far, whether to stain, two factors,
#: two shifts, whether to light, how much.  All are drawn each time, so that no switch shifts the others.
_NUMBERS = 11
_CHANCE = 0.5


@dataclass(frozen=True)
class SlideStrengths:
    """How strong each augmentation is; 0 switches one off.

    ``stain``: σ1 = σ2 of the amounts of the two stains.  ``brightness``: by what share of itself it varies.
    """

    flips: bool
    stain: float
    brightness: float


def augment_slide(
    image: Tensor, heat: Tensor, labels: Tensor, strengths: SlideStrengths, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Image (3, N, N) of 0..1, heat maps (H, N, N) and labels (N, N) -> the same, varied alike.

    Each with a chance of one half (released code): mirrored along an axis; turned by one to three quarters;
    stained; lit.  Mirroring and turning move all three alike, the others change the image alone.  An image
    with too little tissue to tell two stains keeps its stain.  Everything random comes from ``rng``.
    """
    drawn = rng.random(_NUMBERS)
    if strengths.flips:
        symmetry = _symmetry(*drawn[:4])
        image, heat, labels = (_turned(one, symmetry) for one in (image, heat, labels))
    if strengths.stain > 0 and drawn[4] < _CHANCE:
        image = _stained(image, torch.from_numpy(2 * drawn[5:9] - 1) * strengths.stain)
    if strengths.brightness > 0 and drawn[9] < _CHANCE:
        image = lit(image, 1 + float(2 * drawn[10] - 1) * strengths.brightness)
    return image, heat, labels


def lit(image: Tensor, factor: float) -> Tensor:
    """The image (3, N, N) of 0..1 times the factor; where that exceeds 1, hue and saturation stay (V in HSV)."""
    value = image.amax(dim=0, keepdim=True)
    return image * torch.clamp(1 / value, max=factor)


def _symmetry(mirrored: float, axis: float, turned: float, quarters: float) -> int:
    """The number of one of the square's eight symmetries, as :func:`hooknet.data.augment.spatial.turn` counts."""
    turns = 1 + int(quarters * 3) if turned < _CHANCE else 0
    if mirrored >= _CHANCE:
        return turns
    # Rows reversed are columns reversed and half a turn.
    return 4 + (turns + 2 * (axis < _CHANCE)) % 4


def _turned(maps: Tensor, symmetry: int) -> Tensor:
    return turn(maps[None], torch.tensor([symmetry]))[0]


def _stained(image: Tensor, drawn: Tensor) -> Tensor:
    stains = find_stains(image)
    if stains is None:
        return image
    return change_stains(image, stains, drawn[:2], drawn[2:]).clamp(0, 1)
