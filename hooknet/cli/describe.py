"""Print the maps of all branches, hooks, parameters and fields of view of an experiment, or of all. Needs no data."""

from __future__ import annotations

from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, project


def run(
    experiment: Annotated[str | None, typer.Argument(help="Name of an experiment; all without one.")] = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Print the description."""
    from hooknet.config.document import nearest
    from hooknet.errors import ConfigError
    from hooknet.models.describe import describe_experiment

    everything = project(datasets, experiments)
    if experiment is not None and experiment not in everything.experiments:
        possible = nearest(experiment, list(everything.experiments))
        raise ConfigError(f"{experiments}: no experiment {experiment!r}; {possible}")
    chosen = everything.experiments if experiment is None else [experiment]
    told = []
    for name in chosen:
        settings = everything.experiments[name]
        dataset = everything.dataset(settings.dataset)
        title = [f"== {name}"] if experiment is None else []
        told.append(
            "\n".join([*title, describe_experiment(settings, len(dataset.classes), dataset.channels)])
        )
    print("\n\n".join(told))
