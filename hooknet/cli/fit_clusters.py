"""Find clusters of a patch classifier's training patches, which its loss weighs alike.

K-means over principal components of a frozen network's features: of the weights that training starts from.
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
    Splits,
    project,
)


def run(
    run: RunName,
    slides_folder: SlidesFolder,
    splits: Splits,
    output: Annotated[
        Path, typer.Option(help="Clusters to write, with the network whose features they are of.")
    ],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the clusters."""
    from hooknet.config.run import ClassifierRun, of_kind
    from hooknet.io.records import read_splits
    from hooknet.io.staging import staged
    from hooknet.training.batches import slide_files
    from hooknet.training.clusters import fit

    chosen = of_kind(project(datasets, experiments).run(run), ClassifierRun, "fit-clusters")
    training = slide_files(chosen.patch_spec, chosen.slides("training", read_splits(splits)), slides_folder)
    with staged(one.slide for one in training):
        fit(chosen, training, output)
