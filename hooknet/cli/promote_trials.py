"""Say which trials of a rung of a search go on to the next: the best, and the simplest that keeps up with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, SearchName, project


def run(
    search: SearchName,
    rung: Annotated[int, typer.Option(min=0, help="Number of the rung, from 0.")],
    output: Annotated[Path, typer.Option(help="Table of the rung to write (CSV).")],
    trials: Annotated[Path, typer.Option(help="Trials of the next rung to write (JSON).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the table."""
    from hooknet.search.steps import promote_trials

    promote_trials(project(datasets, experiments).search(search), rung, output, trials)
