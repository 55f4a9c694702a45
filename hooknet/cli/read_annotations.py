"""Read an annotation file and write it cleaned, as GeoJSON that QuPath opens.

ASAP XML or QuPath GeoJSON: groups looked up in the label map, self-intersections repaired, holes and regions
of interest told apart, everything in the order in which it will be painted. Points and lines are counted.
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
    annotation: Annotated[Path, typer.Option(help="ASAP XML or QuPath GeoJSON.")],
    output: Annotated[
        Path, typer.Option(help="GeoJSON to write; coordinates count as in the annotation file.")
    ],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the cleaned annotations."""
    from hooknet.errors import AnnotationError
    from hooknet.groundtruth.geometries import clean, to_geojson
    from hooknet.io.annotations import read_annotations
    from hooknet.io.slides import Slide

    settings = project(datasets, experiments).dataset(dataset)
    one = settings.slide(slide)
    with Slide(str(one.slide), one.spacing_override) as opened:
        offset = opened.bounds_offset if settings.origin == "bounds" else (0.0, 0.0)
        cleaned = clean(
            read_annotations(annotation), settings.label_map, opened.size, offset, str(annotation)
        )
    # A region of interest alone is truth where the settings say what fills it.
    if not cleaned.painted and not (cleaned.regions_of_interest and settings.region_default):
        raise AnnotationError(
            f"{annotation}: found no region of any class, wanted one at least; "
            f"annotate slide {slide!r}, or leave its annotation empty"
        )
    to_geojson(cleaned, output, settings.label_map)
