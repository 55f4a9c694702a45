"""Kinds of values that several settings share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hooknet.config.document import SAFE_NAME

Split = Literal["training", "validation", "test"]
OnError = Literal["fail", "skip"]
ON_ERROR: tuple[OnError, ...] = ("fail", "skip")
SPLITS: tuple[Split, ...] = ("training", "validation", "test")
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=SAFE_NAME, max_length=100)]


def _without_braces(path: str) -> str:
    """Snakemake takes what stands in braces for a part of the path that is to be filled in."""
    if "{" in path or "}" in path:
        raise ValueError(
            f"found {path!r}, wanted a path without braces, which the workflow would fill in; rename the file or folder"
        )
    return path


FilePath = Annotated[str, AfterValidator(_without_braces)]
