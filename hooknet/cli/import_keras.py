"""Make a checkpoint of published HookNet weights (Keras .h5), for an experiment that says what they are.

Spacings, classes, colours and activation are those of the experiment, which then uses the weights by `checkpoint:`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, project


def run(
    weights: Annotated[Path, typer.Argument(help="Weights in the .h5 layout of Keras 2.")],
    experiment: Annotated[str, typer.Option(help="Name of the experiment that describes them.")],
    input_scale: Annotated[
        Literal["255", "1"],
        typer.Option(
            help="Largest pixel value that the Keras model was given. 255: raw pixels; where the file has no "
            "rescaling layer, which divides them, the first kernels are multiplied by 255. 1: pixels of 0..1; "
            "kernels are taken as they are, whatever layers the file has.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint to write.")],
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the checkpoint."""
    from hooknet.config.document import nearest
    from hooknet.config.run import DenseRun, of_kind
    from hooknet.errors import ConfigError
    from hooknet.training.imported import import_keras

    everything = project(datasets, experiments)
    if experiment not in everything.experiments:
        possible = nearest(experiment, list(everything.experiments))
        raise ConfigError(f"{experiments}: no experiment {experiment!r}; {possible}")
    first = next(one for one in everything.runs.values() if one.experiment == experiment)
    chosen = of_kind(first, DenseRun, "import-keras")
    import_keras(chosen, weights, int(input_scale), out)
