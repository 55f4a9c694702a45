"""Fill a report from the results of a dataset's runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hooknet.config import layout
from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.config.run import DenseRun, Run
from hooknet.config.sides import Side
from hooknet.evaluation.cohort import TITLES, compare_systems, without_patients
from hooknet.io.records import read_json
from hooknet.io.skipped_slides import skipped_slides, without
from hooknet.report import pictures
from hooknet.report.data import ReportClass, ReportData, ReportSystem
from hooknet.report.extras import extras
from hooknet.report.lead import lead, many
from hooknet.report.notices import logged, notices, without_folders
from hooknet.report.provenance import provenance
from hooknet.report.search import read_search
from hooknet.report.stages import stages


@dataclass(frozen=True)
class Folders:
    """Where the slides' and the runs' results are; beside those of the runs are logs and benchmark files."""

    slides: Path
    runs: Path

    @property
    def logs(self) -> Path:
        """The workflow's logs."""
        return self.runs.parent / "logs"

    @property
    def benchmarks(self) -> Path:
        """The workflow's benchmark files."""
        return self.runs.parent / "benchmarks"


def gather(
    project: Project, dataset: str, assigned: Mapping[str, Side], folders: Folders, patients: bool = False
) -> ReportData:
    """Everything the report of a dataset tells; ``patients``: by their names, else by a number in this report."""
    settings = project.dataset(dataset)
    runs = [run for run in project.runs.values() if run.dataset_name == dataset]
    skipped = skipped_slides(project, dataset, assigned, folders.slides, folders.runs)
    assigned = without(assigned, skipped)
    results = compare_systems(project, dataset, assigned, folders.runs)
    if not patients:
        results = without_patients(results, settings)
    main = next(iter(results))
    best = [run for run in runs if lead(results[main]).best in (run.system, run.experiment)]
    return ReportData(
        title=f"{dataset}: {many(len({run.system for run in runs}), 'system')} compared",
        dataset=dataset,
        classes=tuple(ReportClass(one.name, one.value, one.colour) for one in settings.label_map.classes),
        systems=_systems(runs, folders.runs),
        results={TITLES[role]: one for role, one in results.items()},
        description=_description(project, dataset),
        slides=_slides_table(project, dataset, assigned, folders.slides, patients),
        overlays=tuple(pictures.overlays(runs, assigned, folders.slides, folders.runs)),
        regions=tuple(pictures.regions(_one_seed(best), main, assigned, folders.slides, folders.runs)),
        stages=tuple(stages(runs, assigned, folders.slides, folders.runs)),
        searches=tuple(
            read_search(one)
            for one in project.searches.values()
            if one.settings.dataset == dataset and one.decided()
        ),
        skipped={slide: without_folders(reason) for slide, reason in skipped.items()},
        extras=extras(project, dataset, assigned, main, folders.runs),
        settings={
            "datasets file": str(project.datasets_file),
            "experiments file": str(project.experiments_file),
            "label mask spacing": f"{project.mask_spacing(dataset):g} µm/px",
            **_flat(
                settings.model_dump(mode="json", include={"origin", "splits", "tissue", "centres", "phantom"})
            ),
        },
        provenance=provenance(project, dataset, runs, folders.benchmarks),
        warnings=(
            *notices(project, dataset, folders.slides, skipped),
            *logged(folders.logs, (dataset, *(run.name for run in runs))),
        ),
        cards=_cards(runs, folders.runs),
        patients_shown=patients,
    )


def _cards(runs: list[Run], folder: Path) -> dict[str, Path]:
    found = {run.name: folder / run.name / layout.card_path(run.name).name for run in runs}
    return {name: path for name, path in found.items() if path.is_file()}


def _one_seed(runs: list[Run]) -> list[Run]:
    """The runs of the first seed: one map per slide."""
    return [run for run in runs if run.seed == runs[0].seed]


def _description(project: Project, dataset: str) -> str:
    settings = project.dataset(dataset)
    patients = {one.patient_id for one in settings.slides}
    slides = f"{many(len(settings.slides), 'slide')} of {many(len(patients), 'patient')}"
    text = f"{slides}, {len(settings.classes)} classes."
    if settings.phantom is not None:
        text += " The slides are a phantom: drawn by a program, made so that both fine detail and wide context matter."
    return text


def _systems(runs: list[Run], folder: Path) -> tuple[ReportSystem, ...]:
    systems: dict[str, list[Run]] = {}
    for run in runs:
        systems.setdefault(run.system, []).append(run)
    return tuple(_system(name, members, folder) for name, members in systems.items())


def _system(name: str, runs: list[Run], folder: Path) -> ReportSystem:
    first = runs[0]
    curves = []
    for run in runs if first.settings.is_trained else []:
        table = pd.read_csv(folder / run.name / "metrics.csv").rename(columns={"train_loss": "loss"})
        curves.append(table if run.fold is None else table.assign(fold=run.fold))
    options = first.settings
    lam = None
    if isinstance(first, DenseRun) and options.model == "hooknet":
        lam = first.network.all_loss_weights[0]
    told = _flat(options.model_dump(mode="json", exclude={"dataset", "seeds", "folds"})) | {
        "seed": str(first.seed)
    }
    drawn = pd.concat(curves, ignore_index=True) if curves else None
    weights = first.parameter_count if first.weights is not None else None
    return ReportSystem(name, options.kind, options.read_spacings, lam, weights, told, drawn)


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as ``section.key`` -> text."""
    told: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            told |= _flat(value, f"{prefix}{key}.")
        else:
            told[f"{prefix}{key}"] = "–" if value is None else str(value)
    return told


def _slides_table(
    project: Project, dataset: str, assigned: Mapping[str, Side], folder: Path, patients: bool
) -> pd.DataFrame:
    rows = []
    settings = project.dataset(dataset)
    said = ("split",) if settings.folds is None or settings.says_who_validates else ()
    told = said if settings.folds is None else ("fold", *said)
    for one in settings.slides:
        if assigned.get(one.id, Side()).skipped:
            continue
        record = read_json(folder / one.id / "slide.json")
        rows.append(
            {
                "slide": one.id,
                **({"patient": one.patient_id} if patients else {}),
                **{key: getattr(assigned[one.id], key) for key in told if one.id in assigned},
                "width px": record["size"][0],
                "height px": record["size"][1],
                "spacing µm/px": f"{record['spacing'][0]:.4g}",
                **_areas(one, folder),
            }
        )
    return pd.DataFrame(rows)


def _areas(slide: SlideSettings, folder: Path) -> dict[str, str]:
    """Annotated area of each class in mm²."""
    if "labels" not in roles_of(slide):
        return {}
    record = read_json(folder / slide.id / "labels.json")
    return {
        f"{name} mm²": f"{count * record['spacing'] ** 2 / 1e6:.3f}"
        for name, count in record["pixels"].items()
    }
