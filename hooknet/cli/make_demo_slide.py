"""Draw one slide of a generated cohort, with its annotation and its dense truth.

For datasets with a `phantom` section. The same dataset, seed and slide id give the same files.
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
    image: Annotated[Path, typer.Option(help="Pyramidal TIFF to write.")],
    annotation: Annotated[Path, typer.Option(help="ASAP XML to write: sparse annotations.")],
    truth: Annotated[Path, typer.Option(help="Label raster to write: the class of every pixel.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the three files."""
    from hooknet.demo.cohort import PhantomSettings, make_slide
    from hooknet.errors import ConfigError

    options = project(datasets, experiments).dataset(dataset).phantom
    if options is None:
        raise ConfigError(
            f"{datasets}: datasets.{dataset} has no `phantom`: its slides are brought, not drawn"
        )
    make_slide(slide, PhantomSettings(**options.model_dump()), image, annotation, truth)
