"""One training, and which slides it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hooknet.config import layout
from hooknet.config.branched import BranchedSettings
from hooknet.config.classifier import ClassifierSettings
from hooknet.config.datasets import DatasetSettings, SlideSettings
from hooknet.config.dense import DenseSettings
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.hdc import HDCHRNetSettings
from hooknet.config.parts import Part, in_part
from hooknet.config.refiner import RefinerSettings, TissueMapSettings
from hooknet.config.sides import Side, split_in_run
from hooknet.config.types import Split
from hooknet.coordinates import PatchSpec
from hooknet.errors import ConfigError
from hooknet.shapes.classifier import ClassifierShape
from hooknet.shapes.dense import DenseNetwork
from hooknet.shapes.refiner import RefinerShape


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
    def weights(self) -> Path | None:
        """The checkpoint that predicts: what training makes, or what the experiment names; None where there is none."""
        named = self.settings.checkpoint
        return layout.run_folder(self.name) / "best.ckpt" if named is None else Path(named)

    @property
    def parameter_count(self) -> int:
        """Trained numbers."""
        return 0

    def training_settings(self) -> dict[str, Any]:
        """All that weights depend on: not how a map will be inferred, nor by what means patches are read."""
        classes = [(one.name, one.value) for one in self.dataset.label_map.classes]
        settings = self.settings.weights_depend_on()
        return {"settings": settings, "seed": self.seed, "fold": self.fold, "classes": classes}

    def inference_settings(self) -> dict[str, Any]:
        """All that a map depends on besides weights and slide: not how slides are spread over jobs."""
        spread = {"exports", "split_gb", "bundle_minutes"}
        options = self.settings.model_dump(mode="json", include={"infer"})["infer"]
        return {
            "infer": {key: value for key, value in options.items() if key not in spread},
            # Of weights that are used as they are nothing else tells that they are read as another network's.
            "read_as": self.settings.read_as(),
            "classes": [(one.name, one.colour) for one in self.dataset.label_map.classes],
        }

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
        if side is not None and side.skipped:
            return None
        if side is None or (side.fold is None) != (folds is None) or (said and side.split is None):
            wanted = "split" if folds is None else "fold and split" if said else "fold"
            raise ConfigError(
                f"dataset {self.dataset_name}: the sheet of splits has {side or 'nothing'} for slide {slide.id!r}, "
                f"wanted its {wanted}; make it again with make-splits"
            )
        return split_in_run(side, self.fold, folds, said)


@dataclass(frozen=True)
class DenseRun(Run):
    """A run of a network that predicts a class per pixel; with ``members``, by the mean of those weights."""

    settings: DenseSettings
    members: tuple[Path, ...] = ()

    @property
    def weights(self) -> Path | None:
        """Those of the first member, where there are some."""
        return self.members[0] if self.members else super().weights

    @property
    def passes(self) -> int:
        """How often a tile is predicted."""
        return max(1, len(self.members)) * (8 if self.settings.infer.tta == "dihedral" else 1)

    @property
    def network(self) -> DenseNetwork:
        """What the network is built from."""
        return self.settings.network_settings(len(self.dataset.classes), self.dataset.channels)

    @property
    def patch_spec(self) -> PatchSpec:
        """The patches it is trained on."""
        return self.network.shape.patch_spec

    @property
    def parameter_count(self) -> int:
        """Trained numbers."""
        return self.network.shape.parameter_count


@dataclass(frozen=True)
class ClassifierRun(Run):
    """A run of a patch classifier; with a ``part``, one that is trained without it, to predict it."""

    settings: ClassifierSettings
    part: Part | None = None

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return super().name if self.part is None else f"{super().name}-{self.part}"

    @property
    def shape(self) -> ClassifierShape:
        """What the network is built from."""
        return self.settings.shape(len(self.dataset.classes))

    @property
    def parameter_count(self) -> int:
        """Trained numbers."""
        return self.shape.parameter_count

    @property
    def patch_spec(self) -> PatchSpec:
        """The patches it is trained on: of their labels the px at the centre counts."""
        return PatchSpec(self.settings.patch_size, 1, (self.settings.spacing,))

    @property
    def clusters_file(self) -> Path | None:
        """Where its clusters are, if its loss has any."""
        return None if self.settings.clusters is None else layout.clusters_path(self.name)

    def training_settings(self) -> dict[str, Any]:
        """Also the part that it is trained without, and the grades that draws go by."""
        return {**super().training_settings(), **self._drawn_from()}

    def cluster_settings(self) -> dict[str, Any]:
        """All that clusters depend on."""
        whole = super().training_settings()
        return {**whole, "settings": self.settings.clusters_depend_on(), **self._drawn_from()}

    def _drawn_from(self) -> dict[str, Any]:
        part = None if self.part is None else str(self.part)
        graded = self.dataset.slides if "grade" in self.settings.train.levels else ()
        # Of slides that never train grades are no matter.
        grades = [(one.id, one.grade) for one in graded if one.grade and one.split in (None, "training")]
        return {"part": part, "grades": grades}

    def slides(self, split: str, assigned: Mapping[str, Side] | None = None) -> tuple[SlideSettings, ...]:
        """Those of the whole run; with a part, its slides are for ``test`` and the others of training train."""
        if self.part is None or split == "validation":
            return super().slides(split, assigned)
        training = super().slides("training", assigned)
        held = in_part(training, self.part)
        return tuple(one for one in training if (one.id in held) == (split == "test"))

    def without(self, part: Part) -> ClassifierRun:
        """The run that is trained without a part of its training patients."""
        return replace(self, part=part)


@dataclass(frozen=True)
class RefinerRun(Run):
    """A run of a refiner, and the run of the classifier whose heat maps it sees."""

    settings: RefinerSettings
    parent: ClassifierRun | None = None

    @property
    def shape(self) -> RefinerShape:
        """What the network is built from."""
        return self.settings.shape(len(self.dataset.classes))

    @property
    def parameter_count(self) -> int:
        """Trained numbers, its parent's not counted."""
        return self.shape.parameter_count

    @property
    def foreground(self) -> tuple[int, ...]:
        """Values of the classes that the loss counts, and whose heat maps are seen."""
        names = self.settings.foreground or self.dataset.label_map.names
        return tuple(self.dataset.classes[name].value for name in names)

    @property
    def parts(self) -> tuple[ClassifierRun, ...]:
        """The runs that make heat maps of training slides, each of those that it did not see."""
        if self.parent is None or self.settings.heat_maps == "in_sample":
            return ()
        count = self.settings.parts
        return tuple(self.parent.without(Part(number, count)) for number in range(count))

    def heat_maps(self, split: str, assigned: Mapping[str, Side] | None = None) -> dict[str, str]:
        """Slide -> the run that makes its heat map; empty for a refiner that sees none."""
        if self.parent is None:
            return {}
        slides = self.slides(split, assigned)
        if split != "training" or not self.parts:
            return {one.id: self.parent.name for one in slides}
        return {one.id: part.name for part in self.parts for one in part.slides("test", assigned)}


@dataclass(frozen=True)
class TissueRun(Run):
    """The tissue mask as a map."""

    settings: TissueMapSettings

    @property
    def weights(self) -> Path | None:
        """None."""
        return None


RunT = TypeVar("RunT", bound=Run)
KINDS: dict[type[ExperimentSettings], type[Run]] = {
    BranchedSettings: DenseRun,
    HDCHRNetSettings: DenseRun,
    ClassifierSettings: ClassifierRun,
    RefinerSettings: RefinerRun,
    TissueMapSettings: TissueRun,
}


def make_run(
    experiment: str, settings: ExperimentSettings, dataset: DatasetSettings, seed: int, fold: int | None
) -> Run:
    """The run of the kind of its settings; a refiner's has no parent yet."""
    return KINDS[type(settings)](experiment, settings, dataset, seed, fold)


def of_kind(run: Run, kind: type[RunT], command: str) -> RunT:
    """The run itself where it is of the kind; ConfigError, naming what its model is, where it is not."""
    if not isinstance(run, kind):
        models = {
            DenseRun: "unet, hooknet, mrn or hdc_hrnet",
            ClassifierRun: "classifier",
            RefinerRun: "refiner",
        }
        raise ConfigError(
            f"run {run.name}: found model {run.settings.model}, {command} wants {models.get(kind, 'tissue')}; "
            "name a run of such an experiment"
        )
    return run
