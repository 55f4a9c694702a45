"""Find the objects of a map: connected regions of the classes that the dataset declares as objects.

After closing gaps, filling holes and leaving out what is too small or, with probabilities, not sure enough.
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
    map: Annotated[Path, typer.Option(help="Map that infer wrote, or a label mask with --labels.")],
    output: Annotated[Path, typer.Option(help="GeoJSON to write, a feature an object.")],
    probabilities: Annotated[
        Path | None, typer.Option(help="Probabilities that infer kept, for thresholds and means.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="The map is a truth: thresholds do not apply.")
    ] = False,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the objects."""
    from hooknet.io.masks import Mask
    from hooknet.objects.detection import detect, write_objects

    settings = project(datasets, experiments).dataset(dataset)
    settings.slide(slide)
    rules = settings.object_classes()
    with Mask.open(map) as mask:
        found = detect(mask, rules, None if labels else probabilities, thresholds=not labels)
        write_objects(output, found, mask)
