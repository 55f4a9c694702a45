"""One training, and which slides it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooknet.config import layout
from hooknet.config.datasets import DatasetSettings, SlideSettings
from hooknet.config.experiments import ExperimentSettings
from hooknet.config.sides import Side, split_in_run
from hooknet.config.types import Split
from hooknet.errors import ConfigError
from hooknet.shapes.unet import UNetSettings


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
    def weights(self) -> Path:
        """The checkpoint that predicts: what training makes, or the one the experiment names."""
        named = self.settings.checkpoint
        return layout.run_folder(self.name) / "best.ckpt" if named is None else Path(named)

    def training_settings(self) -> dict[str, Any]:
        """All that weights depend on: not how a map will be inferred, nor by what means patches are read."""
        classes = [(one.name, one.value) for one in self.dataset.label_map.classes]
        left_out: Any = {
            "infer": True,
            "seeds": True,
            "folds": True,
            "checkpoint": True,
            "train": {"workers", "cache_mb"},
        }
        settings = self.settings.model_dump(mode="json", exclude=left_out)
        return {"settings": settings, "seed": self.seed, "fold": self.fold, "classes": classes}

    @property
    def network(self) -> UNetSettings:
        """What the network is built from."""
        return self.settings.network_settings(len(self.dataset.classes))

    def slides(self, split: str, assigned: Mapping[str, Side] | None = None) -> tuple[SlideSettings, ...]:
        """The slides of ``training``, ``validation`` or ``test``, see :func:`hooknet.config.sides.split_in_run`.

        ``assigned`` is the sheet that ``make-splits`` wrote, for datasets whose splits are made; ConfigError where
        it is not of this dataset.
        """
        return tuple(one for one in self.dataset.slides if self._split_of(one, assigned) == split)

    def _split_of(self, slide: SlideSettings, assigned: Mapping[str, Side] | None) -> Split | None:
        folds, said = self.dataset.folds, self.dataset.says_who_validates
        if assigned is None:
            return split_in_run(slide.side, self.fold, folds, said)
        side = assigned.get(slide.id)
        if side is None or (side.fold is None) != (folds is None) or (said and side.split is None):
            wanted = "split" if folds is None else "fold and split" if said else "fold"
            raise ConfigError(
                f"dataset {self.dataset_name}: the sheet of splits has {side or 'nothing'} for slide {slide.id!r}, "
                f"wanted its {wanted}; make it again with make-splits"
            )
        return split_in_run(side, self.fold, folds, said)
