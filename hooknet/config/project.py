"""Both files together: which runs there are, and everything that can be checked before a file is opened."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooknet.config.datasets import SPLITS, DatasetSettings, SlideSettings
from hooknet.config.document import Settings, build, nearest, read_document
from hooknet.config.experiments import ExperimentsFile, ExperimentSettings
from hooknet.errors import ConfigError, ShapeError
from hooknet.shapes import NetworkSettings


@dataclass(frozen=True)
class Run:
    """One training: an experiment, a seed and (where the dataset has folds) the fold that tests."""

    experiment: str
    settings: ExperimentSettings
    dataset: DatasetSettings
    seed: int
    fold: int | None

    @property
    def system(self) -> str:
        """The experiment and seed: what is compared; the folds of a system are pooled."""
        return f"{self.experiment}-seed{self.seed}" if len(self.settings.seeds) > 1 else self.experiment

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.system if self.fold is None else f"{self.system}-fold{self.fold}"

    @property
    def dataset_name(self) -> str:
        """The dataset's key in the YAML file."""
        return self.settings.dataset

    @property
    def network(self) -> NetworkSettings:
        """What the network is built from."""
        return self.settings.network_settings(len(self.dataset.classes))

    def slides(self, split: str, assigned: dict[str, str] | None = None) -> tuple[SlideSettings, ...]:
        """The slides of ``training``, ``validation`` or ``test``.

        Fold f tests, fold f + 1 validates, the others train.  ``assigned`` is the sheet that ``make-splits``
        wrote (slide id -> split or fold), for datasets whose splits are made.
        """
        return tuple(one for one in self.dataset.slides if self._side(one, assigned) == split)

    def _side(self, slide: SlideSettings, assigned: dict[str, str] | None) -> str | None:
        folds = self.dataset.folds
        if folds is None:
            return slide.split if assigned is None else assigned[slide.id]
        number = slide.fold if assigned is None else int(assigned[slide.id])
        if number is None or self.fold is None:
            return None
        return {self.fold: "test", (self.fold + 1) % len(folds): "validation"}.get(number, "training")


@dataclass(frozen=True)
class Project:
    """All datasets and experiments, cross-checked."""

    datasets: dict[str, DatasetSettings]
    experiments: dict[str, ExperimentSettings]
    datasets_file: Path
    experiments_file: Path

    @property
    def runs(self) -> dict[str, Run]:
        """Every run by its name, in the order of the file."""
        found: dict[str, Run] = {}
        for name, settings in self.experiments.items():
            dataset = self.datasets[settings.dataset]
            folds: tuple[int | None, ...] = dataset.folds or (None,)
            if settings.folds is not None:
                folds = settings.folds
            for seed in settings.seeds:
                for fold in folds:
                    run = Run(name, settings, dataset, seed, fold)
                    if run.name in found:
                        raise ConfigError(
                            f"{self.experiments_file}: two runs are called {run.name!r}; rename one"
                        )
                    found[run.name] = run
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
                f"{self.experiments_file}: no experiment uses dataset {dataset!r}, so its masks have no spacing; add one"
            )
        return min(targets)


def load_project(datasets_file: str | Path, experiments_file: str | Path) -> Project:
    """Both files, each key checked and each pair of spacings hooked; nothing else is opened but slide sheets."""
    datasets_path, experiments_path = Path(datasets_file), Path(experiments_file)
    datasets = _load_datasets(datasets_path)
    document = read_document(experiments_path)
    experiments = build(ExperimentsFile, document, experiments_path, "").experiments
    for name, settings in experiments.items():
        where = f"{experiments_path}: experiments.{name}"
        _check_experiment(where, settings, datasets)
    project = Project(datasets, experiments, datasets_path, experiments_path)
    if not project.runs:
        raise ConfigError(f"{experiments_path}: no experiments; add one")
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
                        f"found no file {path!r}; correct the path (paths start at the working directory)"
                    )
    for name, experiment in project.experiments.items():
        start = experiment.train.init_from
        if start is not None and not Path(start).is_file():
            lines.append(
                f"{project.experiments_file}: experiments.{name}.train.init_from: found no file {start!r}"
            )
    return lines


def digest(*sections: Settings | dict[str, Any] | list[Any] | tuple[Any, ...] | str | float | None) -> str:
    """A short fingerprint of settings: a rule that carries it re-runs when they change, and only then."""
    plain = [one.model_dump(mode="json") if isinstance(one, Settings) else one for one in sections]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _load_datasets(path: Path) -> dict[str, DatasetSettings]:
    document = read_document(path)
    unknown = [key for key in document if key != "datasets"]
    sections = document.get("datasets")
    if unknown or not isinstance(sections, dict) or not sections:
        raise ConfigError(
            f"{path}: found {', '.join(map(str, document)) or 'nothing'}, wanted one key: datasets"
        )
    found = {}
    for name, section in sections.items():
        if isinstance(section, dict) and isinstance(section.get("slides"), str):
            section = {**section, "slides": read_sheet(path, f"datasets.{name}.slides", section["slides"])}
        found[str(name)] = build(DatasetSettings, section, path, f"datasets.{name}")
    return found


def read_sheet(yaml_path: Path, key: str, sheet: str) -> list[dict[str, str]]:
    """The rows of a CSV or TSV sheet of slides; its columns are the keys of a slide."""
    path = Path(sheet)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
            reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{yaml_path}: {key}: sheet {sheet!r} cannot be read ({error}); name a CSV or TSV file"
        ) from None
    columns = list(reader.fieldnames or [])
    known = list(SlideSettings.model_fields)
    for column in columns:
        if column not in known:
            raise ConfigError(f"{sheet}: unknown column {column!r}; {nearest(str(column), known)}")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ConfigError(
                f"{sheet}: line {number} has not {len(columns)} cells; wanted one for each column"
            )
    return rows


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
    if settings.folds is not None and (folds is None or not set(settings.folds) <= set(folds)):
        raise ConfigError(f"{where}.folds: found {list(settings.folds)}, possible: {list(folds or ())}")
    if folds is None and dataset.splits is None:
        for split in SPLITS:
            if not any(one.split == split for one in dataset.slides):
                raise ConfigError(
                    f"{where}: dataset {settings.dataset!r} has no slide in split {split!r}; give it one"
                )
    if settings.infer.over == "mask":
        for one in dataset.slides:
            if one.infer_mask is None:
                raise ConfigError(
                    f"{where}.infer.over: 'mask', but slide {one.id!r} names no infer_mask; add it"
                )
