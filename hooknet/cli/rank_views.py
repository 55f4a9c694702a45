"""Rank what the single views of a search would tell together: which combinations are worth training.

Curves of F1 against spacing, how errors overlap, and the ranking, with 95 % intervals over patients.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, SearchName, project


def run(
    search: SearchName,
    output: Annotated[Path, typer.Option(help="Folder for the tables (CSV).")],
    trials: Annotated[Path, typer.Option(help="Trials of the first rung to write (JSON).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the tables."""
    from hooknet.search.steps import rank_views

    rank_views(project(datasets, experiments).search(search), output, trials)
