"""Paint annotations into a label mask: a pyramidal TIFF, 0 not annotated, 1..K the classes.

From the GeoJSON that read-annotations wrote, or from a label raster of your own. At the finest target spacing
of the dataset's experiments; a pixel belongs to a shape when its centre is inside.
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
    source: Annotated[Path, typer.Option(help="GeoJSON of read-annotations, or a label raster (PNG, TIFF).")],
    output: Annotated[Path, typer.Option(help="Label mask to write (TIFF).")],
    counts: Annotated[Path, typer.Option(help="JSON to write: annotated pixels of each class.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the mask and its counts."""
    from hooknet.config.datasets import is_raster
    from hooknet.groundtruth.geometries import from_geojson
    from hooknet.groundtruth.rasterise import rasterise, rasterise_raster
    from hooknet.groundtruth.suspicion import warn_outside_tissue
    from hooknet.io.records import write_json
    from hooknet.io.slides import Slide

    everything = project(datasets, experiments)
    settings = everything.dataset(dataset)
    one, label_map = settings.slide(slide), settings.label_map
    with Slide(str(one.slide), one.spacing_override) as opened:
        # Experiments may have come since the slide was checked.
        opened.require_all(everything.read_spacings(dataset))
        grid = opened.grid(everything.mask_spacing(dataset))
        if is_raster(str(source)):
            pixels = rasterise_raster(source, opened.size, grid, label_map, output)
        else:
            pixels = rasterise(from_geojson(source), grid, label_map, output)
            warn_outside_tissue(opened, output, settings.tissue)
    by_name = {one.name: pixels[one.value] for one in label_map.classes}
    write_json(counts, {"slide": slide, "spacing": grid.spacing, "pixels": by_name})
