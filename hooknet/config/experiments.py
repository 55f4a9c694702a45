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
from hooknet.config.search import SearchSettings
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

    What stands there under the name of a model is for the experiments of that model only.  A search starts from those
    that it has.
    """

    defaults: dict[str, Any] = Field(default_factory=dict)
    experiments: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    search: dict[Name, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        defaults = document.get("defaults") or {}
        sections = {
            key: {
                name: _merged(starts_from(defaults, own), own)
                if isinstance(own, dict) and isinstance(defaults, dict)
                else own
                for name, own in document[key].items()
            }
            for key, starts_from in (("experiments", _defaults_for), ("search", _defaults_of_search))
            if isinstance(document.get(key), dict)
        }
        return {**document, **sections}


def kind_of(section: dict[str, Any]) -> type[ExperimentSettings]:
    """The settings that an experiment's section is read as; those of a U-Net where its model is unknown."""
    model = section.get("model")
    return KINDS.get(model, BranchedSettings) if isinstance(model, str) else BranchedSettings


def _defaults_for(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What an experiment starts from: the defaults of all, and over them those of its model."""
    common = {key: value for key, value in defaults.items() if key not in KINDS}
    of_model = defaults.get(str(own.get("model", common.get("model"))), {})
    return _merged(common, of_model) if isinstance(of_model, dict) else common


def _defaults_of_search(defaults: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """Of the defaults of all what a search has too."""
    return {key: value for key, value in defaults.items() if key in SearchSettings.model_fields}


def _merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``own`` over ``defaults``, section by section."""
    merged = dict(defaults)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
