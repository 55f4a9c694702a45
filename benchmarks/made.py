"""A run and its slides for benchmarks: phantom slides, densely labelled by their truth, drawn once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hooknet.config.branched import BranchedSettings
from hooknet.config.datasets import DatasetSettings
from hooknet.config.run import DenseRun
from hooknet.coordinates import PatchSpec
from hooknet.data.index import CentreIndex, SlideFiles, load_index
from hooknet.demo.cohort import PhantomSettings, make_slide
from hooknet.demo.tissue import VALUES
from hooknet.groundtruth.centres import count_pixels, draw_centres, generator
from hooknet.io.masks import Mask, create_mask
from hooknet.io.slides import Slide
from hooknet.io.tables import Centres, write_centres

NAMES = tuple(sorted(VALUES, key=lambda name: VALUES[name]))
PER_CLASS = 400


def draw_slide(folder: Path, number: int, size_um: float = 2048.0) -> Path:
    """A JPEG pyramid at 0.5 µm/px of levels 1, 2, 4, 8, 16, and its truth beside it as a label mask."""
    name = f"benchmark{number}"
    slide, truth = folder / f"{name}.tif", folder / f"{name}.png"
    make_slide(name, PhantomSettings(size_um=size_um), slide, folder / f"{name}.xml", truth)
    labels = np.asarray(Image.open(truth))
    with Slide(slide) as opened:
        grid = opened.grid(0.5)
    palette = {value: (value, value, value) for value in range(1, len(NAMES) + 1)}
    with create_mask(folder / f"{name}_labels.tif", grid, NAMES, palette) as writer:
        writer.write(0, 0, labels)
    return slide


def index_of(slides: list[Path], spec: PatchSpec) -> CentreIndex:
    """The centres of drawn slides for patches of ``spec``."""
    return load_index(slide_files(slides, spec), NAMES, spec)


def slide_files(slides: list[Path], spec: PatchSpec) -> list[SlideFiles]:
    """Drawn slides with their masks and centres for patches of ``spec``."""
    files = []
    for slide in slides:
        labels = slide.with_name(f"{slide.stem}_labels.tif")
        centres = slide.with_name(f"{slide.stem}_{spec.output_size}_{spec.target_spacing}.parquet")
        with Mask.open(labels) as mask:
            table = draw_centres(mask, PER_CLASS, generator(1, slide.stem))
            table = count_pixels(table, mask, spec.output_size, spec.target_spacing, len(NAMES))
        write_centres(centres, Centres(table, NAMES, spec.output_size, spec.target_spacing))
        files.append(SlideFiles(slide.stem, slide, None, labels, centres))
    return files


def make_run(**settings: Any) -> DenseRun:
    """A run on the drawn slides; ``settings`` are those of an experiment."""
    dataset = DatasetSettings(
        classes={name: {"value": VALUES[name], "colour": "#000000"} for name in NAMES},
        slides=[{"id": "benchmark1", "slide": "benchmark1.tif", "annotation": "-", "split": "test"}],
    )
    experiment = BranchedSettings.model_validate({"dataset": "made", "model": "hooknet", **settings})
    return DenseRun("made", experiment, dataset, 1, None)
