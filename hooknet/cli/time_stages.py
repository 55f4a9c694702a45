"""Measure how long a system takes on a slide, stage by stage: mean and spread over repeats after a warm-up.

From the slide's file to the map's; maps go to a temporary folder.  Of a refiner its parent is measured too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    Datasets,
    Experiments,
    RunName,
    SlideId,
    project,
)


def run(
    run: RunName,
    slide: SlideId,
    output: Annotated[Path, typer.Option(help="Table to write (CSV).")],
    checkpoint: Annotated[Path | None, typer.Option(help="Weights of the run.")] = None,
    parent_checkpoint: Annotated[
        Path | None, typer.Option(help="Weights of the parent, where the run has one.")
    ] = None,
    random: Annotated[
        bool,
        typer.Option("--random", help="Draw weights by chance instead; the time does not depend on them."),
    ] = False,
    tissue: Annotated[
        Path | None, typer.Option(help="Tissue mask; found each time, and timed, without one.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often to measure.", show_default=True)] = 10,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the table, and print it."""
    from hooknet.config.run import ClassifierRun, RefinerRun
    from hooknet.errors import CheckpointError, ConfigError
    from hooknet.inference.timing import StageWeights, device_name, system_of, time_stages, write_times

    chosen = project(datasets, experiments).run(run)
    if not isinstance(chosen, (ClassifierRun, RefinerRun)):
        raise ConfigError(
            f"run {chosen.name}: found model {chosen.settings.model}, time-stages wants classifier or refiner; "
            "name a run of such an experiment"
        )
    parent = chosen.parent if isinstance(chosen, RefinerRun) else None
    if random != (checkpoint is None) or (parent is not None and random != (parent_checkpoint is None)):
        files = "--checkpoint" if parent is None else "--checkpoint and --parent-checkpoint"
        raise CheckpointError(f"run {chosen.name}: give either {files}, or --random")
    about = chosen.dataset.slide(slide)
    system = system_of(chosen, about, StageWeights(checkpoint, parent_checkpoint), tissue)
    times = time_stages(
        system, repeats, lambda done: print(f"{done} of {repeats} done", flush=True) if done else None
    )
    write_times(output, times, chosen, about)
    print(
        f"{device_name()}, {chosen.settings.train.threads} threads, {times.patches} patches, {repeats} repeats"
    )
    print(f"{'':<12}{'mean, s':>10}{'SD, s':>10}  engine")
    for stage, mean, sd in times.rows():
        print(
            f"{stage:<12}{mean:>10.2f}{'' if sd is None else f'{sd:.2f}':>10}  {times.engines.get(stage, '')}"
        )
