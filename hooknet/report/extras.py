"""Gather what is measured besides overlap: boundaries, calibration, objects, quantities."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from hooknet.config.project import Project
from hooknet.config.run import Run
from hooknet.config.sides import Side
from hooknet.config.volumes import volumes_of
from hooknet.evaluation.boundaries import boundary_slides, boundary_table, read_boundaries
from hooknet.evaluation.calibration import calibration_tables, read_calibration, risk_tables
from hooknet.evaluation.cohort import gather, gather_volumes
from hooknet.evaluation.volumes import read_volumes, volume_scores, volume_table
from hooknet.objects.matching import object_scores, read_matches
from hooknet.objects.quantities import read_quantities
from hooknet.report.data import Extras

logger = logging.getLogger(__name__)


def extras(
    project: Project, dataset: str, assigned: Mapping[str, Side], role: str, runs_folder: Path
) -> Extras:
    """The tables of the test slides of all systems, scored against ``role``; empty where nothing was to be measured."""
    boundaries, of_slides = _boundaries(project, dataset, assigned, role, runs_folder)
    volumes, of_volumes = _volumes(project, dataset, assigned, role, runs_folder)
    calibration, reliability, risk, curves = _calibration(project, dataset, assigned, role, runs_folder)
    return Extras(
        quantities=_quantities(project, dataset, assigned, runs_folder),
        boundaries=boundaries,
        boundary_slides=of_slides,
        volumes=volumes,
        volume_scores=of_volumes,
        calibration=calibration,
        reliability=reliability,
        risk=risk,
        risk_curves=curves,
        objects=_objects(project, dataset, assigned, role, runs_folder),
    )


def _quantities(
    project: Project, dataset: str, assigned: Mapping[str, Side], runs_folder: Path
) -> pd.DataFrame:
    rows = []
    for run in project.runs.values():
        for slide in run.slides("test", assigned) if run.dataset_name == dataset else ():
            found = read_quantities(runs_folder / run.name / "quantities" / f"{slide.id}.csv")
            rows += [
                {"system": run.system, "slide": slide.id, "class": name, **asdict(one)}
                for name, one in found[slide.id].items()
            ]
    return pd.DataFrame(rows)


def _boundaries(
    project: Project, dataset: str, assigned: Mapping[str, Side], role: str, runs_folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of systems, and slide by slide.

    Only where the truth is dense: where little is annotated most outlines are those of the annotator's shapes.
    """
    if role != "truth":
        return pd.DataFrame(), pd.DataFrame()
    names = project.dataset(dataset).label_map.names
    measured = gather(
        project, dataset, assigned, role,
        lambda run, slide: read_boundaries(runs_folder / run.name / "boundaries" / f"{slide.id}.csv", names),
    )  # fmt: skip
    return boundary_table(measured, names), boundary_slides(measured, names)


def _volumes(
    project: Project, dataset: str, assigned: Mapping[str, Side], role: str, runs_folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of systems, and volume by volume, where slides are slices of volumes."""
    names = project.dataset(dataset).label_map.names
    measured = gather_volumes(
        project, dataset, assigned, role,
        lambda run, volume: read_volumes(runs_folder / run.name / "volumes" / f"{volume.name}.csv", names),
    )  # fmt: skip
    tested = {
        slide.id: slide
        for run in project.runs.values()
        if run.dataset_name == dataset
        for slide in run.slides("test", assigned)
    }
    left = [name for name, one in volumes_of(tested.values()).items() if one.role != role]
    if left:
        logger.warning(
            "%s: %d volumes are not shown, since their slices are not all scored against %s: %s",
            dataset, len(left), role, ", ".join(left[:10]),
        )  # fmt: skip
    scores = volume_scores(measured, names)
    return volume_table(scores, names), scores


def _calibration(
    project: Project, dataset: str, assigned: Mapping[str, Side], role: str, runs_folder: Path
) -> tuple[pd.DataFrame, ...]:
    """Of the experiments that keep their probabilities: calibration, its diagrams, errors by how sure, their curves."""

    def keeps(run: Run) -> bool:
        return run.settings.keeps_probabilities

    if not any(run.dataset_name == dataset and keeps(run) for run in project.runs.values()):
        return (pd.DataFrame(),) * 4
    names = project.dataset(dataset).label_map.names
    measured = gather(
        project, dataset, assigned, role,
        lambda run, slide: read_calibration(runs_folder / run.name / "calibration" / f"{slide.id}.csv", names),
        keeps,
    )  # fmt: skip
    return (*calibration_tables(measured, names), *risk_tables(measured, names))


def _objects(
    project: Project, dataset: str, assigned: Mapping[str, Side], role: str, runs_folder: Path
) -> pd.DataFrame:
    """Of the classes that are declared as objects."""
    if not any(one.objects for one in project.dataset(dataset).classes.values()):
        return pd.DataFrame()
    measured = gather(
        project, dataset, assigned, role,
        lambda run, slide: read_matches(runs_folder / run.name / "matches" / f"{slide.id}.csv"),
    )  # fmt: skip
    found = object_scores({one.name: one.slides for one in measured})
    table = pd.DataFrame([asdict(one) for one in found])
    return table.rename(columns={"name": "class"})
