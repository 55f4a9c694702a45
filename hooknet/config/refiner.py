"""Experiments of refiners, the second stage of H2G-Net; and the tissue mask as a map, without any network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hooknet.config.document import Settings, nearest
from hooknet.config.experiment import (
    Count,
    EngineOptions,
    ExperimentSettings,
    ExportOptions,
    LoopOptions,
    NotNegative,
    Share,
)
from hooknet.config.losses import LossOptions
from hooknet.config.types import Name, PositiveFloat
from hooknet.errors import ConfigError
from hooknet.shapes.refiner import RefinerShape


class RefinerNetworkOptions(Settings):
    """The network of a refiner."""

    name: Literal["unet", "agunet", "dagunet", "doubleunet"] = "unet"
    norm: Literal["renorm", "batch"] = "renorm"
    batch_norm_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99


class RefinerLossOptions(LossOptions):
    """The weight of each term of the loss; ``dice`` is soft Dice of the foreground."""

    cross_entropy: NotNegative = 0.0
    dice: NotNegative = 1.0


class RefinerTrainOptions(LoopOptions):
    """The training of a refiner."""

    epochs: Count = 1000
    passes: Count = 1
    batch: Count = 6
    accumulate: Count = 4
    learning_rate: PositiveFloat = 1e-4
    losses: RefinerLossOptions = RefinerLossOptions()
    stop_after: Count | None = 100
    threads: Count = 2


class SlideAugmentOptions(Settings):
    """How whole slides are varied; 0 switches one off."""

    flips: bool = True
    stain: NotNegative = 0.1
    brightness: Share = 0.2


class RefinerInferOptions(EngineOptions):
    """Maps of a refiner."""

    over: Literal["tissue", "everything", "mask"] = "tissue"
    probabilities: bool = False


class RefinerSettings(ExperimentSettings):
    """A network that sees a whole slide at low power, and the heat map of its parent."""

    model: Literal["refiner"]
    parent: Name | None = None
    heat_maps: Literal["cross_fitted", "in_sample"] = "cross_fitted"
    parts: Annotated[int, Field(ge=2)] = 5
    size: Count = 1024
    stretch: bool = False
    foreground: tuple[Name, ...] | None = None
    label_spacing: PositiveFloat | None = None
    network: RefinerNetworkOptions = RefinerNetworkOptions()
    train: RefinerTrainOptions = RefinerTrainOptions()
    augment: SlideAugmentOptions = SlideAugmentOptions()
    infer: RefinerInferOptions = RefinerInferOptions()

    @property
    def kind(self) -> str:
        """The model and its network."""
        return f"refiner {self.network.name}"

    @property
    def told(self) -> str:
        """Also whose heat maps it sees."""
        return f"{self.kind}({self.size} px{'' if self.parent is None else f', heat maps of {self.parent}'})"

    @property
    def exports(self) -> tuple[str, ...]:
        """The formats that maps are written in besides."""
        return self.infer.exports

    @property
    def keeps_probabilities(self) -> bool:
        """Whether ``probabilities/SLIDE.tif`` is written beside the map."""
        return self.infer.probabilities

    @property
    def label_spacing_wanted(self) -> float | None:
        """What the settings say."""
        return self.label_spacing

    @property
    def predicts_over(self) -> str | None:
        """What the settings of inference say."""
        return self.infer.over

    @field_validator("foreground")
    @classmethod
    def _some_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and (not names or len(set(names)) != len(names)):
            raise ValueError(f"found {list(names)}, wanted classes, each once; leave it out for all classes")
        return names

    def read_as(self) -> dict[str, Any]:
        """The settings that weights are used with."""
        kinds = {"model", "size", "stretch", "foreground", "network"}
        return {**self.model_dump(mode="json", include=kinds), "sees heat maps": self.parent is not None}

    def weights_depend_on(self) -> dict[str, Any]:
        """Not how label masks are made; of heat maps what there is of them."""
        found = super().weights_depend_on()
        unused = {"label_spacing"}
        if self.parent is None:
            unused |= {"heat_maps", "parts"}
        elif self.heat_maps == "in_sample":
            unused |= {"parts"}
        return {key: value for key, value in found.items() if key not in unused}

    def check_classes(self, names: tuple[str, ...]) -> None:
        """ConfigError for a foreground of other or too few classes, ShapeError for a size that cannot be halved."""
        for name in self.foreground or ():
            _check_class("foreground", name, names)
        left = [name for name in names if self.foreground and name not in self.foreground]
        if len(left) > 1:
            raise ConfigError(
                f"foreground: leaves out {', '.join(left)}, which nothing would tell apart; leave out one at most"
            )
        self.shape(len(names))

    def shape(self, classes: int) -> RefinerShape:
        """What the network is built from; ShapeError for a size that it cannot halve often enough."""
        heat = 0 if self.parent is None else len(self.foreground or range(classes))
        return RefinerShape(self.network.name, self.size, heat, classes, self.network.norm)


class TissueMapSettings(ExperimentSettings):
    """No network: what the tissue mask calls tissue is one class, the rest another (the design called Otsu)."""

    model: Literal["tissue"]
    inside: Name
    outside: Name | None = None
    label_spacing: PositiveFloat | None = None
    infer: ExportOptions = ExportOptions()

    @property
    def kind(self) -> str:
        """The model."""
        return "tissue"

    @property
    def told(self) -> str:
        """Also which class tissue is."""
        return f"tissue as {self.inside}"

    @property
    def exports(self) -> tuple[str, ...]:
        """The formats that maps are written in besides."""
        return self.infer.exports

    @property
    def is_trained(self) -> bool:
        """Never."""
        return False

    @property
    def weightless(self) -> bool:
        """It has none."""
        return True

    @property
    def label_spacing_wanted(self) -> float | None:
        """What the settings say."""
        return self.label_spacing

    @property
    def predicts_over(self) -> str | None:
        """Tissue, of course."""
        return "tissue"

    def read_as(self) -> dict[str, Any]:
        """Which class is which."""
        return self.model_dump(mode="json", include={"model", "inside", "outside"})

    def check_classes(self, names: tuple[str, ...]) -> None:
        """ConfigError for classes that there are not."""
        for key, name in (("inside", self.inside), ("outside", self.outside)):
            if name is not None:
                _check_class(key, name, names)

    @field_validator("seeds")
    @classmethod
    def _one_map(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """One map, whatever seeds the other experiments share: there is nothing random in it."""
        return seeds[:1]

    @model_validator(mode="after")
    def _no_weights(self) -> TissueMapSettings:
        if self.inside == self.outside:
            raise ValueError(
                f"inside and outside are both {self.inside!r}; wanted two classes, or no outside"
            )
        if self.checkpoint is not None:
            raise ValueError("a tissue map has no weights; leave the checkpoint out")
        return self


def _check_class(key: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise ConfigError(f"{key}: no class {name!r}; {nearest(name, list(names))}")
