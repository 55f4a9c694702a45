"""Predict several small slides with one load of the network; unbundle puts their maps in place.

A slide that cannot be predicted does not keep the others from it: unbundle tells why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    Checkpoint,
    Datasets,
    Experiments,
    Memory,
    RunName,
    SlidesFolder,
    project,
)


def run(
    run: RunName,
    slide: Annotated[list[str], typer.Option(help="Id of one of the dataset's slides; say it for each.")],
    slides_folder: SlidesFolder,
    checkpoint: Checkpoint,
    folder: Annotated[Path, typer.Option(help="Folder to write maps and probabilities to.")],
    memory: Memory = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the maps."""
    from hooknet.config.run import DenseRun, of_kind
    from hooknet.inference.bundles import infer_bundle

    chosen = of_kind(project(datasets, experiments).run(run), DenseRun, "infer-bundle")
    slides = [chosen.dataset.slide(one) for one in slide]
    infer_bundle(
        chosen, slides, checkpoint, slides_folder, folder, None if memory is None else int(memory * 1e6)
    )
