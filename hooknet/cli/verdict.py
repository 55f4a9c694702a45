"""Say which slides a run went on without (`on_error: skip`), and fail if there is any.

The last step of such a run: all that could be made is there, but the exit status tells that it is not of all slides.
With --forget, what stands in the place of the missing files is removed, so that the next run tries them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import (
    DATASETS_FILE,
    EXPERIMENTS_FILE,
    DatasetName,
    Datasets,
    Experiments,
    project,
)


def run(
    dataset: DatasetName,
    results: Annotated[Path, typer.Option(help="Folder that the workflow wrote.", show_default=True)] = Path(
        "results"
    ),
    output: Annotated[
        Path | None, typer.Option(help="Text to write where no slide was skipped (for the workflow).")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Have the next run try the skipped slides again; fails no more.")
    ] = False,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Print a line for each skipped slide, and fail; else write the text."""
    from hooknet.config.datasets import SPLITS_NAME
    from hooknet.errors import SlideError
    from hooknet.io.atomic import write_text
    from hooknet.io.records import read_splits
    from hooknet.io.skipped_slides import forget_skipped, skipped_slides

    chosen = project(datasets, experiments)
    slides, runs = results / "slides" / dataset, results / "runs"
    if forget:
        removed = forget_skipped(chosen, dataset, slides, runs)
        print(f"{removed} files of skipped slides removed; the next run makes them again")
        return
    total = len(chosen.dataset(dataset).slides)
    skipped = skipped_slides(chosen, dataset, read_splits(slides / SPLITS_NAME), slides, runs)
    for slide, reason in skipped.items():
        print(f"skipped {slide}: {reason}")
    if skipped:
        slide, reason = next(iter(skipped.items()))
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        raise SlideError(
            f"dataset {dataset}: skipped {len(skipped)} of {total} slides, {slide}{more}: {reason}; what was made is "
            "of the others: correct these or take them out of the sheet, then run again"
        )
    if output is not None:
        write_text(output, f"all {total} slides of {dataset} were used\n")
