"""An encoder of a user's own, as an experiment states it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from hooknet.config.document import Settings
from hooknet.config.experiment import Count
from hooknet.config.types import FilePath
from hooknet.shapes.encoded import EncoderSpec

Scalar = bool | int | float | str | None


class EncoderOptions(Settings):
    """Where it comes from and what it gives; ``hooknet check-encoder`` prints the section.

    Reading it runs nothing: training and prediction do.
    """

    make: FilePath
    options: dict[str, Scalar] = Field(default_factory=dict)
    weights: FilePath | None = None
    frozen: bool = False
    strides: Annotated[tuple[Count, ...], Field(min_length=1)]
    channels: Annotated[tuple[Count, ...], Field(min_length=1)]
    unit: Count | None = None
    rim: Annotated[int, Field(ge=0)] | None = None
    parameters: Annotated[int, Field(ge=0)]

    @field_validator("make")
    @classmethod
    def _names_a_function(cls, make: str) -> str:
        place, _, name = make.rpartition(":")
        if not place or not name.isidentifier():
            raise ValueError(f"found {make!r}, wanted module:function or path/to/file.py:function")
        return make

    @property
    def file(self) -> str | None:
        """The file with the code, where it is named by one."""
        place = self.make.rpartition(":")[0]
        return place if place.endswith(".py") else None

    def named_files(self) -> dict[str, str]:
        """Key -> path of each file that the section names."""
        found = {"make": self.file, "weights": self.weights}
        return {f"network.encoder.{key}": path for key, path in found.items() if path is not None}

    def spec(self) -> EncoderSpec:
        """What the network is built from; ShapeError for strides and channels that cannot be."""
        stated: dict[str, Any] = {"strides": self.strides, "channels": self.channels, "rim": self.rim}
        return EncoderSpec(
            make=self.make,
            unit=self.strides[-1] if self.unit is None else self.unit,
            parameters=self.parameters,
            options=tuple(sorted(self.options.items())),
            frozen=self.frozen,
            **stated,
        )
