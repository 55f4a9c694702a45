"""Whole slides at low power with their heat maps and labels, all held in memory."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from hooknet.coordinates import Spacing
from hooknet.data.augment.slide_images import SlideStrengths, augment_slide
from hooknet.io.frames import frame_of, read_heat, read_image, read_labels
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.io.slides import Slide

logger = logging.getLogger(__name__)

SlideItem = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class SlideFile:
    """What a refiner's training needs of one slide; ``heat`` None where it sees no heat map."""

    id: str
    slide: Path
    spacing: Spacing | None
    labels: Path
    heat: Path | None


class SlideImages(Dataset[SlideItem]):
    """(draw number, slide) -> image (3 + heat maps, size, size) float32 of 0..1, labels (size, size) uint8."""

    def __init__(
        self, slides: Sequence[SlideFile], size: int, stretch: bool, foreground: Sequence[int]
    ) -> None:
        """Reads all slides.  ``foreground``: class values whose heat maps are shown.

        SlideError, MaskError for files that cannot be read or are of another slide.
        """
        self._items = []
        for number, one in enumerate(slides, start=1):
            self._items.append(_read(one, size, stretch, foreground))
            logger.info("slide %s read at %d px (%d of %d)", one.id, size, number, len(slides))
        self._strengths: SlideStrengths | None = None
        self._seed = 0

    def augmented(self, strengths: SlideStrengths, seed: int) -> SlideImages:
        """The same slides, each draw augmented by random numbers of its own."""
        varied = copy.copy(self)
        varied._strengths, varied._seed = strengths, seed
        return varied

    def values(self) -> set[int]:
        """The class values that some slide has a label of."""
        return {int(value) for _, labels in self._items for value in np.unique(labels)} - {0}

    def __len__(self) -> int:
        """Slides."""
        return len(self._items)

    def __getitem__(self, draw: tuple[int, int]) -> SlideItem:
        number, slide = draw
        shown, labels = (torch.from_numpy(one) for one in self._items[slide])
        image, heat = shown[:3].float() / 255, shown[3:].float() / 255
        if self._strengths is not None:
            rng = np.random.default_rng([self._seed, 3, number])
            image, heat, labels = augment_slide(image, heat, labels, self._strengths, rng)
        return torch.cat([image, heat]), labels


def _read(
    one: SlideFile, size: int, stretch: bool, foreground: Sequence[int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image and heat maps (3 + H, size, size), labels (size, size)."""
    with Slide(one.slide, one.spacing) as slide, Mask.open(one.labels) as mask:
        frame = frame_of(slide, size, stretch)
        channels = [read_image(slide, frame).transpose(2, 0, 1)]
        labels = read_labels(mask, frame)
    if one.heat is not None:
        with Probabilities.open(one.heat) as heat:
            channels.append(read_heat(heat, frame, foreground))
    return np.concatenate(channels), labels
