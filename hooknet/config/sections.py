"""Both YAML files, section by section: what stands where, and where a complaint is about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hooknet.config.datasets import DatasetSettings
from hooknet.config.document import (
    PATTERNS,
    SAFE_NAME,
    Locate,
    Location,
    build,
    nearest,
    place,
    read_document,
)
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.experiments import KINDS, ExperimentsFile, kind_of
from hooknet.config.folders import folder_rows, is_folder
from hooknet.config.search import SearchSettings
from hooknet.config.sheets import read_sheet
from hooknet.errors import ConfigError

# Of the file of datasets.
KEYS = ("datasets", "on_error")


def load_datasets(path: Path, document: dict[str, Any]) -> dict[str, DatasetSettings]:
    """Every dataset of the file, each key checked; ConfigError, naming the place."""
    for key in document:
        if key not in KEYS:
            raise ConfigError(f"{place(path, '', (key,))}: unknown key; {nearest(key, list(KEYS))}")
    sections = document.get("datasets")
    if not isinstance(sections, dict) or not sections:
        found = "nothing" if sections is None else repr(sections)
        raise ConfigError(f"{path}: datasets: found {found}, wanted a mapping of names to datasets")
    seen: dict[str, str] = {}
    for name in sections:
        # Two names that differ in case only are one folder on some disks.
        if seen.setdefault(name.lower(), name) != name:
            raise ConfigError(
                f"{path}: datasets {seen[name.lower()]!r} and {name!r} differ in case only; rename one"
            )
    return {str(name): _load_dataset(path, str(name), section) for name, section in sections.items()}


def _load_dataset(path: Path, name: str, section: Any) -> DatasetSettings:
    key = f"datasets.{name}"
    if re.fullmatch(SAFE_NAME, name) is None:
        raise ConfigError(f"{place(path, key, ())}: found {name!r}, wanted {PATTERNS[SAFE_NAME]}")
    sheet = None
    if isinstance(section, dict) and isinstance(section.get("slides"), str):
        source = Path(section["slides"])
        if is_folder(section["slides"]):
            section = {**section, "slides": folder_rows(section["slides"], f"{path}: {key}.slides")}
        else:
            sheet = read_sheet(source, f"{path}: {key}.slides")
            section = {**section, "slides": list(sheet.rows)}

    def locate(location: Location) -> str:
        if sheet is None or len(location) < 2 or location[0] != "slides":
            return place(path, key, location)
        return place(f"{source}: line {sheet.lines[int(location[1])]}", "", location[2:])

    return build(DatasetSettings, section, path, key, locate)


def load_experiments(path: Path) -> tuple[dict[str, ExperimentSettings], dict[str, SearchSettings]]:
    """Every experiment and every search of the file, each key checked; ConfigError, naming the place."""
    document = read_document(path)
    file = build(ExperimentsFile, document, path, "")
    experiments = {
        name: _load_experiment(path, document, name, section) for name, section in file.experiments.items()
    }
    searches = {
        name: build(SearchSettings, section, path, f"search.{name}", _written(path, document, "search", name))
        for name, section in file.search.items()
    }
    return experiments, searches


def _load_experiment(
    path: Path, document: dict[str, Any], name: str, section: dict[str, Any]
) -> ExperimentSettings:
    model = section.get("model")
    locate = _written(path, document, "experiments", name, model)
    if isinstance(model, str) and model not in KINDS:
        raise ConfigError(f"{locate(('model',))}: found {model!r}; {nearest(model, list(KINDS))}")
    return build(kind_of(section), section, path, f"experiments.{name}", locate)


def _written(path: Path, document: dict[str, Any], key: str, name: str, model: Any = None) -> Locate:
    """Tells where something was written: in the section itself, or in the defaults that it starts from."""
    own, defaults = document[key][name], document.get("defaults")

    def locate(location: Location) -> str:
        if location and not _holds(own, location):
            if isinstance(model, str) and _holds(defaults, (model, *location)):
                return place(path, "defaults", (model, *location))
            if _holds(defaults, location):
                return place(path, "defaults", location)
        return place(path, f"{key}.{name}", location)

    return locate


def _holds(section: Any, location: Location) -> bool:
    """Whether a mapping has something at a location; lists are not looked into."""
    for part in location:
        if isinstance(section, list):
            return True
        if not isinstance(section, dict) or part not in section:
            return False
        section = section[part]
    return True
