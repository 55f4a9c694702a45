"""Write the report: one HTML page with scores, tests, curves and slides to look at, and its tables and figures.

The page needs no other file and no network. Figures are saved as PNG and SVG, tables as CSV beside it.
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
    splits: Annotated[Path, typer.Option(help="Sheet that make-splits wrote.")],
    slides_folder: SlidesFolder,
    runs_folder: Annotated[Path, typer.Option(help="Folder with one folder of results per run.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html, figures/ and tables/.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the page."""
    from hooknet.io.records import read_splits
    from hooknet.report.gather import Folders, gather
    from hooknet.report.page import write_report

    folders = Folders(slides_folder, runs_folder)
    data = gather(project(datasets, experiments), dataset, read_splits(splits), folders)
    write_report(data, output)
