"""Weights at hand: what they are, and the run that predicts with them, without any configuration file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hooknet.config.datasets import DatasetSettings
from hooknet.config.dense import DenseSettings
from hooknet.config.experiments import KINDS
from hooknet.config.run import DenseRun, Run, make_run
from hooknet.config.steps import TissueSettings
from hooknet.errors import CheckpointError, ConfigError, ShapeError
from hooknet.groundtruth.stain import Range
from hooknet.io.checksums import sha256_of
from hooknet.models.checkpoint import load_checkpoint
from hooknet.report.data import ReportClass

#: Of the settings of inference those that spread work or ask for more files: not those of one machine and a map.
_NOT_HERE = ("exports", "split_gb", "bundle_minutes", "ensemble")
#: What a checkpoint tells of the slides it was trained on: where all of it is equal, so are the cohorts.
_COHORT = ("dataset", "slides", "cohort", "tissue")


@dataclass(frozen=True)
class Asked:
    """What is predicted and written, where that is not as the experiment of the weights says (None).

    ``over``: ``tissue`` or ``everything``; ``tta``: ``none`` or ``dihedral``; ``probabilities`` and ``uncertainty``:
    whether these files are wanted, the second with the first.
    """

    over: str | None = None
    tta: str | None = None
    probabilities: bool = False
    uncertainty: bool = False


@dataclass(frozen=True)
class Model:
    """A checkpoint: the ``run`` it stands for, and what it tells of its training (``spec``, ``extra``).

    With ``others``, which predict with it, it is the mean of them all, and the run's ``members`` are their files.  The
    slides of the run's dataset mean nothing.
    """

    path: Path
    run: DenseRun
    spec: Mapping[str, Any]
    extra: Mapping[str, Any]
    others: tuple[Model, ...] = ()

    @property
    def members(self) -> tuple[Model, ...]:
        """All weights that predict, this one first."""
        return (self, *self.others)

    @property
    def cohorts(self) -> dict[int, Model]:
        """Of the weights that were trained on the same slides the first: number among the members, from 1 -> itself."""
        found: dict[str, tuple[int, Model]] = {}
        for number, one in enumerate(self.members, start=1):
            told = json.dumps([one.spec.get(key) for key in _COHORT], sort_keys=True)
            found.setdefault(told, (number, one))
        return dict(found.values())

    @property
    def name(self) -> str:
        """The run, as the weights say it."""
        return " ".join(str(self.spec.get("run", self.run.experiment)).split())[:200]

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return sha256_of(self.path)

    @property
    def classes(self) -> tuple[ReportClass, ...]:
        """In order of their values."""
        return tuple(
            ReportClass(one.name, one.value, one.colour) for one in self.run.dataset.label_map.classes
        )

    @property
    def ranges(self) -> dict[str, Range] | None:
        """Measure -> the least and the largest of the training slides; None where the weights do not tell."""
        found = (self.spec.get("cohort") or {}).get("ranges")
        return {name: (low, high) for name, (low, high) in found.items()} if found else None

    @property
    def seen(self) -> tuple[str, ...]:
        """Ids of the slides that any of the weights were trained or chosen on."""
        return tuple(dict.fromkeys(slide for one in self.members for slide in one.spec.get("slides", ())))


def open_models(paths: Sequence[Path], asked: Asked) -> Model:
    """The mean of the models in some files, or the only one; settings of inference are those of the first.

    CheckpointError where they are not one network trained several times.
    """
    first, *others = (open_model(one, asked) for one in paths)
    if len({one.resolve() for one in paths}) < len(paths):
        raise CheckpointError(f"--model {', '.join(map(str, paths))}: one is named twice; name each once")
    for one in others:
        _check_alike(first, one)
    if not others:
        return first
    return replace(first, run=replace(first.run, members=tuple(paths)), others=tuple(others))


def open_model_of(run: DenseRun, path: Path) -> Model:
    """The model of a run that stands in a configuration; ``path``: its weights, of an ensemble those of the first."""

    def opened(one: Path) -> Model:
        found = load_checkpoint(one)
        return Model(one, run, found.spec, found.extra)

    return replace(opened(path), others=tuple(opened(one) for one in run.members[1:]))


def open_model(path: Path, asked: Asked = Asked()) -> Model:
    """The model in a file that train or import-keras wrote; CheckpointError for one that gives no class per pixel."""
    found = load_checkpoint(path)
    try:
        made = _run_of(path, found.spec, asked)
    except (ValidationError, ConfigError, ShapeError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path}: its settings are not those of this version ({reason}); use the version it was trained with "
            "or train again"
        ) from None
    return Model(path, made, found.spec, found.extra)


def tissue_of(model: Model) -> TissueSettings:
    """How tissue was told from glass on the training slides; the default where the weights do not tell."""
    try:
        return TissueSettings.model_validate(model.spec.get("tissue") or {})
    except ValidationError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{model.path}: damaged (tissue: {reason}); train or copy it again") from None


def _check_alike(first: Model, other: Model) -> None:
    """CheckpointError unless two models are of one network and give the same classes."""
    theirs, ours = _network(other), _network(first)
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise CheckpointError(
                f"{other.path}: found another {key} than that of {first.path}, wanted weights of one network, trained "
                "several times; predict with each alone, into another --out"
            )


def _network(model: Model) -> dict[str, Any]:
    dataset = model.run.dataset
    return {**model.run.settings.read_as(), "channels": dataset.channels, "classes": dataset.label_map.names}


def _run_of(path: Path, spec: Mapping[str, Any], asked: Asked) -> DenseRun:
    stored = dict(spec["settings"])
    kind = KINDS.get(str(stored.get("model")))
    if kind is None or not issubclass(kind, DenseSettings):
        raise CheckpointError(
            f"{path}: weights of a {str(stored.get('model'))[:60]}, wanted those of a unet, hooknet, mrn or hdc_hrnet; "
            "give the checkpoint of such a run, and systems of stages to the workflow"
        )
    infer = {key: value for key, value in stored.get("infer", {}).items() if key not in _NOT_HERE}
    said = infer.get("over", "tissue")
    infer |= {
        "over": asked.over or ("tissue" if said == "mask" else said),
        "tta": asked.tta or infer.get("tta", "none"),
        "probabilities": asked.probabilities,
        "uncertainty": asked.uncertainty,
    }
    settings = kind.model_validate({**stored, "infer": infer})
    run: Run = make_run(
        str(spec.get("experiment", "model")),
        settings,
        _dataset_of(spec),
        spec.get("seed") or 0,
        spec.get("fold"),
    )
    assert isinstance(run, DenseRun)
    run.settings.check_classes(run.dataset.label_map.names)
    return run


def _dataset_of(spec: Mapping[str, Any]) -> DatasetSettings:
    """Classes as they were trained; a slide has to be in a dataset, and stands for none."""
    classes = {
        one["name"]: {"value": one.get("value", number), "colour": one["colour"]}
        for number, one in enumerate(spec["classes"], start=1)
    }
    slides = [{"id": "new", "slide": "new", "split": "test"}]
    return DatasetSettings.model_validate(
        {"classes": classes, "channels": spec.get("channels", 3), "slides": slides}
    )
