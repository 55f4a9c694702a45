"""Write a page of a run's maps: each over its slide, areas of the classes, warnings, and the model card.

For slides without anything to score against; the same page as of predict. What is like no slide of the training, in
spacing or stain, is warned of in the log and on the page.
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
    RunName,
    Splits,
    project,
)


def run(
    run: RunName,
    checkpoint: Checkpoint,
    splits: Splits,
    run_folder: Annotated[
        Path, typer.Option(help="Folder of the run, with maps and quantities of its slides.")
    ],
    output: Annotated[Path, typer.Option(help="Page to write (HTML).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the page."""
    from hooknet.config.run import DenseRun, of_kind
    from hooknet.io.records import read_splits
    from hooknet.prediction.model import open_model
    from hooknet.prediction.overview import write_overview

    chosen = of_kind(project(datasets, experiments).run(run), DenseRun, "overview")
    slides = chosen.slides("test", read_splits(splits))
    write_overview(open_model(checkpoint, run=chosen), slides, run_folder, output)
