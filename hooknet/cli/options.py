"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hooknet.config.project import Project

DATASETS_FILE = Path("config/datasets.yaml")
EXPERIMENTS_FILE = Path("config/experiments.yaml")

# The workflow says them by environment: a path in a rule's command would re-run everything when a file is renamed.
Datasets = Annotated[
    Path,
    typer.Option(
        "--datasets", envvar="HOOKNET_DATASETS", help="YAML file of the datasets.", show_default=True
    ),
]
Experiments = Annotated[
    Path,
    typer.Option(
        "--experiments", envvar="HOOKNET_EXPERIMENTS", help="YAML file of the experiments.", show_default=True
    ),
]
DatasetName = Annotated[str, typer.Option("--dataset", help="Name of a dataset in that file.")]
SlideId = Annotated[str, typer.Option("--slide", help="Id of one of the dataset's slides.")]
RunName = Annotated[
    str,
    typer.Option(
        "--run", help="Name of a run: the experiment, with -seedS and -foldF where there are several."
    ),
]
SearchName = Annotated[str, typer.Option("--search", help="Name of a search in the file of experiments.")]
SlidesFolder = Annotated[
    Path,
    typer.Option("--slides-folder", help="Folder with one folder of results per slide.", show_default=True),
]
Splits = Annotated[Path, typer.Option(help="Sheet that make-splits wrote.")]
# What every training writes.
Best = Annotated[Path, typer.Option(help="Checkpoint of the best epoch to write.")]
Last = Annotated[Path, typer.Option(help="Checkpoint of the last epoch to write.")]
Metrics = Annotated[Path, typer.Option(help="Curves to write (CSV, a row an epoch).")]
State = Annotated[Path, typer.Option(help="Folder for what an interrupted training needs to go on.")]

# What maps are predicted with, in how much memory.
Checkpoint = Annotated[Path, typer.Option(help="Weights that train or import-keras wrote.")]
Memory = Annotated[
    float | None,
    typer.Option(
        min=1,
        help="Memory in MB that the command may take in all, which decides how large tiles are; half of what is "
        "free by default. On a GPU tiles go by what is free there.",
    ),
]
# What maps are predicted within, what they cover besides, and what is written beside them.
Tissue = Annotated[Path | None, typer.Option(help="Tissue mask; needed where the experiment infers over it.")]
Labels = Annotated[list[Path] | None, typer.Option(help="Label mask whose pixels are to be predicted too.")]
Uncertainty = Annotated[
    Path | None, typer.Option(help="How sure the map is, to write (TIFF), where the experiment says so.")
]
Probabilities = Annotated[Path | None, typer.Option(help="Probabilities to write (TIFF, a band a class).")]


def project(datasets: Path, experiments: Path) -> Project:
    """Both files, read and checked."""
    from hooknet.config.project import load_project

    return load_project(datasets, experiments)
