"""What a network is given in training: patches in the order they are drawn, read, augmented and cut to the output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import centres_name
from hooknet.config.run import ClassifierRun, DenseRun, Run
from hooknet.coordinates import PatchSpec
from hooknet.data.augment.chain import Augment, Strengths
from hooknet.data.augment.numbers import AugmentNumbers, field_layout, label_margin
from hooknet.data.hierarchical import Hierarchical, PatchColumns
from hooknet.data.index import CentreIndex, SlideFiles, load_index
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.data.samplers import SAMPLERS, Draws, PixelBalanced
from hooknet.errors import ConfigError
from hooknet.io.memory import keep_freed_memory
from hooknet.models.gpus import in_fp32
from hooknet.training.losses import central
from hooknet.training.ranks import Shares

Batch = Sequence[Any]

# Mini-batches that each worker reads ahead: one that takes long to read then holds up none.
AHEAD = 4


def slide_files(spec: PatchSpec, slides: Sequence[SlideSettings], folder: Path) -> list[SlideFiles]:
    """What training on patches of ``spec`` needs of each slide, in the results' ``folder`` of the dataset."""
    name = centres_name(spec)
    return [
        SlideFiles(
            one.id,
            Path(str(one.slide)),
            one.spacing_override,
            folder / one.id / "labels.tif",
            folder / one.id / name,
        )
        for one in slides
    ]


def balanced_draws(run: DenseRun, index: CentreIndex) -> PixelBalanced:
    """The run's sampler at its start."""
    options = run.settings.train
    return SAMPLERS[options.sampler](index.labels, index.pixels, options.batch, run.seed)


def hierarchical_draws(run: ClassifierRun, index: CentreIndex, batch: int) -> Hierarchical:
    """The run's sampler at its start."""
    grades = {one.id: one.grade for one in run.dataset.slides}
    columns = PatchColumns(
        index.table["slide"].to_numpy(),
        index.labels,
        tuple(grades[one.id] for one in index.slides),
        len(run.dataset.classes),
        tuple(one.id for one in index.slides),
        run.dataset.label_map.names,
    )
    return Hierarchical(columns, run.settings.train.levels, batch, run.seed)


def complete_index(run: Run, split: str, slides: Sequence[SlideFiles], spec: PatchSpec) -> CentreIndex:
    """The index of a split; ConfigError when it lacks a class."""
    names = run.dataset.label_map.names
    index = load_index(slides, names, spec)
    missing = index.missing_classes()
    if missing:
        raise ConfigError(
            f"run {run.name}: the {len(slides)} {split} slides have no annotated pixel of {', '.join(missing)}; "
            "wanted every class of the dataset: move a slide that has it, or annotate more"
        )
    return index


def augmentation(run: DenseRun) -> Augment:
    """The run's augmentation."""
    settings = run.settings.augment
    return Augment(Strengths(**settings.model_dump()), run.network.shape.patch_spec, _field_layout(run))


def training_loader(
    run: DenseRun, index: CentreIndex, batches: Shares | Sequence[Draws], workers: int
) -> DataLoader[Any]:
    """The mini-batches of ``batches``, as they are on the slides: labels are larger than the output, to be warped.

    ``batches`` say draw numbers and rows of the index.
    """
    shape = run.network.shape
    spec, branches = shape.patch_spec, shape.output_branches
    margins = [label_margin(run.settings.augment.elastic_um, spec.spacings[one]) for one in branches]
    sizes = tuple(min(spec.size, spec.output_size + 2 * margin) for margin in margins)
    cache = run.settings.train.cache_mb * 2**20
    return DataLoader(
        PatchDataset(index, spec, LabelSpec(branches, sizes), _field_layout(run), run.seed, cache),
        batch_sampler=batches,
        **reading(workers),
    )


def reading(workers: int) -> dict[str, Any]:
    """How loaders read: by so many processes, ahead, into memory that a GPU copies from while it computes."""
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": torch.cuda.is_available()}
    if workers > 0:
        options |= {
            "persistent_workers": True,
            "prefetch_factor": AHEAD,
            "worker_init_fn": _start_worker,
        }
    return options


def _start_worker(_: int) -> None:
    keep_freed_memory()


def prepare(
    batch: Batch, augment: Augment | None, branches: Sequence[int], output_size: int, shuffle_context: bool
) -> tuple[Tensor, list[Tensor]]:
    """What the network gets of a batch as it is loaded: views (B, branches, 3, S, S) 0..1, labels cut to the output.

    ``augment`` None leaves the patches as they are; ``branches`` are those that have labels.
    """
    raw, labels, uniform, field = batch
    with torch.no_grad():
        # First to floats, then channels apart: faster than the other way round.
        views = raw.float().permute(0, 1, 4, 2, 3).contiguous().div_(255)
        labels = list(labels)
        if augment is not None:
            # Colours and positions need full precision also where the network runs in less.
            with in_fp32(views.device):
                views, labels = augment(views, labels, branches, uniform, field)
        if shuffle_context:
            views, labels = _shuffled(views, labels, branches)
    return views, [central(one, output_size) for one in labels]


def _shuffled(
    views: Tensor, labels: Sequence[Tensor], branches: Sequence[int]
) -> tuple[Tensor, list[Tensor]]:
    """Give every patch the contexts, and their labels, of the next one of the batch; the target's stay."""
    if len(views) < 2:
        raise ValueError("contexts of a batch of one patch cannot be shuffled")
    rolled = torch.cat([views[:, :1], views[:, 1:].roll(-1, dims=0)], dim=1)
    return rolled, [
        one.roll(-1, dims=0) if branch else one for branch, one in zip(branches, labels, strict=True)
    ]


def _field_layout(run: DenseRun) -> AugmentNumbers:
    spec = run.network.shape.patch_spec
    return field_layout(max(spec.spacings) * spec.size, run.settings.augment.elastic_scale_um)
