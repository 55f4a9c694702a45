"""Runs of staged systems, and networks whose answers are known without training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hooknet.config.classifier import ClassifierSettings
from hooknet.config.datasets import DatasetSettings
from hooknet.config.refiner import RefinerSettings, TissueMapSettings
from hooknet.config.run import ClassifierRun, RefinerRun, TissueRun

NAMES = ("stroma", "tumour")
CLASSES = {"stroma": {"value": 1, "colour": "#ff0000"}, "tumour": {"value": 2, "colour": "#0000ff"}}


def dataset(classes=None) -> DatasetSettings:
    slides = [
        {"id": name, "slide": f"{name}.tif", "annotation": f"{name}.xml", "split": split}
        for name, split in (("a", "training"), ("b", "validation"), ("c", "test"))
    ]
    return DatasetSettings(classes=classes or CLASSES, slides=slides)


def classifier_run(classes=None, **changes) -> ClassifierRun:
    settings = {
        "dataset": "made",
        "model": "classifier",
        "spacing": 1.0,
        "patch_size": 32,
        "train": {"threads": 1},
        "infer": {"over": "everything"},
        **changes,
    }
    return ClassifierRun("patches", ClassifierSettings.model_validate(settings), dataset(classes), 1, None)


def refiner_run(parent: ClassifierRun | None = None, classes=None, **changes) -> RefinerRun:
    settings = {
        "dataset": "made",
        "model": "refiner",
        "parent": None if parent is None else parent.experiment,
        "size": 64,
        "train": {"threads": 1},
        **changes,
        "infer": {"over": "everything", **changes.get("infer", {})},
    }
    return RefinerRun(
        "refined", RefinerSettings.model_validate(settings), dataset(classes), 1, None, parent=parent
    )


def tissue_run(**changes) -> TissueRun:
    settings = {"dataset": "made", "model": "tissue", "inside": "tumour", **changes}
    return TissueRun("otsu", TissueMapSettings.model_validate(settings), dataset(), 1, None)


class RedPatches(nn.Module):
    """Class 2 the likelier the more red (0..1) a patch is on average: logit of ``steepness`` x (red - 0.5)."""

    def __init__(self, steepness: float = 8.0) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(steepness))

    def forward(self, patches: Tensor) -> Tensor:
        red = patches[:, 0].mean(dim=(1, 2))
        logit = self.steepness * (red - 0.5)
        return torch.stack([torch.zeros_like(logit), logit], dim=1)


class RedSlide(nn.Module):
    """Class 2 the likelier the more red a px is, and the more the first heat map says so."""

    def __init__(self, steepness: float = 8.0) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(steepness))

    def forward(self, channels: Tensor) -> list[Tensor]:
        told = channels[:, 0] - 0.5
        if channels.shape[1] > 3:
            told = told + channels[:, 3] - 0.5
        logit = self.steepness * told
        useless = torch.zeros_like(logit)
        return [torch.stack([useless, logit], dim=1), torch.stack([logit, useless], dim=1)]


def save(path, network, run, slides=()):
    """A checkpoint of a run whose training saw these slides."""
    from hooknet.models.checkpoint import save_checkpoint
    from hooknet.training.weights import checkpoint_spec

    save_checkpoint(path, network, {**checkpoint_spec(run, ()), "slides": list(slides)})
    return path
