"""Train one run, or go on with it where it was interrupted.

Writes the weights of the best epoch (validation macro F1), of the last one, and the curves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    Datasets,
    Experiments,
    RunName,
    SlidesFolder,
    project,
)


def run(
    run: RunName,
    slides_folder: SlidesFolder,
    splits: Annotated[Path, typer.Option(help="Sheet that make-splits wrote.")],
    best: Annotated[Path, typer.Option(help="Checkpoint of the best epoch to write.")],
    last: Annotated[Path, typer.Option(help="Checkpoint of the last epoch to write.")],
    metrics: Annotated[Path, typer.Option(help="Curves to write (CSV, a row an epoch).")],
    state: Annotated[Path, typer.Option(help="Folder for what an interrupted training needs to go on.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write checkpoints and curves."""
    from hooknet.io.locks import exclusive
    from hooknet.io.records import read_splits
    from hooknet.training.batches import slide_files
    from hooknet.training.loop import TrainFiles, train

    chosen = project(datasets, experiments).run(run)
    assigned = read_splits(splits)
    training, validation = (
        slide_files(chosen, chosen.slides(split, assigned), slides_folder)
        for split in ("training", "validation")
    )
    # Two trainings of one run would mix their states.
    with exclusive(state.with_name(f".{state.name}.lock")):
        train(chosen, training, validation, TrainFiles(best, last, metrics, state))
