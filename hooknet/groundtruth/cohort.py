"""The slides of a dataset together: their annotated areas, their splits, and whether those can be used."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from hooknet.config.datasets import SPLITS, DatasetSettings
from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.config.sides import Side, completed, split_in_run
from hooknet.config.steps import SplitSettings
from hooknet.errors import ConfigError
from hooknet.groundtruth.splits import make_folds, make_splits
from hooknet.io.records import read_json

Areas = dict[str, dict[str, dict[str, float]]]


def read_areas(dataset: DatasetSettings, folder: Path, skipped: Container[str] = ()) -> Areas:
    """Slide -> role -> class -> annotated area in µm², from the counts that rasterise wrote; none of those skipped."""
    areas: Areas = {}
    for slide in dataset.slides:
        if slide.id in skipped:
            continue
        areas[slide.id] = {}
        for role in roles_of(slide):
            record = read_json(folder / slide.id / f"{role}.json")
            pixel = float(record["spacing"]) ** 2
            areas[slide.id][role] = {name: count * pixel for name, count in record["pixels"].items()}
    return areas


def assign(dataset: DatasetSettings, areas: Areas, skipped: Container[str] = ()) -> dict[str, Side]:
    """Slide -> split, or fold and perhaps split: as given, or made from the annotated areas.

    Slides in neither, and those ``skipped``, are left out.  ConfigError when there are fewer patients than places to
    fill.
    """
    slides = [one for one in dataset.slides if one.id not in skipped]
    if dataset.splits is None:
        return completed({one.id: one.side for one in slides if one.side != Side()})
    options = dataset.splits
    patients = {one.id: one.patient_id for one in slides}
    _check_enough(options, len(set(patients.values())))
    table = {slide: [areas[slide]["labels"][name] for name in dataset.label_map.names] for slide in patients}
    if options.ratios is not None:
        made = make_splits(patients, table, options.ratios, options.seed)
        return {slide: Side(split=split) for slide, split in made.items()}
    folds = options.folds or 0
    if options.validation is not None:
        return make_folds(patients, table, folds, options.validation, options.seed)
    numbers = make_splits(patients, table, dict.fromkeys(range(folds), 1 / folds), options.seed)
    return {slide: Side(fold=fold) for slide, fold in numbers.items()}


def _check_enough(options: SplitSettings, patients: int) -> None:
    if options.validation is not None:
        # Each fold has somebody to train and somebody to validate.
        places, told = 2 * (options.folds or 0), f"{options.folds} folds of training and validation"
    else:
        places = options.folds or len(options.ratios or ())
        told = f"{places} splits"
    if patients < places:
        raise ConfigError(
            f"splits: {patients} patients cannot fill {told}; add patients or make fewer splits"
        )


def count_slides(dataset: DatasetSettings, assigned: Mapping[str, Side]) -> list[str]:
    """A line for each fold (or one): how many slides train, validate and test, for the log."""
    folds = dataset.folds
    lines = []
    for testing in folds or (None,):
        splits = [split_in_run(one, testing, folds, dataset.says_who_validates) for one in assigned.values()]
        counts = ", ".join(f"{splits.count(split)} {split}" for split in SPLITS)
        lines.append(counts if testing is None else f"fold {testing}: {counts}")
    return lines


def check_classes(project: Project, dataset: str, assigned: Mapping[str, Side], areas: Areas) -> None:
    """ConfigError when a split of any run on the dataset lacks a class, naming the run, split and class.

    With folds a test fold may lack one: the folds are scored together.
    """
    names, made = project.dataset(dataset).label_map.names, project.dataset(dataset).splits
    for run in project.runs.values():
        if run.dataset_name != dataset or not run.settings.is_trained:
            continue
        for split in SPLITS:
            seen_with = {one.id: _seen_with(split, roles_of(one)) for one in run.slides(split, assigned)}
            if split == "test" and (run.fold is not None or not any(seen_with.values())):
                continue
            missing = [
                name
                for name in names
                if not any(seen and areas[slide][seen][name] > 0 for slide, seen in seen_with.items())
            ]
            if missing:
                move = "move a slide that has" if made is None else "ask for other splits"
                raise ConfigError(
                    f"{project.datasets_file}: datasets.{dataset}: no {split} slide of run {run.name} has an "
                    f"annotated pixel of {', '.join(missing)} (its slides: {', '.join(seen_with) or 'none'}); "
                    f"{move}, annotate more, or take the class out"
                )


def _seen_with(split: str, roles: tuple[str, ...]) -> str | None:
    """What a slide of a split is looked at with: training sees labels, testing prefers truth."""
    preferred = ("truth", "labels") if split == "test" else ("labels",)
    return next((role for role in preferred if role in roles), None)
