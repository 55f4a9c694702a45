"""The slides of a dataset together: their annotated areas, their splits, and whether those can be used."""

from __future__ import annotations

from pathlib import Path

from hooknet.config.datasets import SPLITS, DatasetSettings
from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.errors import ConfigError
from hooknet.groundtruth.splits import make_splits
from hooknet.io.tables import read_json

Areas = dict[str, dict[str, dict[str, float]]]


def read_areas(dataset: DatasetSettings, folder: Path) -> Areas:
    """Slide -> role -> class -> annotated area in µm², from the counts that rasterise wrote."""
    areas: Areas = {}
    for slide in dataset.slides:
        areas[slide.id] = {}
        for role in roles_of(slide):
            record = read_json(folder / slide.id / f"{role}.json")
            pixel = float(record["spacing"]) ** 2
            areas[slide.id][role] = {name: count * pixel for name, count in record["pixels"].items()}
    return areas


def assign(dataset: DatasetSettings, areas: Areas) -> dict[str, str]:
    """Slide -> split or fold: as given, or made from the annotated areas; slides in neither are left out."""
    if dataset.splits is None:
        given = {one.id: one.split if one.fold is None else str(one.fold) for one in dataset.slides}
        return {slide: side for slide, side in given.items() if side is not None}
    options = dataset.splits
    folds = options.folds
    shares = dict(options.ratios or {}) if folds is None else {str(fold): 1 / folds for fold in range(folds)}
    patients = {one.id: one.patient_id for one in dataset.slides}
    if len(set(patients.values())) < len(shares):
        raise ConfigError(
            f"splits: {len(set(patients.values()))} patients cannot fill {len(shares)} splits; "
            "add patients or make fewer splits"
        )
    table = {slide: [areas[slide]["labels"][name] for name in dataset.label_map.names] for slide in patients}
    return make_splits(patients, table, {str(side): share for side, share in shares.items()}, options.seed)


def check_classes(project: Project, dataset: str, assigned: dict[str, str], areas: Areas) -> None:
    """ConfigError when a split of any run on the dataset lacks a class, naming the run, split and class.

    With folds a test fold may lack one: the folds are scored together.
    """
    names = project.dataset(dataset).label_map.names
    for run in project.runs.values():
        if run.dataset_name != dataset or run.settings.checkpoint is not None:
            continue
        for split in SPLITS:
            role_of = {one.id: _role(split, roles_of(one)) for one in run.slides(split, assigned)}
            if split == "test" and (run.fold is not None or not any(role_of.values())):
                continue
            missing = [
                name
                for name in names
                if not any(role and areas[slide][role][name] > 0 for slide, role in role_of.items())
            ]
            if missing:
                raise ConfigError(
                    f"{project.datasets_file}: datasets.{dataset}: no {split} slide of run {run.name} has an "
                    f"annotated pixel of {', '.join(missing)} (its slides: {', '.join(role_of) or 'none'}); "
                    "move a slide that has, annotate more, or take the class out"
                )


def _role(split: str, roles: tuple[str, ...]) -> str | None:
    """What a slide of a split is looked at with: training sees labels, testing prefers truth."""
    preferred = ("truth", "labels") if split == "test" else ("labels",)
    return next((role for role in preferred if role in roles), None)
