"""Tell tissue from glass and write it as a mask.

Otsu's threshold on the optical density of the darkest channel, small gaps closed, specks removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    DatasetName,
    Datasets,
    Experiments,
    SlideId,
    project,
)


def run(
    dataset: DatasetName,
    slide: SlideId,
    output: Annotated[Path, typer.Option(help="Tissue mask to write (TIFF, 1 is tissue).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the tissue mask."""
    from hooknet.groundtruth.tissue import detect_tissue
    from hooknet.io.slides import Slide

    settings = project(datasets, experiments).dataset(dataset)
    one = settings.slide(slide)
    with Slide(str(one.slide), one.spacing_override) as opened:
        detect_tissue(opened, **settings.tissue.model_dump(), path=output)
