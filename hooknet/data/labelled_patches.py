"""From a row of the index to a patch and the class of its centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from hooknet.coordinates import PatchSpec
from hooknet.data.augment.numbers import AugmentNumbers, draw_numbers
from hooknet.data.index import CentreIndex
from hooknet.io.blocks import BlockCache
from hooknet.io.patches import read_views
from hooknet.io.slides import Slide

LabelledPatch = tuple[NDArray[np.uint8], np.uint8, NDArray[np.float32], NDArray[np.float32]]


class LabelledPatches(Dataset[LabelledPatch]):
    """(draw number, row of the index) -> view (1, size, size, channels) uint8, class 1..K, augmentation numbers.

    The class is that of the label mask's pixel under the patch's centre, as the index has it.  Every process opens
    its own slides, and keeps decoded blocks of its own.
    """

    def __init__(
        self,
        index: CentreIndex,
        spec: PatchSpec,
        numbers: AugmentNumbers | None,
        seed: int,
        cache: int | None = None,
    ) -> None:
        """``numbers`` says how many random numbers augmentation takes; None draws none (validation).

        ``cache``: bytes of decoded blocks of slides that each process keeps.  Pixels do not depend on how many.
        SlideError for a slide too coarse for the patches or of other bands than ``spec``.
        """
        self._rows = index.table[["x", "y", "slide"]].to_numpy(np.float64)
        self._labels = index.labels
        self._spec = spec
        self._numbers = numbers
        self._seed = seed
        blocks = None if cache is None else BlockCache(cache)
        self.slides = tuple(Slide(one.slide, one.spacing, blocks) for one in index.slides)
        for slide in self.slides:
            slide.require_channels(spec.channels)
            slide.require(spec.target_spacing)
            slide.close()

    def __len__(self) -> int:
        """Centres in the index."""
        return len(self._rows)

    def __getitem__(self, draw: tuple[int, int]) -> LabelledPatch:
        number, row = draw
        x, y, slide = self._rows[row]
        view = read_views(self.slides[int(slide)], x, y, self._spec)
        uniform, field = draw_numbers(self._numbers, self._seed, number)
        return view, self._labels[row], uniform, field
