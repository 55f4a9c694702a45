"""The two configuration files, checked; the wildcards they allow; who is in which split."""

import re
from functools import cache
from pathlib import Path
from shlex import quote
from types import SimpleNamespace

from hooknet.config import layout
from hooknet.config.datasets import is_raster
from hooknet.config.document import SAFE_NAME
from hooknet.config.project import digest, load_project, missing_files
from hooknet.config.run import ClassifierRun, DenseRun, RefinerRun, TissueRun
from hooknet.config.searches import read_rungs
from hooknet.config.volumes import volume_named, volumes_of
from hooknet.errors import HookNetError
from hooknet.io.records import read_json, read_splits


def stop(message):
    """End before anything starts, with one line: snakemake would put this file's own lines around an error."""
    raise SystemExit(f"hooknet: {message}")


try:
    PROJECT = load_project(
        config.get("datasets", "config/datasets.yaml"),
        config.get("experiments", "config/experiments.yaml"),
    )
    # By a profile for clouds files are objects in a bucket: Snakemake looks whether they are there.
    IN_BUCKET = workflow.storage_settings.default_storage_provider is not None
    MISSING = [] if IN_BUCKET else missing_files(PROJECT)
except HookNetError as error:
    stop(error)
if MISSING:
    stop(
        MISSING[0]
        + (f" (and {len(MISSING) - 1} more such files)" if MISSING[1:] else "")
    )

# Those of experiments; a search adds some once it has decided (`runs_of`).
DECLARED = PROJECT.declared_runs
# Also those that only make heat maps to train refiners with, and all that a search may decide for.
EVERY_RUN = PROJECT.every_run
SEARCHES = PROJECT.searches
# Not a run of any name where there is none of a kind.
NONE = "(?!)"


def names_of(kind, **wanted):
    """A pattern of the names of all runs of a kind whose settings are as wanted."""
    return (
        "|".join(
            re.escape(name)
            for name, run in EVERY_RUN.items()
            if isinstance(run, kind)
            and all(
                getattr(run.settings, key) == value for key, value in wanted.items()
            )
        )
        or NONE
    )


DATASETS = sorted({run.dataset_name for run in EVERY_RUN.values()})
# Only those of searches: a pattern of the names of all of them.
TRIALS = "|".join(map(re.escape, PROJECT.trial_runs)) or NONE
PHANTOMS = {
    slide.id: name
    for name, dataset in PROJECT.datasets.items()
    if dataset.phantom is not None
    for slide in dataset.slides
}
# Their places might hold files of your own; where there are no phantoms no id matches.
PHANTOM_IDS = "|".join(map(re.escape, PHANTOMS)) or NONE
SKIPPING = PROJECT.on_error == "skip"
# By environment, not in the commands: the path of a configuration file is no reason to do anything again.
shell.prefix(
    "set -euo pipefail; "
    f"export HOOKNET_DATASETS={quote(str(PROJECT.datasets_file))}"
    f" HOOKNET_EXPERIMENTS={quote(str(PROJECT.experiments_file))}"
    f" HOOKNET_ON_ERROR={PROJECT.on_error}; "
)


wildcard_constraints:
    dataset="|".join(map(re.escape, DATASETS)),
    # Not the ids themselves: snakemake scans the constraint for every file of every job, which for n slides is n² steps.
    slide=SAFE_NAME.strip("^$"),
    volume=SAFE_NAME.strip("^$"),
    run="|".join(map(re.escape, EVERY_RUN)),
    search="|".join(map(re.escape, SEARCHES)) or NONE,
    rung=r"\d+",
    role="|".join(layout.ROLES),
    suffix="|".join(map(re.escape, layout.EXPORTS.values())),


def dataset_of(wildcards):
    return PROJECT.datasets[
        (
            wildcards.dataset
            if hasattr(wildcards, "dataset")
            else EVERY_RUN[wildcards.run].dataset_name
        )
    ]


def slide_of(wildcards):
    return dataset_of(wildcards).slide(wildcards.slide)


def volume_of(wildcards):
    return volume_named(dataset_of(wildcards).slides, wildcards.volume)


def slide_folder(run, slide):
    return layout.slide_folder(EVERY_RUN[run].dataset_name, slide)


def declared_on(dataset):
    return [name for name, run in DECLARED.items() if run.dataset_name == dataset]


def searches_on(dataset):
    return [name for name, one in SEARCHES.items() if one.settings.dataset == dataset]


def runs_of(dataset):
    """The runs of experiments and those that searches have decided for, which have to come to it first."""
    decided = [
        name
        for search in searches_on(dataset)
        for name in SEARCHES[search].finalists(
            Path(checkpoints.decide_views.get(search=search).output.decision)
        )
    ]
    return {name: EVERY_RUN[name] for name in [*declared_on(dataset), *decided]}


def all_runs():
    return {name: run for dataset in DATASETS for name, run in runs_of(dataset).items()}


def rungs_at(search):
    """The rungs of a search: as its ranking has laid them out, before that as they are planned."""
    path = layout.trials_path(search, 0)
    return read_rungs(path) if path.exists() else SEARCHES[search].settings.rungs


def dataset_runs(wildcards):
    return list(runs_of(wildcards.dataset))


def splits_of(run):
    """The sheet of splits where it has to be made first, else None: the slides say it themselves."""
    if run.dataset.splits is None and not SKIPPING:
        return None
    return checkpoints.make_splits.get(dataset=run.dataset_name).output.sheet


def splits_stamp(run):
    """Tells one sheet of splits from the next."""
    sheet = splits_of(run)
    return None if sheet is None else Path(sheet).stat().st_mtime_ns


@cache
def sides_in(sheet, stamp):
    return read_splits(sheet)


def assigned(run):
    """Who is in which split, where a sheet says it."""
    sheet = splits_of(run)
    return None if sheet is None else sides_in(sheet, splits_stamp(run))


def test_slides(run):
    return run.slides("test", assigned(run))


def results_of(name):
    """What a dataset is run for: its report, or the maps alone where no test slide has anything to score against."""
    tested = [slide for slide in PROJECT.datasets[name].slides if slide.may_test]
    if any(layout.roles_of(slide) for slide in tested):
        return [layout.report_folder(name) / "index.html"]
    decisions = [layout.decision_path(search) for search in searches_on(name)]
    return decisions + [
        layout.map_path(run, slide.id) for run in declared_on(name) for slide in tested
    ]


RESULTS = [path for name in DATASETS for path in results_of(name)]
