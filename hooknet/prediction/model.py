"""Weights at hand: what they are, and the run that predicts with them, without any configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hooknet.config.datasets import DatasetSettings
from hooknet.config.dense import DenseSettings
from hooknet.config.experiments import KINDS
from hooknet.config.run import DenseRun, Run, make_run
from hooknet.config.steps import TissueSettings
from hooknet.errors import CheckpointError, ConfigError
from hooknet.groundtruth.stain import Range
from hooknet.models.checkpoint import load_checkpoint
from hooknet.report.data import ReportClass

#: Of the settings of inference those that spread work or ask for more files: not those of one machine and a map.
_NOT_HERE = ("exports", "split_gb", "bundle_minutes")


@dataclass(frozen=True)
class Model:
    """A checkpoint: the ``run`` it stands for, and what it tells of its training (``spec``, ``extra``).

    The slides of the run's dataset mean nothing.
    """

    path: Path
    run: DenseRun
    spec: Mapping[str, Any]
    extra: Mapping[str, Any]

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
        """Ids of the slides that the weights were trained or chosen on."""
        return tuple(self.spec.get("slides", ()))


def open_model(
    path: Path, over: str | None = None, probabilities: bool = False, run: DenseRun | None = None
) -> Model:
    """The model in a file that train or import-keras wrote; CheckpointError for one that gives no class per pixel.

    ``over``: ``tissue`` or ``everything``, None for what the experiment says, where that is not a mask.
    ``run``: the run it is used by, where that stands in a configuration; one is made of the file where None.
    """
    found = load_checkpoint(path)
    if run is not None:
        return Model(path, run, found.spec, found.extra)
    try:
        made = _run_of(path, found.spec, over, probabilities)
    except (ValidationError, ConfigError, KeyError, TypeError, AttributeError) as error:
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


def _run_of(path: Path, spec: Mapping[str, Any], over: str | None, probabilities: bool) -> DenseRun:
    stored = dict(spec["settings"])
    kind = KINDS.get(str(stored.get("model")))
    if kind is None or not issubclass(kind, DenseSettings):
        raise CheckpointError(
            f"{path}: weights of a {str(stored.get('model'))[:60]}, wanted those of a unet, hooknet, mrn or hdc_hrnet; "
            "give the checkpoint of such a run, and systems of stages to the workflow"
        )
    infer = {key: value for key, value in stored.get("infer", {}).items() if key not in _NOT_HERE}
    said = infer.get("over", "tissue")
    infer |= {"over": over or ("tissue" if said == "mask" else said), "probabilities": probabilities}
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
