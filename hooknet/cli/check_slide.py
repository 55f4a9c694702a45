"""Check that a slide can be read, and write down its size, levels, spacing and bounds.

Reads a corner and the middle of every level. Fails when the spacing is missing, or coarser than an experiment needs,
or the file has other channels than the dataset.
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
    output: Annotated[Path, typer.Option(help="JSON record to write.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the record."""
    from hooknet.groundtruth.slide_record import check_place, describe_slide
    from hooknet.io.records import write_json
    from hooknet.io.slides import Slide

    everything = project(datasets, experiments)
    settings, channels = everything.dataset(dataset).slide(slide), everything.dataset(dataset).channels
    with Slide(str(settings.slide), settings.spacing_override) as opened:
        opened.require_channels(channels)
        check_place(opened, settings)
        write_json(output, describe_slide(opened, everything.read_spacings(dataset)))
