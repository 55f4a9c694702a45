"""Write who trains, validates and tests, and check that no split lacks a class.

Splits or folds given with the slides are taken as they are; `splits` in the dataset makes them: patients stay
whole, classes are spread evenly. Runs before any training, so that a missing class costs no night.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    DatasetName,
    Datasets,
    Experiments,
    SlidesFolder,
    project,
)


def run(
    dataset: DatasetName,
    slides_folder: SlidesFolder,
    output: Annotated[Path, typer.Option(help="Sheet to write (TSV: id, fold, split).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the sheet, and print how many slides train, validate and test."""
    from hooknet.groundtruth.cohort import assign, check_classes, count_slides, read_areas
    from hooknet.groundtruth.suspicion import warn_spacings
    from hooknet.io.records import write_splits
    from hooknet.io.skipped_slides import skipped_before_training, without

    everything = project(datasets, experiments)
    skipped = skipped_before_training(everything, dataset, slides_folder)
    warn_spacings(everything.dataset(dataset), slides_folder, skipped)
    areas = read_areas(everything.dataset(dataset), slides_folder, skipped)
    assigned = without(assign(everything.dataset(dataset), areas, skipped), skipped)
    for line in count_slides(everything.dataset(dataset), assigned):
        print(line)
    for slide, reason in skipped.items():
        print(f"skipped {slide}: {reason}")
    check_classes(everything, dataset, assigned, areas)
    write_splits(output, assigned)
