"""A configuration with which a run goes through every step of the pipeline."""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import Any

import fault_jobs
import made_workflow
import yaml

from hooknet.demo.hearts import HeartSettings, write_hearts

THREADS = {"batch": 2, "threads": 1}
STAGED = {"epochs": 2, **THREADS}
PATCHES = {"steps": 2, "validation_patches": 4, "workers": 0}
SPLITS = ("training", "validation", "test")
EXPORTS = ["geojson", "asap", "ome-tiff", "colours"]

DENSE = {key: value for key, value in made_workflow.EXPERIMENTS["defaults"].items() if key != "dataset"}


def dense(model: str, spacings: list[float], **more: Any) -> dict[str, Any]:
    """An experiment that predicts a class per pixel; ``more``: its own sections, over those of the tiny run."""
    merged = {key: {**DENSE.get(key, {}), **value} for key, value in more.items()}
    return {"model": model, "spacings": spacings, **DENSE, **merged}


EXPERIMENTS: dict[str, Any] = {
    "defaults": {
        "dataset": "tiny",
        "classifier": {"spacing": 2.0, "patch_size": 32, "train": STAGED | PATCHES},
        "refiner": {
            "size": 64,
            "parts": 2,
            "foreground": ["fat", "in_situ", "invasive", "lymphoid"],
            "train": STAGED | {"accumulate": 1},
        },
    },
    "experiments": {
        "unet": dense("unet", [2.0], infer={"probabilities": True, "exports": EXPORTS}),
        # Slides that share a job, and such as are spread over several; patches read by other processes.
        "shared": dense("hooknet", [2.0, 4.0], infer={"bundle_minutes": 60}, train={"workers": 2}),
        "spread": dense("mrn", [2.0, 4.0], infer={"split_gb": 1}),
        "otsu": {"model": "tissue", "inside": "invasive", "outside": "stroma"},
        "mob": {"model": "classifier", "clusters": {"k": 2, "patches": 8, "components": 2}},
        "bare": {"model": "refiner", "infer": {"probabilities": True}},
        "refined": {"model": "refiner", "parent": "mob"},
        "hearts": {
            "dataset": "hearts",
            **dense("unet", [1500], augment={"stain": 0, "saturation": 0, "elastic_um": 0}),
            "infer": {"over": "everything"},
        },
    },
}  # fmt: skip


def write(folder: Path) -> None:
    """Hearts as slices, and the configuration of both datasets."""
    write_hearts(folder / "acdc", HeartSettings(patients=3, side=64, slices=3))
    words = (
        "import-volumes",
        "--layout",
        "acdc",
        "--folder",
        "acdc",
        "--output",
        "slices",
        "--name",
        "hearts",
    )
    status, _ = fault_jobs.start(folder, words, Path("import.log")).wait()
    assert status == 0, (folder / "import.log").read_text()
    made_workflow.write(folder, EXPERIMENTS)
    tiny = copy.deepcopy(made_workflow.DATASET)
    # A second slide to train on, so that a classifier has two parts.
    tiny["slides"].insert(1, {"id": "a2", "split": "training", "truth": "-", "grade": "II"})
    document = {"datasets": {"tiny": tiny, "hearts": _hearts(folder)}}
    (folder / "config" / "datasets.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def _hearts(folder: Path) -> dict[str, Any]:
    """The imported slices of one phase, with a patient for each split, so that all jobs are known from the start."""
    hearts = yaml.safe_load((folder / "slices" / "datasets.yaml").read_text())["datasets"]["hearts"]
    del hearts["splits"]
    with (folder / hearts["slides"]).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["volume"].endswith("_ED")]
    splits = dict(zip(sorted({row["patient"] for row in rows}), SPLITS, strict=True))
    numbers = dict.fromkeys(("position", "thickness"), float)
    hearts["slides"] = [
        {key: numbers.get(key, str)(value) for key, value in row.items()} | {"split": splits[row["patient"]]}
        for row in rows
    ]
    return dict(hearts)
