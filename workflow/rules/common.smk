"""The two configuration files, checked; the wildcards they allow; the inputs that depend on them."""

import re
from shlex import quote

from snakemake.exceptions import WorkflowError

from hooknet.config import layout
from hooknet.config.datasets import is_raster
from hooknet.config.project import digest, load_project, missing_files
from hooknet.errors import HookNetError
from hooknet.io.tables import read_splits
from hooknet.shapes import NetworkShape

# hooknet's own errors are one line; a traceback of this file would hide it.
try:
    PROJECT = load_project(
        config.get("datasets", "config/datasets.yaml"),
        config.get("experiments", "config/experiments.yaml"),
    )
    MISSING = missing_files(PROJECT)
except HookNetError as error:
    raise WorkflowError(str(error)) from None
if MISSING:
    raise WorkflowError(MISSING[0] + (f" (and {len(MISSING) - 1} more)" if MISSING[1:] else ""))

RUNS = PROJECT.runs
DATASETS = sorted({run.dataset_name for run in RUNS.values()})
SLIDES = sorted({slide.id for name in DATASETS for slide in PROJECT.datasets[name].slides})
FILES = f"--datasets {quote(str(PROJECT.datasets_file))} --experiments {quote(str(PROJECT.experiments_file))}"
REPORTS = [str(layout.report_folder(name) / "report.html") for name in DATASETS]


wildcard_constraints:
    dataset="|".join(map(re.escape, DATASETS)),
    slide="|".join(map(re.escape, SLIDES)),
    run="|".join(map(re.escape, RUNS)),
    role="|".join(layout.ROLES),


def dataset_of(wildcards):
    return PROJECT.datasets[wildcards.dataset if hasattr(wildcards, "dataset") else RUNS[wildcards.run].dataset_name]


def slide_of(wildcards):
    return dataset_of(wildcards).slide(wildcards.slide)


def slide_file(wildcards):
    return slide_of(wildcards).slide


def slide_folder(run, slide):
    return layout.slide_folder(RUNS[run].dataset_name, slide)


def assigned(run):
    """The sheet of splits where it has to be made first, else None: the slides say it themselves."""
    if run.dataset.splits is None:
        return None
    return read_splits(checkpoints.make_splits.get(dataset=run.dataset_name).output.sheet)


def test_slides(run):
    return run.slides("test", assigned(run))


def all_maps(wildcards):
    return [layout.map_path(name, slide.id) for name, run in RUNS.items() for slide in test_slides(run)]
