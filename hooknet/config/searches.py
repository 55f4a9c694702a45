"""Searches with their runs: a trial for each candidate, and those that a decision has made experiments of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hooknet.config import layout
from hooknet.config.candidates import FINALISTS, Candidate, Rungs
from hooknet.config.datasets import DatasetSettings
from hooknet.config.run import DenseRun
from hooknet.config.search import SearchSettings
from hooknet.errors import ConfigError


@dataclass(frozen=True)
class Search:
    """One search on its dataset."""

    name: str
    settings: SearchSettings
    dataset: DatasetSettings

    @cached_property
    def candidates(self) -> dict[str, Candidate]:
        """Name of a run -> the candidate, single views first."""
        return {self.name_of(one): one for one in self.settings.candidates}

    @cached_property
    def runs(self) -> dict[str, DenseRun]:
        """Every candidate trained in full, by the run's name: what it is a trial of."""
        found = (self._run_of(one) for one in self.settings.candidates)
        return {run.name: run for run in found}

    def name_of(self, candidate: Candidate) -> str:
        """The name of a candidate's run."""
        return self._run_of(candidate).name

    def _run_of(self, candidate: Candidate) -> DenseRun:
        of = self.settings
        name = f"{self.name}_{candidate.suffix}"
        return DenseRun(name, of.settings_of(candidate), self.dataset, of.seed, of.fold)

    @property
    def singles(self) -> list[str]:
        """The runs of the single views, finest first."""
        return [self.name_of(one) for one in self.settings.singles]

    def variants(self) -> dict[str, list[Candidate]]:
        """Combination (``1+8``) -> its candidates."""
        return {
            Candidate(len(one), one).view: list(self.settings.variants(one))
            for one in self.settings.combinations
        }

    def decided(self) -> dict[str, DenseRun]:
        """The runs that the decision on disk names: winner, runner-up, single views; none before there is one.

        A decision of other settings, whose runs are none of the search's, is none.
        """
        names = finalists(layout.decision_path(self.name))
        if not all(name in self.runs for name in names):
            return {}
        return {name: self.runs[name] for name in names}

    def finalists(self, path: Path) -> list[str]:
        """The runs that a decision which has to be there names; ConfigError for none, or those of other settings."""
        names = finalists(path)
        if not names or not all(name in self.runs for name in names):
            raise ConfigError(
                f"{path}: found runs {names}, wanted some of search {self.name}; remove the file: it is made again"
            )
        return names


def finalists(path: Path) -> list[str]:
    """The runs that a decision names, in its order; none where there is no such file.

    Nor of a damaged one: what would be said of it would also keep decide-views from making it again.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = record.get("trained_in_full") if isinstance(record, Mapping) else None
    return [str(one) for one in found] if isinstance(found, list) else []


def read_rungs(path: Path) -> Rungs:
    """The rungs as rank-views has laid them out; ConfigError for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        epochs, sizes = (tuple(int(one) for one in record[key]) for key in ("epochs", "sizes"))
        if len(epochs) != len(sizes) or len(sizes) < 2:
            raise ValueError("epochs and sizes do not go together")
        if min(sizes) < FINALISTS or epochs[0] < 1 or list(epochs) != sorted(epochs):
            raise ValueError(f"epochs {list(epochs)} of {list(sizes)} trials")
    except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: says no rungs ({error}); make it again with rank-views") from None
    return Rungs(epochs, sizes)
