"""Draw what a run's network sees in training: patches at every spacing with their labels, and augmented beside them.

Shows the very patches that training starts with, from the same sampler, reader and augmentation. Needs the results
of index-centres, no training.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, project

if TYPE_CHECKING:
    from hooknet.config.datasets import SlideSettings
    from hooknet.config.run import Run
    from hooknet.data.index import SlideFiles

PREPARE = "snakemake --cores 4 prepare"


def run(
    run: Annotated[str, typer.Argument(help="Name of a run, as `hooknet train` has it.")],
    patches: Annotated[int, typer.Option(help="How many patches, a row each.", min=1, max=50)] = 4,
    seed: Annotated[
        int | None, typer.Option(help="Draw as the run would with another seed; by default its own.", min=0)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="PNG to write; by default results/runs/RUN/preview.png.")
    ] = None,
    slides_folder: Annotated[
        Path | None,
        typer.Option(help="Folder with one folder of results per slide; by default results/slides/DATASET."),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Sheet that make-splits wrote; by default that of the dataset.")
    ] = None,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Write the picture."""
    from dataclasses import replace

    from hooknet.config import layout
    from hooknet.config.run import DenseRun, of_kind
    from hooknet.report.data import ReportClass
    from hooknet.report.preview import draw, save
    from hooknet.training.batches import slide_files
    from hooknet.training.preview import preview

    chosen = of_kind(project(datasets, experiments).run(run), DenseRun, "preview-batch")
    if seed is not None:
        chosen = replace(chosen, seed=seed)
    folder = slides_folder or layout.splits_sheet(chosen.dataset_name).parent
    files = slide_files(chosen.patch_spec, _training_slides(chosen, splits), folder)
    _check(files)
    classes = [ReportClass(one.name, one.value, one.colour) for one in chosen.dataset.label_map.classes]
    place = output or layout.run_folder(run) / "preview.png"
    save(draw(preview(chosen, files, patches), classes), place)
    print(place)


def _training_slides(chosen: Run, splits: Path | None) -> tuple[SlideSettings, ...]:
    """The training slides; the sheet of splits is needed where the slides do not say it themselves."""
    from hooknet.config import layout
    from hooknet.errors import ConfigError
    from hooknet.io.records import read_splits

    if splits is None and chosen.dataset.splits is not None:
        splits = layout.splits_sheet(chosen.dataset_name)
        if not splits.is_file():
            raise ConfigError(f"{splits}: no such file; make it first: {PREPARE}")
    found = chosen.slides("training", None if splits is None else read_splits(splits))
    if not found:
        raise ConfigError(
            f"run {chosen.name}: found no training slide, wanted one to show patches of; "
            "name a run that trains, or give slides the split training"
        )
    return found


def _check(files: list[SlideFiles]) -> None:
    """ConfigError for results that the pipeline has not made yet."""
    from hooknet.errors import ConfigError

    missing = [path for one in files for path in (one.labels, one.centres) if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more such files)" if missing[1:] else ""
        raise ConfigError(f"{missing[0]}: no such file{more}; make it first: {PREPARE}")
