"""Slides of a dataset: the rows of its sheet, and where their files are."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hooknet.config.document import Settings
from hooknet.config.sides import Side
from hooknet.config.types import FilePath, Name, PositiveFloat, Split
from hooknet.coordinates import Spacing, plausible_spacing


class SlideSettings(Settings):
    """One slide: a row of the sheet."""

    id: Name
    slide: FilePath | None = None
    annotation: FilePath | None = None
    truth: FilePath | None = None
    patient: str | None = None
    grade: str | None = None
    split: Split | None = None
    fold: Annotated[int, Field(ge=0)] | None = None
    spacing: PositiveFloat | tuple[PositiveFloat, PositiveFloat] | None = None
    infer_mask: FilePath | None = None
    volume: Name | None = None
    position: Annotated[int, Field(ge=0)] | None = None
    thickness: PositiveFloat | None = None

    @property
    def spacing_override(self) -> Spacing | None:
        """The spacing to believe instead of the file's."""
        if self.spacing is None:
            return None
        return (
            Spacing(*self.spacing) if isinstance(self.spacing, tuple) else Spacing(self.spacing, self.spacing)
        )

    @property
    def patient_id(self) -> str:
        """The patient; a slide without one is a patient of its own."""
        return self.patient or self.id

    @cached_property
    def side(self) -> Side:
        """What is given with the slide of who trains, validates and tests."""
        return Side(self.split, self.fold)

    @property
    def may_test(self) -> bool:
        """Whether some run may test on the slide: every slide of a fold does at some time."""
        return self.fold is not None or self.split in (None, "test")

    @field_validator("spacing", mode="before")
    @classmethod
    def _one_or_two_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """A sheet says ``0.25``, or ``0.25 x 0.26`` where pixels are not square.

        What a slide's px may measure, and what those of a slice of a volume, its file's name tells apart.
        """
        parts = value.lower().split("x") if isinstance(value, str) else value
        parts = parts if isinstance(parts, (list, tuple)) else (parts,)
        low, high = plausible_spacing(info.data.get("slide") or "")
        try:
            numbers = () if any(isinstance(part, bool) for part in parts) else tuple(map(float, parts))
        except (TypeError, ValueError):
            numbers = ()
        if value is not None and (
            len(numbers) not in (1, 2) or not all(low <= one <= high for one in numbers)
        ):
            raise ValueError(
                f"found {value!r}, wanted the spacing in µm/px ({low:g}..{high:g}), or one for x and one for y"
            )
        return numbers[0] if len(numbers) == 1 else numbers or None

    @model_validator(mode="after")
    def _whole_place(self) -> SlideSettings:
        """A slice says all of its place in its volume, or nothing."""
        place = {key: getattr(self, key) for key in ("volume", "position", "thickness")}
        missing = [key for key, value in place.items() if value is None]
        if missing and len(missing) < len(place):
            given = ", ".join(key for key in place if key not in missing)
            raise ValueError(
                f"found {given} without {', '.join(missing)}; a slice of a volume has all three, a slide none"
            )
        return self


class FilePatterns(Settings):
    """Where a slide's files are unless its row says so; ``{id}`` stands for the slide's id."""

    slide: str | None = None
    annotation: str | None = None
    truth: str | None = None
    infer_mask: str | None = None

    @field_validator("*")
    @classmethod
    def _only_id(cls, pattern: str | None) -> str | None:
        for name in re.findall(r"\{([^{}]*)\}", pattern or ""):
            if name != "id":
                raise ValueError(f"found {{{name}}} in {pattern!r}, possible: {{id}}")
        if _braces_left(pattern or ""):
            raise ValueError(f"found a single brace in {pattern!r}, possible: {{id}}")
        return pattern


def fill_row(row: Any, patterns: Any) -> Any:
    """A row of the sheet, completed from the patterns of ``files``; ``-`` in it means "none"."""
    if not isinstance(row, dict) or not isinstance(patterns, dict):
        return row
    filled = {key: value for key, value in row.items() if value not in (None, "")}
    for key, pattern in patterns.items():
        if key not in FilePatterns.model_fields or key in filled or not isinstance(pattern, str):
            continue
        # What is wrong with a pattern is told of the pattern, not of every row.
        if not _braces_left(pattern):
            filled[key] = pattern.replace("{id}", str(row.get("id", "")))
    return {key: None if value == "-" else value for key, value in filled.items()}


def _braces_left(pattern: str) -> bool:
    return re.search("[{}]", pattern.replace("{id}", "")) is not None
