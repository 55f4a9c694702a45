"""Write the report: one HTML page with scores, tests, curves and slides to look at, and its tables and figures.

The page needs no other file and no network. Figures are saved as PNG and SVG, tables as CSV beside it, and all it
says in summary.json. Patients are numbered, not named, unless asked for.
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
    Splits,
    project,
)


def run(
    dataset: DatasetName,
    splits: Splits,
    slides_folder: SlidesFolder,
    runs_folder: Annotated[Path, typer.Option(help="Folder with one folder of results per run.")],
    output: Annotated[Path, typer.Option(help="Folder for index.html, summary.json, figures/ and tables/.")],
    patients: Annotated[bool, typer.Option("--patients", help="Name the patients of the slides.")] = False,
    static: Annotated[
        bool,
        typer.Option(
            "--static",
            help="Write viewer/ too: test slides to zoom into without a server, at most 4,096 px a side.",
        ),
    ] = False,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the page."""
    from hooknet.io.records import read_splits
    from hooknet.report.gather import Folders, gather
    from hooknet.report.page import write_report
    from hooknet.viewer.catalogue import view_dataset
    from hooknet.viewer.static import write_static

    chosen, folders = project(datasets, experiments), Folders(slides_folder, runs_folder)
    data = gather(chosen, dataset, read_splits(splits), folders, patients)
    if static:
        viewed = view_dataset(chosen, dataset, slides_folder, runs_folder)
        write_static(viewed, output / "viewer", tuple(one.id for one in viewed.slides if one.has_maps))
    write_report(data, output, "viewer/index.html" if static else None)
