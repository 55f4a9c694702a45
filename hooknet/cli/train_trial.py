"""Train a trial of a search up to the end of a rung, and let it predict the validation centres.

A trial is a run that the search may decide for, of which a rung trains the first epochs. It goes on from what the rung
before kept.
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
    Metrics,
    RunName,
    SlidesFolder,
    Splits,
    State,
    project,
)


def run(
    run: RunName,
    epochs: Annotated[
        int, typer.Option(min=1, help="Epochs at the end of the rung, those of rungs before included.")
    ],
    slides_folder: SlidesFolder,
    splits: Splits,
    best: Best,
    metrics: Metrics,
    state: State,
    points: Annotated[Path, typer.Option(help="Predictions of the validation centres to write (Parquet).")],
    kept: Annotated[Path, typer.Option(help="Folder to write, that the next rung goes on from.")],
    earlier: Annotated[Path | None, typer.Option(help="Folder that the rung before kept.")] = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write weights, curves and predictions."""
    from hooknet.errors import ConfigError
    from hooknet.io.records import read_splits
    from hooknet.io.staging import staged
    from hooknet.training.batches import slide_files
    from hooknet.training.states import TrainFiles
    from hooknet.training.trials import TrialFiles, train_trial

    everything = project(datasets, experiments)
    chosen = everything.search_of(run).runs[run]
    if epochs > chosen.settings.train.epochs:
        raise ConfigError(
            f"trial {run}: {epochs} epochs, but a full training has {chosen.settings.train.epochs}; ask for fewer"
        )
    assigned = read_splits(splits)
    training, validation = (
        slide_files(chosen.patch_spec, chosen.slides(split, assigned), slides_folder)
        for split in ("training", "validation")
    )
    files = TrialFiles(TrainFiles(best, None, metrics, state, kept=kept), points, earlier)
    with staged(one.slide for one in (*training, *validation)):
        train_trial(chosen, training, validation, files, epochs)
