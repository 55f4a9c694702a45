"""Predict a slide: a pyramidal label map that opens in QuPath and ASAP, and probabilities if wanted.

Over tissue, everything or a mask of yours, as the experiment says; with --labels also over all annotated pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    Checkpoint,
    Datasets,
    Experiments,
    Labels,
    Memory,
    Probabilities,
    RunName,
    SlideId,
    Tissue,
    Uncertainty,
    project,
)


def run(
    run: RunName,
    slide: SlideId,
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Option(help="Map to write (TIFF).")],
    tissue: Tissue = None,
    labels: Labels = None,
    probabilities: Probabilities = None,
    uncertainty: Uncertainty = None,
    memory: Memory = None,
    band: Annotated[
        str | None,
        typer.Option(
            help="Predict the rows of one of so many bands alone, such as 2of5; join-bands joins them."
        ),
    ] = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the map."""
    from hooknet.config.run import DenseRun, of_kind
    from hooknet.errors import HookNetError
    from hooknet.inference.bands import Band
    from hooknet.inference.whole_slide import MapFiles, infer
    from hooknet.io.staging import staged

    chosen = of_kind(project(datasets, experiments).run(run), DenseRun, "infer")
    one, rows = chosen.dataset.slide(slide), None if band is None else Band.named(band)
    if uncertainty is not None and (probabilities is None or not chosen.settings.keeps_uncertainty):
        raise HookNetError(
            f"infer: --uncertainty without --probabilities, or infer.uncertainty of {chosen.experiment} is false; give "
            "both where the experiment says so"
        )
    files = MapFiles(output, probabilities, tissue, tuple(labels or ()), rows, uncertainty=uncertainty)
    with staged([str(one.slide)]):
        infer(chosen, one, checkpoint, files, None if memory is None else int(memory * 1e6))
