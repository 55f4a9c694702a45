"""What is checked of an experiment with its dataset, before a file is opened."""

from __future__ import annotations

from collections.abc import Mapping

from hooknet.config.datasets import SPLITS, DatasetSettings
from hooknet.config.dense import DenseSettings
from hooknet.config.document import nearest
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.search import SearchSettings
from hooknet.errors import ConfigError, ShapeError


def check_experiment(
    where: str, settings: ExperimentSettings, datasets: Mapping[str, DatasetSettings]
) -> None:
    """ConfigError, at ``where``, for an experiment that its dataset cannot serve."""
    if settings.dataset not in datasets:
        raise ConfigError(
            f"{where}.dataset: no dataset {settings.dataset!r}; {nearest(settings.dataset, list(datasets))}"
        )
    dataset = datasets[settings.dataset]
    try:
        settings.check_classes(tuple(dataset.classes))
    except (ShapeError, ConfigError) as error:
        raise ConfigError(f"{where}: {error}") from None
    _check_sides(where, settings, dataset)
    _check_channels(where, settings, dataset)
    for name, kind in dataset.classes.items():
        if kind.objects is None or kind.objects.low is None or settings.keeps_probabilities:
            continue
        if settings.weightless:
            raise ConfigError(
                f"{where}.model: found {settings.model!r}, which has no probabilities, but objects of class {name!r} "
                f"of dataset {settings.dataset!r} have thresholds of them; take one out"
            )
        raise ConfigError(
            f"{where}.infer.probabilities: found false, but objects of class {name!r} of dataset "
            f"{settings.dataset!r} have thresholds of probability; set it to true"
        )
    if settings.predicts_over == "mask":
        for one in dataset.slides:
            if one.infer_mask is None and one.may_test:
                raise ConfigError(
                    f"{where}.infer.over: 'mask', but slide {one.id!r} names no infer_mask; add it"
                )


def check_search(where: str, settings: SearchSettings, datasets: Mapping[str, DatasetSettings]) -> None:
    """ConfigError, at ``where``, for a search that its dataset cannot serve, or that has nothing to choose from."""
    try:
        finest = settings.settings_of(settings.singles[0])
    except (ShapeError, ConfigError) as error:
        raise ConfigError(f"{where}: {error}") from None
    check_experiment(where, finest, datasets)
    dataset = datasets[settings.dataset]
    if dataset.folds is not None and settings.fold is None:
        raise ConfigError(
            f"{where}: dataset {settings.dataset!r} has folds {list(dataset.folds)}, and who tests has no part in what "
            "a search decides; give it the `fold` that tests"
        )
    try:
        settings.check(len(dataset.classes))
    except (ShapeError, ConfigError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_channels(where: str, settings: ExperimentSettings, dataset: DatasetSettings) -> None:
    """What is made for red, green and blue is not to be done to other bands, nor left out in silence."""
    if dataset.channels == 3 or settings.weightless:
        return
    found = f"datasets.{settings.dataset}.channels is {dataset.channels}"
    if not isinstance(settings, DenseSettings):
        raise ConfigError(
            f"{where}.model: found {settings.model!r}, which takes red, green and blue, but {found}; "
            "use a model that predicts a class per pixel"
        )
    for key in ("stain", "saturation"):
        strength = getattr(settings.augment, key)
        if strength > 0 and settings.is_trained:
            raise ConfigError(
                f"{where}.augment.{key}: found {strength:g}, but {found}, and {key} varies red, green and blue; "
                "set it to 0"
            )


def _check_sides(where: str, settings: ExperimentSettings, dataset: DatasetSettings) -> None:
    """Whether the folds are there, and every split that is needed has a slide."""
    folds = dataset.folds
    if settings.folds is not None and folds is None:
        raise ConfigError(
            f"{where}.folds: found {list(settings.folds)}, but dataset {settings.dataset!r} has no folds; "
            "leave the key out"
        )
    if settings.folds is not None and (folds is None or not set(settings.folds) <= set(folds)):
        raise ConfigError(f"{where}.folds: found {list(settings.folds)}, possible: {list(folds or ())}")
    if folds is None and dataset.splits is None:
        for split in SPLITS if settings.is_trained else ("test",):
            if not any(one.split == split for one in dataset.slides):
                raise ConfigError(
                    f"{where}: dataset {settings.dataset!r} has no slide in split {split!r}; give it one"
                )
