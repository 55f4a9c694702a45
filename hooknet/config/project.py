"""Both files together: which runs there are, and everything that can be checked before a file is opened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hooknet.config import layout
from hooknet.config.checks import check_experiment, check_search
from hooknet.config.datasets import DatasetSettings
from hooknet.config.document import Settings, nearest, read_document
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.run import DenseRun, RefinerRun, Run, make_run
from hooknet.config.search import SearchSettings
from hooknet.config.searches import Search
from hooknet.config.sections import load_datasets, load_experiments
from hooknet.config.stages import with_members, with_parents
from hooknet.config.types import ON_ERROR, OnError
from hooknet.errors import ConfigError

CORRECT = "correct the path (paths start at the working directory)"

CHECKPOINTS = ("best.ckpt", "last.ckpt")


@dataclass(frozen=True)
class Project:
    """All datasets and experiments, cross-checked."""

    datasets: dict[str, DatasetSettings]
    experiments: dict[str, ExperimentSettings]
    datasets_file: Path
    experiments_file: Path
    on_error: OnError = "fail"
    searches: dict[str, Search] = field(default_factory=dict)

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every run by its name, in the order of the file; then those that searches have decided for."""
        decided = {name: run for one in self.searches.values() for name, run in one.decided().items()}
        return {**self.declared_runs, **decided}

    @cached_property
    def trial_runs(self) -> dict[str, DenseRun]:
        """The runs that searches may decide for."""
        return {name: run for one in self.searches.values() for name, run in one.runs.items()}

    @cached_property
    def every_run(self) -> dict[str, Run]:
        """All of them."""
        return {**self.declared_runs, **self.part_runs, **self.trial_runs}

    @cached_property
    def declared_runs(self) -> dict[str, Run]:
        """The runs of experiments, by name, in the order of the file."""
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
        for name in self.trial_runs:
            if name.lower() in taken:
                raise ConfigError(
                    f"{self.experiments_file}: run {name!r} would be a trial of a search too; rename one of them"
                )
            taken.add(name.lower())
        return found

    @cached_property
    def part_runs(self) -> dict[str, Run]:
        """The runs that only make heat maps to train refiners with: nothing of theirs is scored."""
        found = [
            part for run in self.declared_runs.values() if isinstance(run, RefinerRun) for part in run.parts
        ]
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
        runs = self.every_run
        if name not in runs:
            raise ConfigError(f"{self.experiments_file}: no run {name!r}; {nearest(name, list(self.runs))}")
        return runs[name]

    def search(self, name: str) -> Search:
        """The search of that name, or a ConfigError naming what there is."""
        if name not in self.searches:
            raise ConfigError(
                f"{self.experiments_file}: no search {name!r}; {nearest(name, list(self.searches))}"
            )
        return self.searches[name]

    def search_of(self, trial: str) -> Search:
        """The search that a run is a trial of; ConfigError for any other."""
        for one in self.searches.values():
            if trial in one.runs:
                return one
        raise ConfigError(
            f"{self.experiments_file}: no trial {trial!r} of any search; {nearest(trial, list(self.trial_runs))}"
        )

    def read_spacings(self, dataset: str) -> list[float]:
        """Every spacing at which experiments read the dataset's slides (µm/px), the finest first."""
        users = [one.read_spacings for one in self.experiments.values() if one.dataset == dataset]
        searched = [one.spacings for one in self._searches_on(dataset)]
        return sorted({spacing for spacings in (*users, *searched) for spacing in spacings})

    def mask_spacing(self, dataset: str) -> float:
        """Spacing of the dataset's label masks: the finest target spacing of its experiments (µm/px)."""
        users = {name: one for name, one in self.experiments.items() if one.dataset == dataset}
        searched = [min(one.spacings) for one in self._searches_on(dataset)]
        if not users and not searched:
            raise ConfigError(
                f"{self.experiments_file}: no experiment uses dataset {dataset!r}, so its masks have no spacing; "
                "add one"
            )
        wanted = [one.label_spacing_wanted for one in users.values()]
        targets = [*searched, *(spacing for spacing in wanted if spacing is not None)]
        if not targets:
            raise ConfigError(
                f"{self.experiments_file}: no experiment of dataset {dataset!r} says the spacing of its label masks; "
                f"give experiments.{next(iter(users))} a label_spacing"
            )
        return min(targets)

    def _searches_on(self, dataset: str) -> list[SearchSettings]:
        return [one.settings for one in self.searches.values() if one.settings.dataset == dataset]


def load_project(datasets_file: str | Path, experiments_file: str | Path) -> Project:
    """Both files, each key checked and each pair of spacings hooked; nothing else is opened but slide sheets."""
    datasets_path, experiments_path = Path(datasets_file), Path(experiments_file)
    document = read_document(datasets_path)
    datasets = load_datasets(datasets_path, document)
    _check_phantoms(datasets_path, datasets)
    experiments, searches = load_experiments(experiments_path)
    for name, settings in experiments.items():
        where = f"{experiments_path}: experiments.{name}"
        check_experiment(where, settings, datasets)
    for name, search in searches.items():
        check_search(f"{experiments_path}: search.{name}", search, datasets)
    project = Project(
        datasets,
        experiments,
        datasets_path,
        experiments_path,
        _on_error(datasets_path, document),
        {name: Search(name, one, datasets[one.dataset]) for name, one in searches.items()},
    )
    _check_weights(project)
    if not project.runs and not searches:
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
    trained = [name for name, run in project.runs.items() if run.settings.is_trained]
    made = {layout.run_folder(run) / name for run in trained for name in CHECKPOINTS}
    named = {f"experiments.{name}": one.named_files() for name, one in project.experiments.items()}
    for name, one in project.searches.items():
        named[f"search.{name}"] = one.settings.named_files()
    for place, files in named.items():
        for key, path in files.items():
            if Path(path) not in made and not Path(path).is_file():
                lines.append(f"{project.experiments_file}: {place}.{key}: found no file {path!r}; {CORRECT}")
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
