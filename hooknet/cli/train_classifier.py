"""Train one run of a patch classifier, or go on with it where it was interrupted.

Writes the weights of the best epoch (validation macro F1 of patches), of the last one, the curves, and how often
each grade, slide and class was drawn.
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
    splits: Splits,
    best: Best,
    last: Last,
    metrics: Metrics,
    draws: Annotated[Path, typer.Option(help="Table of what was drawn how often to write (CSV).")],
    state: State,
    clusters: Annotated[
        Path | None, typer.Option(help="What fit-clusters wrote, for a run with `clusters`.")
    ] = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write checkpoints, curves and the table."""
    from hooknet.config.run import ClassifierRun, of_kind
    from hooknet.io.records import read_splits
    from hooknet.io.staging import staged
    from hooknet.training.batches import slide_files
    from hooknet.training.classification import train_classifier
    from hooknet.training.states import TrainFiles

    chosen = of_kind(project(datasets, experiments).run(run), ClassifierRun, "train-classifier")
    assigned = read_splits(splits)
    training, validation = (
        slide_files(chosen.patch_spec, chosen.slides(split, assigned), slides_folder)
        for split in ("training", "validation")
    )
    files = TrainFiles(best, last, metrics, state, draws)
    with staged(one.slide for one in (*training, *validation)):
        train_classifier(chosen, training, validation, clusters, files)
