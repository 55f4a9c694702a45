"""Train one run, or go on with it where it was interrupted.

Writes the weights of the best epoch (validation macro F1), of the last one, and the curves.
"""

from __future__ import annotations

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
    state: State,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write checkpoints and curves."""
    from hooknet.config.run import DenseRun, of_kind
    from hooknet.io.records import read_splits
    from hooknet.io.staging import staged
    from hooknet.training.batches import slide_files
    from hooknet.training.loop import train
    from hooknet.training.states import TrainFiles

    chosen = of_kind(project(datasets, experiments).run(run), DenseRun, "train")
    assigned = read_splits(splits)
    training, validation = (
        slide_files(chosen.patch_spec, chosen.slides(split, assigned), slides_folder)
        for split in ("training", "validation")
    )
    with staged(one.slide for one in (*training, *validation)):
        train(chosen, training, validation, TrainFiles(best, last, metrics, state))
