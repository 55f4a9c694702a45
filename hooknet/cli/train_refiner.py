"""Train one run of a refiner, or go on with it where it was interrupted.

It sees whole slides at low power, with the heat maps that its parent (or, of training slides, the parent trained
without them) made.  Writes the weights of the best epoch (validation macro F1), of the last one, and the curves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    Best,
    Datasets,
    Experiments,
    Last,
    Metrics,
    RunName,
    SlidesFolder,
    Splits,
    State,
    project,
)


def run(
    run: RunName,
    slides_folder: SlidesFolder,
    runs_folder: Annotated[Path, typer.Option(help="Folder with one folder of results per run: heat maps.")],
    splits: Splits,
    best: Best,
    last: Last,
    metrics: Metrics,
    state: State,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write checkpoints and curves."""
    from hooknet.config.run import RefinerRun, of_kind
    from hooknet.io.records import read_splits
    from hooknet.training.refinement import RefinerFolders, slide_files, train_refiner
    from hooknet.training.states import TrainFiles

    chosen = of_kind(project(datasets, experiments).run(run), RefinerRun, "train-refiner")
    assigned, folders = read_splits(splits), RefinerFolders(slides_folder, runs_folder)
    training, validation = (
        slide_files(chosen, chosen.slides(split, assigned), chosen.heat_maps(split, assigned), folders)
        for split in ("training", "validation")
    )
    train_refiner(chosen, training, validation, TrainFiles(best, last, metrics, state))
