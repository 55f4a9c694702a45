"""Match the objects of a map with those of a truth, one to one, and count hits, false alarms and misses.

Where the truth is annotated in parts only, objects mostly outside of them are not judged.
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
    truth: Annotated[Path, typer.Option(help="Label mask, or GeoJSON of detect-objects made of one.")],
    objects: Annotated[Path, typer.Option(help="GeoJSON of detect-objects.")],
    output: Annotated[Path, typer.Option(help="Counts to write (CSV, a row a class).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the counts."""
    from hooknet.io.masks import Mask
    from hooknet.objects.detection import detect, read_objects
    from hooknet.objects.matching import match, write_matches

    settings = project(datasets, experiments).dataset(dataset)
    settings.slide(slide)
    rules = settings.object_classes()
    predicted = read_objects(objects)
    if truth.suffix.lower() in (".geojson", ".json"):
        counts = match(read_objects(truth), predicted, rules)
    else:
        with Mask.open(truth) as labels:
            wanted = list(detect(labels, rules, thresholds=False))
            counts = match(wanted, predicted, rules, labels)
    write_matches(output, {slide: counts})
