"""The first patches that a training would show its network, as they are on the slides and as they are augmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hooknet.config.run import DenseRun
from hooknet.coordinates import PatchSpec
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.io.slides import as_rgb
from hooknet.training.batches import augmentation, balanced_draws, complete_index, prepare, training_loader

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """``views``: one (size, size, 3) uint8 per spacing, target first; ``labels`` (output, output) of the target."""

    views: tuple[Rgb, ...]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class PreviewPatch:
    """One draw: the slide, the centre in level-0 px and the class under it, and what is seen there."""

    slide: str
    x: float
    y: float
    centre_class: str
    plain: Sample
    augmented: Sample


@dataclass(frozen=True)
class Preview:
    """``patches`` in the order of their draws; ``shuffled`` says that contexts are those of other patches."""

    run: str
    spec: PatchSpec
    patches: tuple[PreviewPatch, ...]
    shuffled: bool


def preview(run: DenseRun, training: Sequence[SlideFiles], patches: int) -> Preview:
    """The first ``patches`` that training this run from its start gives its network, number for number.

    They come from the run's own sampler, loader and augmentation, in whole mini-batches.  ConfigError where
    a class is missing, as in training.
    """
    shape = run.network.shape
    index = complete_index(run, "training", training, run.patch_spec)
    draws = balanced_draws(run, index)
    batches = [draws.next_batch() for _ in range(ceil(patches / run.settings.train.batch))]
    augment = augmentation(run)
    found: list[PreviewPatch] = []
    for rows, batch in zip(batches, training_loader(run, index, batches, workers=0), strict=True):
        plain, augmented = (
            _samples(
                *prepare(
                    batch,
                    one,
                    shape.output_branches,
                    shape.patch_spec.output_size,
                    run.settings.shuffles_context,
                )
            )
            for one in (None, augment)
        )
        for (_, row), before, after in zip(rows, plain, augmented, strict=True):
            found.append(_patch(index, row, before, after))
    return Preview(run.name, shape.patch_spec, tuple(found[:patches]), run.settings.shuffles_context)


def _patch(index: CentreIndex, row: int, plain: Sample, augmented: Sample) -> PreviewPatch:
    centre = index.table.iloc[row]
    name = index.names[int(centre["label"]) - 1]
    slide = index.slides[int(centre["slide"])].id
    return PreviewPatch(slide, float(centre["x"]), float(centre["y"]), name, plain, augmented)


def _samples(views: Tensor, labels: Sequence[Tensor]) -> list[Sample]:
    """One sample per patch of a batch."""
    pixels = as_rgb((views * 255).round().byte().permute(0, 1, 3, 4, 2).numpy())  # (B, branches, S, S, 3)
    return [Sample(tuple(one), target) for one, target in zip(pixels, labels[0].byte().numpy(), strict=True)]
