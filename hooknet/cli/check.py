"""Check both configuration files: every key, every split, every pair of spacings, and that all files are there.

Says what would run. With --no-files nothing but the two files (and slide sheets) is looked at.
"""

from __future__ import annotations

from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, project


def run(
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
    files: Annotated[bool, typer.Option(help="Also look whether slides and annotations are there.")] = True,
) -> None:
    """Print a summary."""
    from hooknet.config.project import missing_files
    from hooknet.errors import ConfigError
    from hooknet.report.colours import close_colours

    everything = project(datasets, experiments)
    missing = missing_files(everything) if files else []
    if missing:
        more = f" (and {len(missing) - 1} more such files)" if len(missing) > 1 else ""
        raise ConfigError(missing[0] + more)
    for name, dataset in everything.datasets.items():
        patients = {one.patient_id for one in dataset.slides}
        print(
            f"dataset {name}: {len(dataset.slides)} slides of {len(patients)} patients, {', '.join(dataset.classes)}"
        )
        for line in close_colours(dataset.label_map.classes):
            print(f"dataset {name}: note: {line}")
    for name, search in everything.searches.items():
        single = ", ".join(f"{one:g}" for one in search.settings.spacings)
        print(
            f"search {name}: single views {single}; together {', '.join(search.variants())}; on "
            f"{search.settings.dataset}, all trials within {search.settings.budget:g} full trainings"
        )
    for run_name, one in everything.runs.items():
        print(f"run {run_name}: {one.settings.told} on {one.dataset_name}")
