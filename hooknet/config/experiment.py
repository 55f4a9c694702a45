"""What every experiment has, whatever it trains."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from hooknet.config.document import Settings
from hooknet.config.types import FilePath, PositiveFloat, Seed

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class AugmentOptions(Settings):
    """Strengths of augmentation; 0 switches one off."""

    flips: bool = True
    elastic_um: NotNegative = 3.0
    elastic_scale_um: PositiveFloat = 60.0
    elastic_share: Share = 0.5
    brightness: NotNegative = 0.1
    contrast: NotNegative = 0.1
    saturation: NotNegative = 0.1
    noise: NotNegative = 0.02
    stain: NotNegative = 0.03


class ExportOptions(Settings):
    """What is written of a map for other programs."""

    exports: tuple[Literal["geojson", "asap", "ome-tiff", "colours"], ...] = ()

    @field_validator("exports")
    @classmethod
    def _each_once(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(formats)) != len(formats):
            raise ValueError(f"{list(formats)} names one twice")
        return formats


Precision = Literal["fp32", "tf32", "bf16"]


class EngineOptions(ExportOptions):
    """What computes a map."""

    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Precision | Literal["auto"] = "auto"


class LoopOptions(Settings):
    """What every training loop is told; ``devices`` processes on each of ``nodes`` share out each mini-batch."""

    epochs: Count
    batch: Count
    stop_after: Count | None = None
    devices: Count | Literal["auto"] = "auto"
    nodes: Count = 1
    precision: Precision | Literal["auto"] = "auto"


class ExperimentSettings(Settings):
    """One system on one dataset; each kind of ``model`` has a class of its own."""

    dataset: str
    model: str
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    folds: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    checkpoint: FilePath | None = None

    @field_validator("seeds", "folds")
    @classmethod
    def _distinct(cls, values: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if values is not None and len(set(values)) != len(values):
            raise ValueError(f"{list(values)} names one twice")
        return values

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is, in a word or two: ``hooknet``, ``classifier mobilenetv2``."""

    @property
    def told(self) -> str:
        """The kind, and what it sees: ``hooknet(0.5, 8 µm/px)``."""
        return f"{self.kind}({', '.join(f'{one:g}' for one in self.read_spacings)} µm/px)"

    @property
    @abstractmethod
    def exports(self) -> tuple[str, ...]:
        """The formats that maps are written in besides."""

    @property
    def is_trained(self) -> bool:
        """Whether weights are made for it."""
        return self.checkpoint is None

    @property
    def weightless(self) -> bool:
        """Whether there is no network at all."""
        return False

    @property
    def starts_from(self) -> str | None:
        """The checkpoint whose weights a training starts from."""
        return None

    def named_files(self) -> dict[str, str]:
        """Key -> path of each file that the settings name."""
        return {} if self.checkpoint is None else {"checkpoint": self.checkpoint}

    @property
    def keeps_probabilities(self) -> bool:
        """Whether ``probabilities/SLIDE.tif`` is written beside the map."""
        return False

    @property
    def read_spacings(self) -> tuple[float, ...]:
        """The spacings (µm/px) that slides are read at, as far as settings say them."""
        return ()

    @property
    def label_spacing_wanted(self) -> float | None:
        """The spacing (µm/px) that label masks have to have at most; None where any will do."""
        return None

    @property
    def predicts_over(self) -> str | None:
        """``tissue``, ``everything`` or ``mask``."""
        return None

    @abstractmethod
    def check_classes(self, names: tuple[str, ...]) -> None:
        """ConfigError or ShapeError where a dataset of these classes cannot be its."""

    @abstractmethod
    def read_as(self) -> dict[str, Any]:
        """The settings that weights are used with: those that a checkpoint must have been trained with."""

    def weights_depend_on(self) -> dict[str, Any]:
        """The settings that weights depend on: not how a map is inferred, nor on what they are trained."""
        left_out: Any = {
            "infer": True,
            "seeds": True,
            "folds": True,
            "checkpoint": True,
            "train": {"workers", "cache_mb", "devices", "nodes"},
        }
        return self.model_dump(mode="json", exclude=left_out)
