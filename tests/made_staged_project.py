"""A project with one experiment of each stage on three tiny slides, and weights drawn by chance."""

from __future__ import annotations

from pathlib import Path

import made_cohort
import made_config
import made_stages

from hooknet.config.project import load_project
from hooknet.inference.classifying import random_classifier
from hooknet.inference.refining import random_refiner

TRAIN = {"threads": 1}
EXPERIMENTS = {
    "patches": {
        "dataset": "colon", "model": "classifier", "spacing": 1.0, "patch_size": 32, "train": TRAIN,
    },
    "refined": {
        "dataset": "colon", "model": "refiner", "parent": "patches", "heat_maps": "in_sample", "size": 32,
        "infer": {"over": "everything"},
        "train": TRAIN,
    },
    "low_power": {
        "dataset": "colon", "model": "refiner", "size": 32, "train": TRAIN, "infer": {"over": "everything"},
    },
    "otsu": {"dataset": "colon", "model": "tissue", "inside": "gland", "outside": "stroma"},
    "unet": made_cohort.EXPERIMENTS["unet"],
}  # fmt: skip
FILES = made_cohort.FILES


def write(folder: Path) -> None:
    """Slides, annotations, configuration and weights."""
    made_cohort.write(folder)
    paths = made_config.write(folder, {"colon": made_cohort.settings()}, EXPERIMENTS)
    project = load_project(*paths)
    for name, make in (
        ("patches", random_classifier),
        ("refined", random_refiner),
        ("low_power", random_refiner),
    ):
        run = project.run(name)
        made_stages.save(folder / f"{name}.ckpt", make(run), run, slides=("a", "b"))


def step(name: str, run: str, *more: object) -> list[object]:
    """The arguments of a command on the test slide."""
    return [name, "--run", run, "--slide", "c", *more, *FILES]
