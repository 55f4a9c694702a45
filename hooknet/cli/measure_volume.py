"""Score a volume in 3D, from the maps of its slices: Dice, IoU, precision, recall and HD95 in mm of each class.

A volume is all slides of the dataset whose `volume` has its name. It is scored against the dense truth where all of
its slices have one, else against their annotation.
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
    SlidesFolder,
    project,
)


def run(
    dataset: DatasetName,
    volume: Annotated[str, typer.Option(help="Name of a volume of that dataset.")],
    slides_folder: SlidesFolder,
    maps_folder: Annotated[Path, typer.Option(help="Folder with the map of every slice that infer wrote.")],
    output: Annotated[Path, typer.Option(help="Scores to write (CSV, a row per class).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the scores."""
    from hooknet.config.volumes import volume_named
    from hooknet.evaluation.volumes import SliceFiles, measure_volume, write_volumes

    settings = project(datasets, experiments).dataset(dataset)
    chosen = volume_named(settings.slides, volume)
    truth = f"{chosen.scored_role}.tif"
    slices = [
        SliceFiles(position, slides_folder / one.id / truth, maps_folder / f"{one.id}.tif")
        for position, one in zip(chosen.positions, chosen.slides, strict=True)
    ]
    names = settings.label_map.names
    write_volumes(output, {volume: measure_volume(slices, chosen.thickness, names)}, names)
