"""Both files together: which runs there are, and everything that can be checked before a file is opened."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hooknet.config import layout
from hooknet.config.datasets import SPLITS, DatasetSettings
from hooknet.config.document import (
    PATTERNS,
    SAFE_NAME,
    Location,
    Settings,
    build,
    nearest,
    place,
    read_document,
)
from hooknet.config.experiments import ExperimentSettings, ExperimentsFile
from hooknet.config.run import Run
from hooknet.config.sheets import read_sheet
from hooknet.errors import ConfigError, ShapeError

CORRECT = "correct the path (paths start at the working directory)"

CHECKPOINTS = ("best.ckpt", "last.ckpt")


@dataclass(frozen=True)
class Project:
    """All datasets and experiments, cross-checked."""

    datasets: dict[str, DatasetSettings]
    experiments: dict[str, ExperimentSettings]
    datasets_file: Path
    experiments_file: Path

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every run by its name, in the order of the file."""
        found: dict[str, Run] = {}
        # Two names that differ in case only are one folder on some disks.
        taken: set[str] = set()
        for name, settings in self.experiments.items():
            dataset = self.datasets[settings.dataset]
            folds: tuple[int | None, ...] = dataset.folds or (None,)
            if settings.folds is not None:
                folds = settings.folds
            for seed in settings.seeds:
                for fold in folds:
                    run = Run(name, settings, dataset, seed, fold)
                    if run.name.lower() in taken:
                        raise ConfigError(
                            f"{self.experiments_file}: two runs are called {run.name!r}; rename one"
                        )
                    found[run.name] = run
                    taken.add(run.name.lower())
        return found

    def dataset(self, name: str) -> DatasetSettings:
        """The dataset of that name, or a ConfigError naming what there is."""
        if name not in self.datasets:
            raise ConfigError(
                f"{self.datasets_file}: no dataset {name!r}; {nearest(name, list(self.datasets))}"
            )
        return self.datasets[name]

    def run(self, name: str) -> Run:
        """The run of that name, or a ConfigError naming what there is."""
        if name not in self.runs:
            raise ConfigError(f"{self.experiments_file}: no run {name!r}; {nearest(name, list(self.runs))}")
        return self.runs[name]

    def mask_spacing(self, dataset: str) -> float:
        """Spacing of the dataset's label masks: the finest target spacing of its experiments (µm/px)."""
        targets = [one.spacings[0] for one in self.experiments.values() if one.dataset == dataset]
        if not targets:
            raise ConfigError(
                f"{self.experiments_file}: no experiment uses dataset {dataset!r}, so its masks have no spacing; "
                "add one"
            )
        return min(targets)


def load_project(datasets_file: str | Path, experiments_file: str | Path) -> Project:
    """Both files, each key checked and each pair of spacings hooked; nothing else is opened but slide sheets."""
    datasets_path, experiments_path = Path(datasets_file), Path(experiments_file)
    datasets = _load_datasets(datasets_path)
    _check_phantoms(datasets_path, datasets)
    experiments = _load_experiments(experiments_path)
    for name, settings in experiments.items():
        where = f"{experiments_path}: experiments.{name}"
        _check_experiment(where, settings, datasets)
    project = Project(datasets, experiments, datasets_path, experiments_path)
    _check_weights(project)
    if not project.runs:
        raise ConfigError(f"{experiments_path}: experiments: found none, wanted one at least")
    return project


def missing_files(project: Project) -> list[str]:
    """One line for each file that the datasets name and that is not there (phantoms make their own)."""
    lines = []
    for name, dataset in project.datasets.items():
        if dataset.phantom is not None:
            continue
        for slide in dataset.slides:
            for key in ("slide", "annotation", "truth", "infer_mask"):
                path = getattr(slide, key)
                if path is not None and not Path(path).is_file():
                    lines.append(
                        f"{project.datasets_file}: datasets.{name}: slide {slide.id!r}: {key}: "
                        f"found no file {path!r}; {CORRECT}"
                    )
    made = {layout.run_folder(run) / name for run in project.runs for name in CHECKPOINTS}
    for name, experiment in project.experiments.items():
        start = experiment.train.init_from
        if start is not None and Path(start) not in made and not Path(start).is_file():
            lines.append(
                f"{project.experiments_file}: experiments.{name}.train.init_from: found no file {start!r}; {CORRECT}"
            )
        weights = experiment.checkpoint
        if weights is not None and Path(weights) not in made and not Path(weights).is_file():
            lines.append(
                f"{project.experiments_file}: experiments.{name}.checkpoint: found no file {weights!r}; {CORRECT}"
            )
    return lines


def _check_weights(project: Project) -> None:
    """ConfigError where a run starts from, or predicts with, the weights of another fold of its own dataset."""
    made = {layout.run_folder(name) / file: run for name, run in project.runs.items() for file in CHECKPOINTS}
    for run in project.runs.values():
        for key, path in (
            ("train.init_from", run.settings.train.init_from),
            ("checkpoint", run.settings.checkpoint),
        ):
            origin = None if path is None else made.get(Path(path))
            if origin is not None and origin.dataset_name == run.dataset_name and origin.fold != run.fold:
                raise ConfigError(
                    f"{project.experiments_file}: experiments.{run.experiment}.{key}: run {run.name!r} would test on "
                    f"slides that {path!r} was trained or chosen on; give each fold an experiment of its own (`folds`)"
                )


def digest(*sections: Settings | dict[str, Any] | list[Any] | tuple[Any, ...] | str | float | None) -> str:
    """A short fingerprint of settings: a rule that carries it re-runs when they change, and only then."""
    plain = [one.model_dump(mode="json") if isinstance(one, Settings) else one for one in sections]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _load_datasets(path: Path) -> dict[str, DatasetSettings]:
    document = read_document(path)
    for key in document:
        if key != "datasets":
            raise ConfigError(f"{path}: {key}: unknown key; {nearest(str(key), ['datasets'])}")
    sections = document.get("datasets")
    if not isinstance(sections, dict) or not sections:
        found = "nothing" if sections is None else repr(sections)
        raise ConfigError(f"{path}: datasets: found {found}, wanted a mapping of names to datasets")
    return {str(name): _load_dataset(path, str(name), section) for name, section in sections.items()}


def _load_dataset(path: Path, name: str, section: Any) -> DatasetSettings:
    key = f"datasets.{name}"
    if re.fullmatch(SAFE_NAME, name) is None:
        raise ConfigError(f"{path}: {key}: found {name!r}, wanted {PATTERNS[SAFE_NAME]}")
    sheet = None
    if isinstance(section, dict) and isinstance(section.get("slides"), str):
        source = Path(section["slides"])
        sheet = read_sheet(source, f"{path}: {key}.slides")
        section = {**section, "slides": list(sheet.rows)}

    def locate(location: Location) -> str:
        if sheet is None or len(location) < 2 or location[0] != "slides":
            return place(path, key, location)
        return place(f"{source}: line {sheet.lines[int(location[1])]}", "", location[2:])

    return build(DatasetSettings, section, path, key, locate)


def _load_experiments(path: Path) -> dict[str, ExperimentSettings]:
    document = read_document(path)

    def locate(location: Location) -> str:
        """Where it was written: in the experiment, or in the defaults that it starts from."""
        if len(location) > 2 and location[0] == "experiments":
            own = document["experiments"][location[1]]
            if not _holds(own, location[2:]) and _holds(document.get("defaults"), location[2:]):
                return place(path, "defaults", location[2:])
        return place(path, "", location)

    return build(ExperimentsFile, document, path, "", locate).experiments


def _holds(section: Any, location: Location) -> bool:
    """Whether a mapping has something at a location; lists are not looked into."""
    for part in location:
        if isinstance(section, list):
            return True
        if not isinstance(section, dict) or part not in section:
            return False
        section = section[part]
    return True


def _check_phantoms(path: Path, datasets: dict[str, DatasetSettings]) -> None:
    """The workflow draws phantoms to fixed places, so their ids differ and their files are those."""
    seen: dict[str, str] = {}
    for name, dataset in datasets.items():
        for slide in dataset.slides if dataset.phantom is not None else ():
            if seen.setdefault(slide.id, name) != name:
                raise ConfigError(
                    f"{path}: datasets.{name}: phantom slide {slide.id!r} stands in dataset {seen[slide.id]!r} too; "
                    "rename one"
                )
            for key, wanted in layout.phantom_files(slide.id).items():
                found = getattr(slide, key)
                if found is not None and Path(found) != wanted:
                    raise ConfigError(
                        f"{path}: datasets.{name}: slide {slide.id!r}: {key}: found {found!r}, but a phantom's is "
                        f"drawn to {str(wanted)!r}; name that"
                    )


def _check_experiment(where: str, settings: ExperimentSettings, datasets: dict[str, DatasetSettings]) -> None:
    if settings.dataset not in datasets:
        raise ConfigError(
            f"{where}.dataset: no dataset {settings.dataset!r}; {nearest(settings.dataset, list(datasets))}"
        )
    dataset = datasets[settings.dataset]
    try:
        settings.network_settings(len(dataset.classes))
    except ShapeError as error:
        raise ConfigError(f"{where}: {error}") from None
    folds = dataset.folds
    if settings.folds is not None and folds is None:
        raise ConfigError(
            f"{where}.folds: found {list(settings.folds)}, but dataset {settings.dataset!r} has no folds; "
            "leave the key out"
        )
    if settings.folds is not None and (folds is None or not set(settings.folds) <= set(folds)):
        raise ConfigError(f"{where}.folds: found {list(settings.folds)}, possible: {list(folds or ())}")
    if folds is None and dataset.splits is None:
        for split in SPLITS if settings.checkpoint is None else ("test",):
            if not any(one.split == split for one in dataset.slides):
                raise ConfigError(
                    f"{where}: dataset {settings.dataset!r} has no slide in split {split!r}; give it one"
                )
    for name, kind in dataset.classes.items():
        if kind.objects is not None and kind.objects.low is not None and not settings.infer.probabilities:
            raise ConfigError(
                f"{where}.infer.probabilities: found false, but objects of class {name!r} of dataset "
                f"{settings.dataset!r} have thresholds of probability; set it to true"
            )
    if settings.infer.over == "mask":
        for one in dataset.slides:
            if one.infer_mask is None and one.may_test:
                raise ConfigError(
                    f"{where}.infer.over: 'mask', but slide {one.id!r} names no infer_mask; add it"
                )
