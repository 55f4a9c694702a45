"""Decide a search: the simplest trial of the last rung that keeps up with the best, and how sure that is.

The winner, the runner-up and the single views become experiments, trained in full and compared on the test slides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, SearchName, project


def run(
    search: SearchName,
    output: Annotated[Path, typer.Option(help="Decision to write (JSON).")],
    table: Annotated[Path, typer.Option(help="Table of the last rung to write (CSV).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the decision."""
    from hooknet.search.steps import decide_views

    decide_views(project(datasets, experiments).search(search), output, table)
