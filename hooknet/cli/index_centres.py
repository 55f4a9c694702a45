"""List where training may centre a patch, with the classes each patch would show.

At least one centre for every annotated region, however small; about `centres.per_class` for a class.
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
    labels: Annotated[Path, typer.Option(help="Label mask of the slide.")],
    spacing: Annotated[float, typer.Option(help="Target spacing of the patches in µm/px.")],
    size: Annotated[int, typer.Option(help="Side of their label patch in px.")],
    output: Annotated[Path, typer.Option(help="Index to write (Parquet).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the index."""
    from hooknet.errors import AnnotationError
    from hooknet.groundtruth.centres import count_pixels, draw_centres, generator
    from hooknet.io.masks import Mask
    from hooknet.io.tables import Centres, write_centres

    settings = project(datasets, experiments).dataset(dataset)
    with Mask.open(labels) as mask:
        centres = draw_centres(mask, settings.centres.per_class, generator(settings.centres.seed, slide))
        if centres.empty:
            raise AnnotationError(
                f"{labels}: found no annotated pixel, wanted some for training; annotate slide {slide!r} or take it out"
            )
        table = count_pixels(centres, mask, size, spacing, len(mask.names))
        write_centres(output, Centres(table, mask.names, size, spacing))
