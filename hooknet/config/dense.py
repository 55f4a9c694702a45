"""What all experiments of networks that predict a class per pixel have."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hooknet.config.document import Settings
from hooknet.config.experiment import (
    AugmentOptions,
    Count,
    EngineOptions,
    ExperimentSettings,
    LoopOptions,
    NotNegative,
)
from hooknet.config.losses import LossOptions
from hooknet.config.types import FilePath, PositiveFloat
from hooknet.shapes.dense import DenseNetwork


class TrainOptions(LoopOptions):
    """The training loop."""

    epochs: Count = 200
    steps: Count = 1000
    batch: Count = 12
    accumulate: Count = 1
    learning_rate: PositiveFloat = 5e-6
    optimiser: Literal["adam", "adamw"] = "adam"
    weight_decay: NotNegative = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    clip_gradient: PositiveFloat | None = None
    l2: NotNegative = 1e-3
    losses: LossOptions = LossOptions()
    normalise: Literal["annotated", "all_pixels"] = "annotated"
    sampler: Literal["balanced", "official"] = "balanced"
    validation_patches: Count = 1000
    threads: Count = 2
    workers: Annotated[int, Field(ge=0)] = 1
    cache_mb: Annotated[int, Field(ge=0)] = 512
    compile: bool = False
    init_from: FilePath | None = None

    @model_validator(mode="after")
    def _decay_is_of_adamw(self) -> TrainOptions:
        if self.weight_decay > 0 and self.optimiser != "adamw":
            raise ValueError(
                f"weight_decay {self.weight_decay:g} with optimiser {self.optimiser}, which has none; use adamw, or l2"
            )
        return self


def is_checkpoint(member: str) -> bool:
    """Whether a member of an ensemble is named by the path of its weights, not by its experiment."""
    return member.endswith(".ckpt")


class InferOptions(EngineOptions):
    """Whole-slide inference."""

    over: Literal["tissue", "everything", "mask"] = "tissue"
    tile: Count | None = None
    rim: Annotated[int, Field(ge=0)] | None = None
    probabilities: bool = False
    tta: Literal["none", "dihedral"] = "none"
    ensemble: tuple[FilePath, ...] = ()
    uncertainty: bool = False
    unreadable: Annotated[float, Field(ge=0, lt=1)] = 0.01
    split_gb: PositiveFloat | None = None
    bundle_minutes: PositiveFloat | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> InferOptions:
        if self.split_gb is not None and self.bundle_minutes is not None:
            raise ValueError(
                "split_gb gives a slide several jobs, bundle_minutes gives several slides one job; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _uncertainty_goes_with_probabilities(self) -> InferOptions:
        if self.uncertainty and not self.probabilities:
            raise ValueError(
                "uncertainty without probabilities, which it is told of; set probabilities to true"
            )
        for key in ("split_gb", "bundle_minutes"):
            if self.uncertainty and getattr(self, key) is not None:
                raise ValueError(
                    f"uncertainty with {key}: such jobs write maps and probabilities alone; leave one out"
                )
        if len(set(self.ensemble)) != len(self.ensemble):
            raise ValueError(f"ensemble {list(self.ensemble)} names one twice; name each once")
        return self


class DenseSettings(ExperimentSettings):
    """A network that predicts a class per pixel, from patches at one spacing or several."""

    spacings: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    patch_size: Count = 284
    network: Settings
    train: TrainOptions = TrainOptions()
    augment: AugmentOptions = AugmentOptions()
    infer: InferOptions = InferOptions()

    @model_validator(mode="after")
    def _bends(self) -> DenseSettings:
        bend, finest = self.augment.elastic_um, min(self.spacings)
        if 0 < bend < finest / 100:
            raise ValueError(
                f"augment.elastic_um {bend:g} bends nothing at {finest:g} µm/px, less than a hundredth of a px; "
                f"set it to 0, or to some px ({3 * finest:g} µm)"
            )
        return self

    @model_validator(mode="after")
    def _weights_of_others(self) -> DenseSettings:
        if not self.infer.ensemble:
            return self
        if self.checkpoint is not None or self.train.init_from is not None:
            raise ValueError(
                "infer.ensemble with a checkpoint of its own; its members are all its weights: add that one to them"
            )
        if len(self.seeds) > 1:
            raise ValueError(
                f"infer.ensemble with seeds {list(self.seeds)}, which change nothing: nothing is "
                "trained; leave seeds out"
            )
        return self

    @property
    def is_trained(self) -> bool:
        """Not where it predicts with the weights of others."""
        return super().is_trained and not self.infer.ensemble

    @property
    def kind(self) -> str:
        """The model."""
        return self.model

    @property
    def exports(self) -> tuple[str, ...]:
        """The formats that maps are written in besides."""
        return self.infer.exports

    @property
    def starts_from(self) -> str | None:
        """The checkpoint whose weights a training starts from."""
        return self.train.init_from

    @property
    def own_encoder(self) -> str | None:
        """What makes the encoder, where it is one of the user's own: code that building the network runs."""
        return None

    @property
    def encoder_code(self) -> str | None:
        """The file with that code, where it is named by one."""
        return None

    @property
    def encoder_weights(self) -> str | None:
        """The weights that an encoder of the user's own starts from, where it has one."""
        return None

    def named_files(self) -> dict[str, str]:
        """Also the weights that training starts from, and those of an ensemble."""
        start = self.train.init_from
        members = enumerate(self.infer.ensemble)
        named = {f"infer.ensemble.{place}": one for place, one in members if is_checkpoint(one)}
        return {**({} if start is None else {"train.init_from": start}), **named, **super().named_files()}

    @property
    def keeps_probabilities(self) -> bool:
        """Whether ``probabilities/SLIDE.tif`` is written beside the map."""
        return self.infer.probabilities

    @property
    def keeps_uncertainty(self) -> bool:
        """Whether ``uncertainty/SLIDE.tif`` is written beside the map."""
        return self.infer.uncertainty

    @property
    def splits(self) -> bool:
        """Whether large slides are predicted by several jobs each."""
        return self.infer.split_gb is not None

    @property
    def bundles(self) -> bool:
        """Whether small slides are predicted by one job together."""
        return self.infer.bundle_minutes is not None

    @property
    def read_spacings(self) -> tuple[float, ...]:
        """One for each branch."""
        return self.spacings

    @property
    def label_spacing_wanted(self) -> float | None:
        """That of the target."""
        return self.spacings[0]

    @property
    def predicts_over(self) -> str | None:
        """What the settings of inference say."""
        return self.infer.over

    def read_as(self) -> dict[str, Any]:
        """The settings that weights are used with."""
        kinds = {"model", "spacings", "patch_size", "network"}
        return self.model_dump(mode="json", include=kinds)

    def check_classes(self, names: tuple[str, ...]) -> None:
        """ShapeError where sizes or spacings would misalign."""
        self.network_settings(len(names))

    @property
    def shuffles_context(self) -> bool:
        """Whether contexts are those of other patches, as a control."""
        return False

    @abstractmethod
    def network_settings(self, classes: int, channels: int = 3) -> DenseNetwork:
        """What the network is built from, for images of so many channels; ShapeError for what cannot be built."""
