"""Compare all systems of a dataset on their test slides: scores and paired tests, as tables.

Per-class and macro F1 pooled over pixels, per slide, Wilcoxon signed-rank between systems. Folds are pooled; a
class without truth on a slide is left out of that slide's macro F1, for both systems of a pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, DatasetName, Datasets, Experiments, project


def run(
    dataset: DatasetName,
    splits: Annotated[Path, typer.Option(help="Sheet that make-splits wrote.")],
    runs_folder: Annotated[Path, typer.Option(help="Folder with one folder of results per run.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables (CSV).")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the tables."""
    from hooknet.evaluation.cohort import compare_systems, without_patients, write_tables
    from hooknet.io.records import read_splits
    from hooknet.io.skipped_slides import skipped_since, without

    chosen = project(datasets, experiments)
    assigned = read_splits(splits)
    assigned = without(assigned, skipped_since(chosen, dataset, assigned, runs_folder))
    results = compare_systems(chosen, dataset, assigned, runs_folder)
    # The tables lie beside the report, and are given away with it.
    settings = chosen.dataset(dataset)
    write_tables(results if settings.report.patients else without_patients(results, settings), output)
