"""From a row of the index to pixels, labels and the random numbers of its augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from hooknet.coordinates import PatchSpec
from hooknet.data.augment.numbers import AugmentNumbers, draw_numbers
from hooknet.data.index import CentreIndex
from hooknet.io.blocks import BlockCache
from hooknet.io.masks import Mask
from hooknet.io.patches import labels_around, read_views
from hooknet.io.slides import Slide

Item = tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], ...], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class LabelSpec:
    """Which branches have labels, and how many px a side are read for each (more than is scored, to be warped)."""

    branches: tuple[int, ...]
    sizes: tuple[int, ...]


class PatchDataset(Dataset[Item]):
    """(draw number, row of the index) -> views (branches, size, size, channels) uint8, labels, augmentation numbers.

    Labels: one (size, size) uint8 array a branch of ``label_spec``, around the same centre at its spacing.
    Every process opens its own slides, and keeps decoded blocks of its own.
    """

    def __init__(
        self,
        index: CentreIndex,
        spec: PatchSpec,
        label_spec: LabelSpec,
        numbers: AugmentNumbers | None,
        seed: int,
        cache: int | None = None,
    ) -> None:
        """``numbers`` says how many random numbers augmentation takes; None draws none (validation).

        ``cache``: bytes of decoded blocks of slides that each process keeps, for patches that overlap or come
        again.  Pixels do not depend on how many.  None decodes no more than a patch shows.
        SlideError for a slide too coarse for the target or of other bands than ``spec``, MaskError for a label
        mask of another slide or spacing.
        """
        self._rows = index.table[["x", "y", "slide"]].to_numpy(np.float64)
        self._spec = spec
        self._label_spec = label_spec
        self._numbers = numbers
        self._seed = seed
        blocks = None if cache is None else BlockCache(cache)
        self.slides = tuple(Slide(one.slide, one.spacing, blocks) for one in index.slides)
        self.masks = tuple(Mask.open(one.labels) for one in index.slides)
        for slide, mask in zip(self.slides, self.masks, strict=True):
            slide.require_channels(spec.channels)
            mask.check_same_slide(slide.grid(spec.target_spacing))
            slide.close()
            mask.close()

    def __len__(self) -> int:
        """Centres in the index."""
        return len(self._rows)

    def __getitem__(self, draw: tuple[int, int]) -> Item:
        number, row = draw
        x, y, slide = self._rows[row]
        views = read_views(self.slides[int(slide)], x, y, self._spec)
        labels = tuple(
            labels_around(self.masks[int(slide)], x, y, size, self._spec.spacings[branch])
            for branch, size in zip(self._label_spec.branches, self._label_spec.sizes, strict=True)
        )
        uniform, field = draw_numbers(self._numbers, self._seed, number)
        return views, labels, uniform, field
