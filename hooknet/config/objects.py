"""Section of a class whose connected regions are objects to be counted, such as lymphoid structures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hooknet.config.document import Settings

Share = Annotated[float, Field(gt=0, lt=1)]


class ObjectSettings(Settings):
    """How objects are found in a map, and when one matches one of the truth."""

    min_area_um2: Annotated[float, Field(ge=0)] = 0.0
    close_um: Annotated[float, Field(ge=0)] = 0.0
    fill_holes: bool = True
    low: Share | None = None
    high: Share | None = None
    match: Literal["overlap", "centroid"] = "overlap"
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _thresholds(self) -> ObjectSettings:
        if (self.low is None) != (self.high is None):
            raise ValueError("give `low` and `high`, or neither of them")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low is {self.low:g}, wanted at most high, {self.high:g}")
        return self
