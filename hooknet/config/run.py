"""One training, and which slides it sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooknet.config import layout
from hooknet.config.datasets import DatasetSettings, SlideSettings
from hooknet.config.experiments import ExperimentSettings
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
        """All that weights depend on: not how a map will be inferred, nor how many workers read patches."""
        classes = [(one.name, one.value) for one in self.dataset.label_map.classes]
        left_out: Any = {
            "infer": True,
            "seeds": True,
            "folds": True,
            "checkpoint": True,
            "train": {"workers"},
        }
        settings = self.settings.model_dump(mode="json", exclude=left_out)
        return {"settings": settings, "seed": self.seed, "fold": self.fold, "classes": classes}

    @property
    def network(self) -> UNetSettings:
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
