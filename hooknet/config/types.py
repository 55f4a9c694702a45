"""Kinds of values that several settings share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hooknet.config.document import SAFE_NAME

Split = Literal["training", "validation", "test"]
OnError = Literal["fail", "skip"]
ON_ERROR: tuple[OnError, ...] = ("fail", "skip")
SPLITS: tuple[Split, ...] = ("training", "validation", "test")
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=SAFE_NAME, max_length=100)]
