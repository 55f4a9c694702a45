"""Experiments of patch classifiers: the first stage of H2G-Net."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hooknet.config.document import Settings
from hooknet.config.experiment import (
    AugmentOptions,
    Count,
    EngineOptions,
    ExperimentSettings,
    LoopOptions,
)
from hooknet.config.types import FilePath, PositiveFloat
from hooknet.shapes.classifier import ClassifierShape

Level = Literal["grade", "slide", "class"]


class BackboneOptions(Settings):
    """The network of a patch classifier."""

    backbone: Literal["mobilenetv2", "inceptionv3"] = "mobilenetv2"
    weights: FilePath | None = None
    layout: Literal["keras", "torchvision"] = "keras"
    dense: Count = 100
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch_norm_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99


class ClusterOptions(Settings):
    """Clusters of training patches, which the loss weighs alike."""

    k: Count = 10
    components: Count = 128
    patches: Count = 5000
    reduction: Literal["per_class", "poster"] = "per_class"


class ClassifierTrainOptions(LoopOptions):
    """The training of a patch classifier."""

    epochs: Count = 200
    steps: Count = 100
    batch: Count = 64
    learning_rate: PositiveFloat = 1e-4
    levels: tuple[Level, ...] = ("grade", "slide", "class")
    validation_patches: Count = 1000
    threads: Count = 2
    workers: Annotated[int, Field(ge=0)] = 1
    cache_mb: Annotated[int, Field(ge=0)] = 512

    @field_validator("levels")
    @classmethod
    def _each_once(cls, levels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(levels)) != len(levels):
            raise ValueError(f"{list(levels)} names one twice")
        return levels


class ClassifierInferOptions(EngineOptions):
    """Heat maps."""

    over: Literal["tissue", "everything", "mask"] = "tissue"
    min_tissue: Annotated[float, Field(gt=0, le=1)] = 0.5


class ClassifierSettings(ExperimentSettings):
    """A network that tells the class of a patch: of the pixel at its centre."""

    model: Literal["classifier"]
    spacing: PositiveFloat = 1.0
    patch_size: Count = 256
    stride: Count | None = None
    network: BackboneOptions = BackboneOptions()
    clusters: ClusterOptions | None = None
    train: ClassifierTrainOptions = ClassifierTrainOptions()
    augment: AugmentOptions = AugmentOptions()
    infer: ClassifierInferOptions = ClassifierInferOptions()

    @property
    def kind(self) -> str:
        """The model and its backbone."""
        return f"classifier {self.network.backbone}"

    @property
    def exports(self) -> tuple[str, ...]:
        """The formats that maps are written in besides."""
        return self.infer.exports

    def named_files(self) -> dict[str, str]:
        """Also the weights that the backbone starts from."""
        weights = self.network.weights
        return {**({} if weights is None else {"network.weights": weights}), **super().named_files()}

    @property
    def keeps_probabilities(self) -> bool:
        """They are the heat map."""
        return True

    @property
    def read_spacings(self) -> tuple[float, ...]:
        """That of the patches."""
        return (self.spacing,)

    @property
    def label_spacing_wanted(self) -> float | None:
        """That of the patches."""
        return self.spacing

    @property
    def predicts_over(self) -> str | None:
        """What the settings of inference say."""
        return self.infer.over

    def read_as(self) -> dict[str, Any]:
        """The settings that weights are used with; which file the backbone started from is past."""
        keys = {"model", "spacing", "patch_size", "stride", "network"}
        found = self.model_dump(mode="json", include=keys)
        del found["network"]["weights"]
        return found

    def weights_depend_on(self) -> dict[str, Any]:
        """Not how far patches of a slide are apart."""
        found = super().weights_depend_on()
        del found["stride"]
        return found

    def clusters_depend_on(self) -> dict[str, Any]:
        """The settings that clusters depend on."""
        keys: Any = {"spacing": True, "patch_size": True, "network": True, "train": {"levels", "threads"}}
        found = self.model_dump(mode="json", include=keys)
        clusters = None if self.clusters is None else self.clusters.model_dump(exclude={"reduction"})
        return {**found, "clusters": clusters}

    def check_classes(self, names: tuple[str, ...]) -> None:
        """ShapeError for patches that are too small for the network."""
        self.shape(len(names))

    @property
    def cell(self) -> int:
        """Side in px of the square that a patch speaks for: a px of the heat map."""
        return self.stride or self.patch_size

    @model_validator(mode="after")
    def _no_gaps(self) -> ClassifierSettings:
        if self.cell > self.patch_size:
            raise ValueError(
                f"stride {self.stride} is longer than patch_size {self.patch_size}; patches would leave gaps"
            )
        return self

    def shape(self, classes: int) -> ClassifierShape:
        """What the network is built from; ShapeError for patches that are too small for it."""
        of = self.network
        return ClassifierShape(
            of.backbone, of.layout, classes, self.patch_size, self.spacing, of.dense, of.dropout
        )
