"""Predict a slide as a whole, at low power, with the heat map of a patch classifier."""

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
    Probabilities,
    RunName,
    SlideId,
    Tissue,
    project,
)


def run(
    run: RunName,
    slide: SlideId,
    checkpoint: Annotated[Path, typer.Option(help="Weights that train-refiner wrote.")],
    output: Annotated[Path, typer.Option(help="Map to write (TIFF).")],
    heat: Annotated[
        Path | None,
        typer.Option(help="Heat map that classify-patches wrote; needed where the experiment has a parent."),
    ] = None,
    tissue: Tissue = None,
    labels: Labels = None,
    probabilities: Probabilities = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the map."""
    from hooknet.config.run import RefinerRun, of_kind
    from hooknet.inference.refining import RefinerFiles, refine

    chosen = of_kind(project(datasets, experiments).run(run), RefinerRun, "refine")
    files = RefinerFiles(output, probabilities, heat, tissue, tuple(labels or ()))
    refine(chosen, chosen.dataset.slide(slide), checkpoint, files)
