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
from hooknet.config.checks import check_experiment
from hooknet.config.datasets import DatasetSettings
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
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.experiments import KINDS, ExperimentsFile, kind_of
from hooknet.config.run import DenseRun, RefinerRun, Run, make_run
from hooknet.config.sheets import read_sheet
from hooknet.config.stages import with_members, with_parents
from hooknet.config.types import ON_ERROR, OnError
from hooknet.errors import ConfigError

CORRECT = "correct the path (paths start at the working directory)"

CHECKPOINTS = ("best.ckpt", "last.ckpt")
# Of the file of datasets.
KEYS = ("datasets", "on_error")


@dataclass(frozen=True)
class Project:
    """All datasets and experiments, cross-checked."""

    datasets: dict[str, DatasetSettings]
    experiments: dict[str, ExperimentSettings]
    datasets_file: Path
    experiments_file: Path
    on_error: OnError = "fail"

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
                    run = make_run(name, settings, dataset, seed, fold)
                    if run.name.lower() in taken:
                        raise ConfigError(
                            f"{self.experiments_file}: two runs are called {run.name!r}; rename one"
                        )
                    found[run.name] = run
                    taken.add(run.name.lower())
        found = with_members(with_parents(found, str(self.experiments_file)), str(self.experiments_file))
        for run in found.values():
            for part in run.parts if isinstance(run, RefinerRun) else ():
                if part.name.lower() in taken:
                    raise ConfigError(
                        f"{self.experiments_file}: run {part.name!r} would be one that makes heat maps for "
                        f"{run.name!r} too; rename the experiment"
                    )
        return found

    @cached_property
    def part_runs(self) -> dict[str, Run]:
        """The runs that only make heat maps to train refiners with: nothing of theirs is scored."""
        found = [part for run in self.runs.values() if isinstance(run, RefinerRun) for part in run.parts]
        return {part.name: part for part in found}

    def dataset(self, name: str) -> DatasetSettings:
        """The dataset of that name, or a ConfigError naming what there is."""
        if name not in self.datasets:
            raise ConfigError(
                f"{self.datasets_file}: no dataset {name!r}; {nearest(name, list(self.datasets))}"
            )
        return self.datasets[name]

    def run(self, name: str) -> Run:
        """The run of that name, or a ConfigError naming what there is."""
        runs = {**self.runs, **self.part_runs}
        if name not in runs:
            raise ConfigError(f"{self.experiments_file}: no run {name!r}; {nearest(name, list(self.runs))}")
        return runs[name]

    def read_spacings(self, dataset: str) -> list[float]:
        """Every spacing at which experiments read the dataset's slides (µm/px), the finest first."""
        users = [one for one in self.experiments.values() if one.dataset == dataset]
        return sorted({spacing for one in users for spacing in one.read_spacings})

    def mask_spacing(self, dataset: str) -> float:
        """Spacing of the dataset's label masks: the finest target spacing of its experiments (µm/px)."""
        users = {name: one for name, one in self.experiments.items() if one.dataset == dataset}
        if not users:
            raise ConfigError(
                f"{self.experiments_file}: no experiment uses dataset {dataset!r}, so its masks have no spacing; "
                "add one"
            )
        wanted = [one.label_spacing_wanted for one in users.values()]
        targets = [spacing for spacing in wanted if spacing is not None]
        if not targets:
            raise ConfigError(
                f"{self.experiments_file}: no experiment of dataset {dataset!r} says the spacing of its label masks; "
                f"give experiments.{next(iter(users))} a label_spacing"
            )
        return min(targets)


def load_project(datasets_file: str | Path, experiments_file: str | Path) -> Project:
    """Both files, each key checked and each pair of spacings hooked; nothing else is opened but slide sheets."""
    datasets_path, experiments_path = Path(datasets_file), Path(experiments_file)
    document = read_document(datasets_path)
    datasets = _load_datasets(datasets_path, document)
    _check_phantoms(datasets_path, datasets)
    experiments = _load_experiments(experiments_path)
    for name, settings in experiments.items():
        where = f"{experiments_path}: experiments.{name}"
        check_experiment(where, settings, datasets)
    project = Project(
        datasets, experiments, datasets_path, experiments_path, _on_error(datasets_path, document)
    )
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
        for key, path in experiment.named_files().items():
            if Path(path) not in made and not Path(path).is_file():
                lines.append(
                    f"{project.experiments_file}: experiments.{name}.{key}: found no file {path!r}; {CORRECT}"
                )
    return lines


def _check_weights(project: Project) -> None:
    """ConfigError where a run starts from, or predicts with, the weights of another fold of its own dataset."""
    made = {layout.run_folder(name) / file: run for name, run in project.runs.items() for file in CHECKPOINTS}
    for run in project.runs.values():
        members = run.members if isinstance(run, DenseRun) else ()
        for key, path in (
            ("train.init_from", run.settings.starts_from),
            ("checkpoint", run.settings.checkpoint),
            *(("infer.ensemble", str(one)) for one in members),
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


def _on_error(path: Path, document: dict[str, Any]) -> OnError:
    said = document.get("on_error", "fail")
    found = next((one for one in ON_ERROR if one == said), None)
    if found is None:
        raise ConfigError(f"{path}: on_error: found {str(said)[:60]!r}; {nearest(str(said), list(ON_ERROR))}")
    return found


def _load_datasets(path: Path, document: dict[str, Any]) -> dict[str, DatasetSettings]:
    for key in document:
        if key not in KEYS:
            raise ConfigError(f"{place(path, '', (key,))}: unknown key; {nearest(key, list(KEYS))}")
    sections = document.get("datasets")
    if not isinstance(sections, dict) or not sections:
        found = "nothing" if sections is None else repr(sections)
        raise ConfigError(f"{path}: datasets: found {found}, wanted a mapping of names to datasets")
    seen: dict[str, str] = {}
    for name in sections:
        # Two names that differ in case only are one folder on some disks.
        if seen.setdefault(name.lower(), name) != name:
            raise ConfigError(
                f"{path}: datasets {seen[name.lower()]!r} and {name!r} differ in case only; rename one"
            )
    return {str(name): _load_dataset(path, str(name), section) for name, section in sections.items()}


def _load_dataset(path: Path, name: str, section: Any) -> DatasetSettings:
    key = f"datasets.{name}"
    if re.fullmatch(SAFE_NAME, name) is None:
        raise ConfigError(f"{place(path, key, ())}: found {name!r}, wanted {PATTERNS[SAFE_NAME]}")
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
    sections = build(ExperimentsFile, document, path, "").experiments
    return {name: _load_experiment(path, document, name, section) for name, section in sections.items()}


def _load_experiment(
    path: Path, document: dict[str, Any], name: str, section: dict[str, Any]
) -> ExperimentSettings:
    own, defaults = document["experiments"][name], document.get("defaults")
    model = section.get("model")

    def locate(location: Location) -> str:
        """Where it was written: in the experiment, or in the defaults that it starts from."""
        if location and not _holds(own, location):
            if isinstance(model, str) and _holds(defaults, (model, *location)):
                return place(path, "defaults", (model, *location))
            if _holds(defaults, location):
                return place(path, "defaults", location)
        return place(path, f"experiments.{name}", location)

    if isinstance(model, str) and model not in KINDS:
        raise ConfigError(f"{locate(('model',))}: found {model!r}; {nearest(model, list(KINDS))}")
    return build(kind_of(section), section, path, f"experiments.{name}", locate)


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
