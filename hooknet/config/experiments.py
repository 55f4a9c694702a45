"""``config/experiments.yaml``: what to do with the datasets. Systems and their settings."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, model_validator

from hooknet.config.branched import BranchedSettings
from hooknet.config.classifier import ClassifierSettings
from hooknet.config.document import Settings
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.hdc import HDCHRNetSettings
from hooknet.config.refiner import RefinerSettings, TissueMapSettings
from hooknet.config.types import Name

#: ``model`` -> the settings of its experiments.
KINDS: Final[dict[str, type[ExperimentSettings]]] = {
    "unet": BranchedSettings,
    "hooknet": BranchedSettings,
    "mrn": BranchedSettings,
    "hdc_hrnet": HDCHRNetSettings,
    "classifier": ClassifierSettings,
    "refiner": RefinerSettings,
    "tissue": TissueMapSettings,
}


class ExperimentsFile(Settings):
    """The whole file; ``defaults`` are settings that every experiment starts from.

    What stands there under the name of a model is for the experiments of that model only.
    """

    defaults: dict[str, Any] = Field(default_factory=dict)
    experiments: dict[Name, dict[str, Any]]

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, document: Any) -> Any:
        if not isinstance(document, dict) or not isinstance(document.get("experiments"), dict):
            return document
        defaults = document.get("defaults") or {}
        experiments = {
            name: _merged(_defaults_for(defaults, own), own)
            if isinstance(own, dict) and isinstance(defaults, dict)
            else own
            for name, own in document["experiments"].items()
        }
        return {**document, "experiments": experiments}


def kind_of(section: dict[str, Any]) -> type[ExperimentSettings]:
    """The settings that an experiment's section is read as; those of a U-Net where its model is unknown."""
    model = section.get("model")
    return KINDS.get(model, BranchedSettings) if isinstance(model, str) else BranchedSettings


def _defaults_for(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What an experiment starts from: the defaults of all, and over them those of its model."""
    common = {key: value for key, value in defaults.items() if key not in KINDS}
    of_model = defaults.get(str(own.get("model", common.get("model"))), {})
    return _merged(common, of_model) if isinstance(of_model, dict) else common


def _merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``own`` over ``defaults``, section by section."""
    merged = dict(defaults)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
