"""Write a tissue mask as a map: tissue is one class, the rest another or nothing, as the experiment says."""

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
    SlideId,
    project,
)


def run(
    run: RunName,
    slide: SlideId,
    tissue: Annotated[Path, typer.Option(help="Tissue mask (see detect-tissue).")],
    output: Annotated[Path, typer.Option(help="Map to write (TIFF).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the map."""
    from hooknet.config.run import TissueRun, of_kind
    from hooknet.inference.tissue_map import paint_tissue

    chosen = of_kind(project(datasets, experiments).run(run), TissueRun, "paint-tissue")
    paint_tissue(chosen, chosen.dataset.slide(slide), tissue, output)
