"""Pairs of small configuration files for tests, right as they are and easily made wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

CLASSES = {
    "stroma": {"value": 1, "colour": "#e5989b"},
    "gland": {"value": 2, "colour": "#1b6f66"},
}
SLIDES = [
    {"id": "a", "patient": "p1", "split": "training"},
    {"id": "b", "patient": "p2", "split": "validation"},
    {"id": "c", "patient": "p3", "split": "test"},
]
DATASET = {
    "classes": CLASSES,
    "files": {"slide": "{id}.tif", "annotation": "{id}.xml"},
    "slides": SLIDES,
}
EXPERIMENT = {"dataset": "colon", "model": "unet", "spacings": [0.5]}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with some keys replaced; None takes a key out."""
    result = {**copy.deepcopy(base), **changes}
    return {key: value for key, value in result.items() if value is not None}


def dataset(**changes: Any) -> dict[str, Any]:
    return merged(DATASET, changes)


def experiment(**changes: Any) -> dict[str, Any]:
    return merged(EXPERIMENT, changes)


def folds(*numbers: int) -> list[dict[str, Any]]:
    """A slide and patient for each number of a fold."""
    return [
        {"id": f"s{place}", "patient": f"p{place}", "fold": number} for place, number in enumerate(numbers)
    ]


def write(
    folder: Path,
    datasets: dict[str, Any] | str | None = None,
    experiments: dict[str, Any] | str | None = None,
    defaults: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write both files (mappings of names to sections, or whole texts) and return their paths."""
    paths = folder / "datasets.yaml", folder / "experiments.yaml"
    if not isinstance(datasets, str):
        datasets = yaml.safe_dump({"datasets": datasets or {"colon": DATASET}}, sort_keys=False)
    if not isinstance(experiments, str):
        content = {} if defaults is None else {"defaults": defaults}
        if search is None or experiments:
            content["experiments"] = experiments or {"unet": EXPERIMENT}
        if search is not None:
            content["search"] = search
        experiments = yaml.safe_dump(content, sort_keys=False)
    paths[0].write_text(datasets, encoding="utf-8")
    paths[1].write_text(experiments, encoding="utf-8")
    return paths
