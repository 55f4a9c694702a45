"""Runs small enough to train in a test: two colours of tissue on a few generated slides.

python made_runs.py SLIDES RESULTS [hdc] [KEY=JSON ...]    trains (an HDC-HRNet); the pairs change settings
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import made_slides
import numpy as np

from hooknet.config.datasets import DatasetSettings
from hooknet.config.experiments import kind_of
from hooknet.config.run import DenseRun
from hooknet.data.index import SlideFiles
from hooknet.groundtruth.centres import count_pixels, draw_centres, generator
from hooknet.io.masks import Mask
from hooknet.io.tables import Centres, write_centres

COLOURS = {1: (200, 110, 170), 2: (120, 90, 190)}
SIDE = 256
NO_AUGMENT = {
    "flips": False,
    **dict.fromkeys(("elastic_um", "brightness", "contrast", "saturation", "noise", "stain"), 0.0),
}
#: Depth 2, one convolution a block, two spacings: 38 px in, 12 px out.
SETTINGS = {
    "dataset": "made",
    "model": "hooknet",
    "spacings": (0.5, 1.0),
    "patch_size": 38,
    "network": {"filters": 3, "depth": 2, "convolutions": 1, "batch_norm_momentum": 0.7},
    "train": {
        "epochs": 2,
        "steps": 3,
        "batch": 4,
        "threads": 1,
        "workers": 0,
        "learning_rate": 1e-2,
        "validation_patches": 8,
    },
    "infer": {"over": "everything", "tile": 200},
}


def merged(one: dict, other: dict) -> dict:
    """``other`` over ``one``, section by section."""
    found = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(one.get(key), dict)
        found[key] = merged(one[key], value) if both else value
    return found


def make_run(seed: int = 1, **changes) -> DenseRun:
    return run_of(merged(SETTINGS, changes), seed)


def make_hdc_run(seed: int = 1, **changes) -> DenseRun:
    """One block a stage: 64 px in and out."""
    network = {"width": 4, "block": "dcn", "stages": [{"blocks": 1}] * 3, "head": "plain"}
    own = {
        **SETTINGS,
        "model": "hdc_hrnet",
        "spacings": (0.5,),
        "patch_size": 64,
        "network": network,
        "infer": {"over": "everything"},
    }
    return run_of(merged(own, changes), seed)


def every_kind() -> dict[str, DenseRun]:
    """A run of each model that gives a class per pixel."""
    return {
        "hooknet": make_run(),
        "unet": make_run(model="unet", spacings=(0.5,)),
        "mrn": make_run(model="mrn", patch_size=44),
        "hdc_hrnet": make_hdc_run(),
    }


def run_of(section: dict, seed: int) -> DenseRun:
    """A run of these settings on three slides of two classes."""
    settings = kind_of(section).model_validate(section)
    dataset = DatasetSettings(
        classes={"one": {"value": 1, "colour": "#ff0000"}, "two": {"value": 2, "colour": "#0000ff"}},
        slides=[
            {"id": name, "slide": f"{name}.tif", "annotation": f"{name}.xml", "split": split}
            for name, split in (("a", "training"), ("b", "validation"), ("c", "test"))
        ],
    )
    return DenseRun("made", settings, dataset, seed, None)


def tissue_of(seed: int) -> np.ndarray:
    """Class 1 or 2 at each pixel: a field of squares by chance."""
    return np.kron(made_slides.random_bits(8, 8, seed) + 1, np.ones((SIDE // 8, SIDE // 8), np.uint8))


def make_slide(folder: Path, name: str, run: DenseRun, seed: int) -> SlideFiles:
    """A slide, its label mask (a part of it is annotated) and its index."""
    classes = tissue_of(seed)
    noise = np.random.default_rng(seed).integers(-12, 13, (SIDE, SIDE, 3))
    colours = np.array([COLOURS[1], COLOURS[2]])[classes - 1] + noise
    slide = made_slides.write_slide(folder / f"{name}.tif", colours.astype(np.uint8), spacing=0.5)
    labels = classes.copy()
    labels[:, 200:] = 0
    labels_path = made_slides.write_mask(folder / f"{name}_labels.tif", labels)
    spec = run.network.shape.patch_spec
    with Mask.open(labels_path) as mask:
        table = draw_centres(mask, 60, generator(1, name))
        table = count_pixels(table, mask, spec.output_size, spec.target_spacing, 2)
    centres = folder / f"{name}.parquet"
    write_centres(centres, Centres(table, ("one", "two"), spec.output_size, spec.target_spacing))
    return SlideFiles(name, slide, made_slides.square(0.5), labels_path, centres)


def make_slides(folder: Path, run: DenseRun) -> tuple[list[SlideFiles], list[SlideFiles]]:
    """Training and validation slides; made once."""
    made = {}
    for name, seed in (("a", 1), ("b", 2)):
        done = folder / f"{name}.parquet"
        made[name] = (
            SlideFiles(
                name, folder / f"{name}.tif", made_slides.square(0.5), folder / f"{name}_labels.tif", done
            )
            if done.is_file()
            else make_slide(folder, name, run, seed)
        )
    return [made["a"]], [made["b"]]


def results(folder: Path):
    from hooknet.training.states import TrainFiles

    return TrainFiles(folder / "best.ckpt", folder / "last.ckpt", folder / "metrics.csv", folder / "state")


def train_in(slides: Path, folder: Path, run: DenseRun) -> None:
    from hooknet.training.loop import train

    train(run, *make_slides(slides, run), results(folder))


if __name__ == "__main__":
    make = make_hdc_run if "hdc" in sys.argv[3:] else make_run
    pairs = dict(one.split("=", 1) for one in sys.argv[3:] if "=" in one)
    train_in(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        make(**{key: json.loads(value) for key, value in pairs.items()}),
    )
