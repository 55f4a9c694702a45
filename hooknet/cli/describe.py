"""Print the sizes, hook depths, parameters and fields of view of an experiment. Needs no data."""

from __future__ import annotations

from typing import Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, project


def run(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Print the description."""
    from hooknet.config.document import nearest
    from hooknet.errors import ConfigError
    from hooknet.models.describe import describe

    everything = project(datasets, experiments)
    if experiment not in everything.experiments:
        possible = nearest(experiment, list(everything.experiments))
        raise ConfigError(f"{experiments}: no experiment {experiment!r}; {possible}")
    settings = everything.experiments[experiment]
    network = settings.network_settings(len(everything.dataset(settings.dataset).classes))
    print(describe(settings.model, network, settings.infer.tile, settings.infer.rim))
