"""All systems of a dataset, gathered from the counts of their test slides and compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.config.sides import Side
from hooknet.errors import MaskError
from hooknet.evaluation.compare import Comparison, compare, pool_folds
from hooknet.evaluation.slides import read_counts
from hooknet.evaluation.system import System
from hooknet.io.atomic import atomic
from hooknet.metrics.confusion import Counts

# What a comparison is called, the one to look at first first.
TITLES = {"truth": "dense truth", "labels": "annotated pixels"}
TABLES = (
    "scores",
    "slide_scores",
    "comparisons",
    "experiment_comparisons",
    "confusion",
    "summary",
    "intervals",
    "differences",
)


def compare_systems(
    project: Project, dataset: str, assigned: Mapping[str, Side], runs_folder: Path
) -> dict[str, Comparison]:
    """Role ("truth", "labels") -> comparison of all systems on the test slides that have such a raster.

    MaskError when no test slide has any.
    """
    names = project.dataset(dataset).label_map.names
    patients = {one.id: one.patient_id for one in project.dataset(dataset).slides}
    results = {}
    for role in TITLES:
        systems = _systems(project, dataset, assigned, runs_folder, role)
        if any(one.slides for one in systems):
            results[role] = compare(systems, names, patients)
    if not results:
        raise MaskError(
            f"dataset {dataset}: no test slide has an annotation or truth to score against; add one"
        )
    return results


def write_tables(results: dict[str, Comparison], folder: Path) -> None:
    """Write each table of each comparison as CSV: <role>_<table>.csv."""
    for role, comparison in results.items():
        for name in TABLES:
            with atomic(folder / f"{role}_{name}.csv") as partial:
                getattr(comparison, name).to_csv(partial, index=False)


def _systems(
    project: Project, dataset: str, assigned: Mapping[str, Side], runs_folder: Path, role: str
) -> list[System]:
    names = project.dataset(dataset).label_map.names
    folds: dict[str, list[dict[str, Counts]]] = {}
    about: dict[str, tuple[str, int | None]] = {}
    for run in project.runs.values():
        if run.dataset_name != dataset:
            continue
        counts: dict[str, Counts] = {}
        for slide in run.slides("test", assigned):
            if role in roles_of(slide):
                counts |= read_counts(runs_folder / run.name / "counts" / role / f"{slide.id}.csv", names)
        folds.setdefault(run.system, []).append(counts)
        about[run.system] = (run.experiment, run.seed if len(run.settings.seeds) > 1 else None)
    return [System(name, *about[name], pool_folds(parts, name)) for name, parts in folds.items()]
