"""All systems of a dataset, gathered from what was measured on their test slides, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from hooknet.config.datasets import DatasetSettings, SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.config.run import Run
from hooknet.config.sides import Side
from hooknet.config.volumes import VolumeSlices, volumes_of
from hooknet.errors import MaskError
from hooknet.evaluation.compare import Comparison, compare
from hooknet.evaluation.slides import read_counts
from hooknet.evaluation.system import Measured, pool_folds
from hooknet.io.atomic import atomic
from hooknet.metrics.confusion import Counts

# What a comparison is called, the one to look at first first.
TITLES = {"truth": "dense truth", "labels": "annotated pixels"}
TABLES = (
    "scores",
    "slide_scores",
    "slide_class_scores",
    "per_slide",
    "comparisons",
    "experiment_comparisons",
    "tukey",
    "confusion",
    "summary",
    "intervals",
    "differences",
    "claims",
)

S = TypeVar("S")
T = TypeVar("T")


def compare_systems(
    project: Project, dataset: str, assigned: Mapping[str, Side], runs_folder: Path
) -> dict[str, Comparison]:
    """Role ("truth", "labels") -> comparison of all systems on the test slides that have such a raster.

    MaskError when no test slide has any.
    """
    names = project.dataset(dataset).label_map.names
    slides = project.dataset(dataset).slides
    patients = {one.id: one.patient_id for one in slides}
    grades = {one.id: one.grade for one in slides if one.grade is not None}
    masks = _tissue_masks(project, dataset)
    results = {}
    for role in TITLES:
        systems = gather(project, dataset, assigned, role, _reader(runs_folder, role, names))
        if any(one.slides for one in systems):
            results[role] = compare(systems, names, patients, grades, masks)
    if not results:
        raise MaskError(
            f"dataset {dataset}: no test slide has an annotation or truth to score against; add one"
        )
    return results


def without_patients(results: Mapping[str, Comparison], dataset: DatasetSettings) -> dict[str, Comparison]:
    """The comparisons with numbers in the place of patients' names: one for each patient, in the order of the sheet."""
    everyone = dict.fromkeys(one.patient_id for one in dataset.slides)
    numbers = {name: str(number) for number, name in enumerate(everyone, start=1)}

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(patient=table["patient"].map(numbers))

    return {
        role: replace(
            one, slide_scores=renamed(one.slide_scores), slide_class_scores=renamed(one.slide_class_scores)
        )
        for role, one in results.items()
    }


def gather(
    project: Project,
    dataset: str,
    assigned: Mapping[str, Side],
    role: str,
    read: Callable[[Run, SlideSettings], Mapping[str, T]],
    of: Callable[[Run], bool] = bool,
) -> list[Measured[T]]:
    """What was measured of every system of a dataset on its test slides with a raster of ``role``, folds pooled.

    ``read`` returns slide -> what was measured, of one run on one slide; runs that ``of`` says no to are left out.
    A seed is told where an experiment has several.  MaskError when a file is of another slide, or a slide was tested
    in two folds.
    """

    def chosen(slides: Sequence[SlideSettings]) -> dict[str, SlideSettings]:
        return {one.id: one for one in slides if role in roles_of(one)}

    return _gathered(project, dataset, assigned, chosen, read, of)


def gather_volumes(
    project: Project,
    dataset: str,
    assigned: Mapping[str, Side],
    role: str,
    read: Callable[[Run, VolumeSlices], Mapping[str, T]],
) -> list[Measured[T]]:
    """As :func:`gather`, of the volumes among the test slides that are scored against ``role``."""

    def chosen(slides: Sequence[SlideSettings]) -> dict[str, VolumeSlices]:
        return {name: one for name, one in volumes_of(slides).items() if one.role == role}

    return _gathered(project, dataset, assigned, chosen, read)


def _gathered(
    project: Project,
    dataset: str,
    assigned: Mapping[str, Side],
    chosen: Callable[[Sequence[SlideSettings]], Mapping[str, S]],
    read: Callable[[Run, S], Mapping[str, T]],
    of: Callable[[Run], bool] = bool,
) -> list[Measured[T]]:
    """``chosen``: what is read of some test slides, by name."""
    folds: dict[str, list[dict[str, T]]] = {}
    about: dict[str, tuple[str, int | None]] = {}
    for run in project.runs.values():
        if run.dataset_name != dataset or not of(run):
            continue
        wanted = chosen(run.slides("test", assigned))
        found = {name: _only(read(run, one), run.name, name) for name, one in wanted.items()}
        folds.setdefault(run.system, []).append(found)
        about[run.system] = (run.experiment, run.seed if len(run.settings.seeds) > 1 else None)
    return [Measured(name, *about[name], pool_folds(parts, name)) for name, parts in folds.items()]


def write_tables(results: dict[str, Comparison], folder: Path) -> None:
    """Write each table of each comparison as CSV: <role>_<table>.csv."""
    for role, comparison in results.items():
        for name in TABLES:
            with atomic(folder / f"{role}_{name}.csv") as partial:
                getattr(comparison, name).to_csv(partial, index=False)


def _tissue_masks(project: Project, dataset: str) -> set[str]:
    """The systems that are no network but the tissue mask itself; the published Tukey test is without it."""
    runs = [one for one in project.runs.values() if one.dataset_name == dataset]
    return {one.system for one in runs if one.settings.model == "tissue"}


def _reader(
    runs_folder: Path, role: str, names: Sequence[str]
) -> Callable[[Run, SlideSettings], dict[str, Counts]]:
    def read(run: Run, slide: SlideSettings) -> dict[str, Counts]:
        return read_counts(runs_folder / run.name / "counts" / role / f"{slide.id}.csv", names)

    return read


def _only(found: Mapping[str, T], run: str, name: str) -> T:
    """What a file holds of the one slide, or volume, that it is of."""
    if list(found) != [name]:
        raise MaskError(
            f"run {run}: the file of {name} holds {', '.join(found) or 'nothing'}, wanted {name}: measure it again"
        )
    return found[name]
