"""Predict a slide patch by patch: a heat map of the classes' probabilities, a px per patch, and the map.

Over tissue, everything or a mask of yours, as the experiment says; with --labels also wherever something is annotated.
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
    Labels,
    RunName,
    SlideId,
    Tissue,
    project,
)


def run(
    run: RunName,
    slide: SlideId,
    checkpoint: Annotated[Path, typer.Option(help="Weights that train-classifier wrote.")],
    output: Annotated[Path, typer.Option(help="Map to write (TIFF).")],
    probabilities: Annotated[Path, typer.Option(help="Heat map to write (TIFF, a band a class).")],
    tissue: Tissue = None,
    labels: Labels = None,
    memory: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Memory in MB that the command may take in all, which decides how large batches are; half of what "
            "is free by default.",
        ),
    ] = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the heat map and the map."""
    from hooknet.config.run import ClassifierRun, of_kind
    from hooknet.inference.classifying import classify_patches
    from hooknet.inference.whole_slide import MapFiles
    from hooknet.io.staging import staged

    chosen = of_kind(project(datasets, experiments).run(run), ClassifierRun, "classify-patches")
    one, files = chosen.dataset.slide(slide), MapFiles(output, probabilities, tissue, tuple(labels or ()))
    with staged([str(one.slide)]):
        classify_patches(chosen, one, checkpoint, files, None if memory is None else int(memory * 1e6))
