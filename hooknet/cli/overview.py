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
    SlidesFolder,
    Splits,
    project,
)


def run(
    run: RunName,
    checkpoint: Checkpoint,
    splits: Splits,
    slides_folder: SlidesFolder,
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
    from hooknet.io.skipped_slides import skipped_slides
    from hooknet.prediction.model import open_model_of
    from hooknet.prediction.overview import write_overview

    everything, assigned = project(datasets, experiments), read_splits(splits)
    chosen = of_kind(everything.run(run), DenseRun, "overview")
    skipped = skipped_slides(everything, chosen.dataset_name, assigned, slides_folder, run_folder.parent)
    slides = [one for one in chosen.slides("test", assigned) if one.id not in skipped]
    write_overview(open_model_of(chosen, checkpoint), slides, skipped, run_folder, output)
