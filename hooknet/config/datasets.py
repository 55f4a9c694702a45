"""``config/datasets.yaml``: what there is. Classes, slides, annotations, patients, splits."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hooknet.config.document import COLOUR, Settings, nearest
from hooknet.config.objects import ObjectSettings
from hooknet.config.sides import Side, check_sides, validates
from hooknet.config.slides import FilePatterns, fill_row
from hooknet.config.slides import SlideSettings as SlideSettings
from hooknet.config.steps import (
    CentreSettings,
    PhantomOptions,
    ReportSettings,
    SplitSettings,
    TissueSettings,
)
from hooknet.config.types import SPLITS as SPLITS
from hooknet.config.types import Name
from hooknet.errors import ConfigError
from hooknet.labels import LabelClass, LabelMap

# The sheet of splits lies beside the folders of the slides.
SPLITS_NAME = "splits.tsv"


class ClassSettings(Settings):
    """One class of a dataset."""

    value: Annotated[int, Field(ge=1, le=254)]
    colour: Annotated[str, Field(pattern=COLOUR)]
    groups: tuple[str, ...] | None = None
    raster_values: tuple[Annotated[int, Field(ge=1, le=255)], ...] | None = None
    order: int | None = None
    objects: ObjectSettings | None = None

    def fed_by(self, name: str) -> tuple[str, ...]:
        """The annotation groups of the class called ``name``: that of its own name unless others are given."""
        return (name,) if self.groups is None else self.groups


class DatasetSettings(Settings):
    """One cohort."""

    classes: dict[Name, ClassSettings]
    channels: Annotated[int, Field(ge=1, le=64)] = 3
    hole_groups: tuple[str, ...] = ()
    hole_order: int | None = None
    ignore_groups: tuple[str, ...] = ()
    region_groups: tuple[str, ...] = ()
    region_default: str | None = None
    origin: Literal["slide", "bounds"] = "slide"
    files: FilePatterns = FilePatterns()
    slides: tuple[SlideSettings, ...]
    splits: SplitSettings | None = None
    phantom: PhantomOptions | None = None
    tissue: TissueSettings = TissueSettings()
    centres: CentreSettings = CentreSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="before")
    @classmethod
    def _fill_files(cls, section: Any) -> Any:
        """Complete the rows of the sheet from the patterns of ``files``; ``-`` in a row means "none"."""
        if not isinstance(section, dict) or not isinstance(section.get("slides"), (list, tuple)):
            return section
        patterns = section.get("files") or {}
        slides = [fill_row(row, patterns) for row in section["slides"]]
        return {**section, "slides": slides}

    @field_validator("classes")
    @classmethod
    def _values(cls, classes: dict[str, ClassSettings]) -> dict[str, ClassSettings]:
        if not classes:
            raise ValueError("found no class, wanted one at least")
        values = sorted(one.value for one in classes.values())
        if values != list(range(1, len(values) + 1)):
            raise ValueError(
                f"values are {values}, wanted 1..{len(values)}, each once (0 means not annotated)"
            )
        return classes

    @field_validator("classes")
    @classmethod
    def _raster_values(cls, classes: dict[str, ClassSettings]) -> dict[str, ClassSettings]:
        seen: dict[int, str] = {}
        for name, one in classes.items():
            for raw in (one.value,) if one.raster_values is None else one.raster_values:
                if seen.setdefault(raw, name) != name:
                    raise ValueError(
                        f"value {raw} of label rasters means {seen[raw]!r} and {name!r}; give both raster_values"
                    )
        return classes

    @model_validator(mode="after")
    def _groups_are_distinct(self) -> DatasetSettings:
        seen: dict[str, str] = {}
        roles = [(f"classes.{name}", one.fed_by(name)) for name, one in self.classes.items()]
        roles += [(role, getattr(self, role)) for role in ("hole_groups", "ignore_groups", "region_groups")]
        for role, groups in roles:
            for group in groups:
                if group in seen:
                    raise ValueError(
                        f"group {group!r} stands in {seen[group]} and in {role}; it can mean one thing"
                    )
                seen[group] = role
        if self.region_default is not None and self.region_default not in self.classes:
            possible = nearest(self.region_default, list(self.classes))
            raise ValueError(f"region_default {self.region_default!r} is no class; {possible}")
        if self.region_default is not None and not self.region_groups:
            raise ValueError(
                f"region_default {self.region_default!r} fills regions of interest, but there are no region_groups; "
                "name them"
            )
        return self

    @model_validator(mode="after")
    def _slides_are_distinct(self) -> DatasetSettings:
        if not self.slides:
            raise ValueError("no slides; list at least one")
        seen: dict[str, str] = {}
        for one in self.slides:
            # Two ids that differ in case only are one folder on some disks.
            if one.id.lower() in seen:
                raise ValueError(
                    f"slide id {one.id!r} stands twice (also as {seen[one.id.lower()]!r}); ids are unique"
                )
            if one.id.lower() == SPLITS_NAME:
                raise ValueError(
                    f"slide id {one.id!r} is how the sheet of splits is called; rename the slide"
                )
            seen[one.id.lower()] = one.id
            if one.slide is None:
                raise ValueError(
                    f"slide {one.id!r} names no file; set its `slide`, or the dataset's `files.slide`"
                )
        return self

    @model_validator(mode="after")
    def _splits_are_clear(self) -> DatasetSettings:
        sides = {one.id: one.side for one in self.slides}
        if self.splits is not None and any(one != Side() for one in sides.values()):
            raise ValueError("splits are both made (`splits`) and given in the slides; keep one")
        check_sides(sides, {one.id: one.patient_id for one in self.slides})
        self._all_annotated()
        self._no_slide_twice()
        return self

    def _all_annotated(self) -> None:
        """Whatever may train or validate needs an annotation."""
        for one in self.slides:
            if one.annotation is not None or one.split == "test":
                continue
            if self.splits is not None:
                why = "every slide needs one where splits are made, since they are made from the classes"
            elif one.fold is not None:
                why = "every slide of a fold trains or validates at some time"
            elif one.split is not None:
                why = f"it is in split {one.split!r}"
            else:
                continue
            raise ValueError(f"slide {one.id!r} has no annotation, but {why}; annotate it or take it out")

    def _no_slide_twice(self) -> None:
        """One file under two ids would be a leak that no patient shows."""
        seen: dict[str, SlideSettings] = {}
        for one in self.slides:
            first = seen.setdefault(str(one.slide), one)
            if first.patient_id != one.patient_id:
                raise ValueError(
                    f"slides {first.id!r} and {one.id!r} are one file {one.slide!r} of two patients, "
                    f"{first.patient_id!r} and {one.patient_id!r}; give both one patient or take one out"
                )

    @model_validator(mode="after")
    def _volumes_are_whole(self) -> DatasetSettings:
        """A volume is of one patient, and is stacked from slices that follow each other at one distance."""
        firsts: dict[str, SlideSettings] = {}
        seen: dict[tuple[str, int | None], str] = {}
        for one in self.slides:
            if one.volume is None:
                continue
            first = firsts.setdefault(one.volume, one)
            for key, mine, theirs in (
                ("thickness", one.thickness, first.thickness),
                ("patient", one.patient_id, first.patient_id),
            ):
                if mine != theirs:
                    raise ValueError(
                        f"slides {first.id!r} and {one.id!r} are of one volume {one.volume!r}, but their {key} is "
                        f"{theirs!r} and {mine!r}; give both one"
                    )
            place = one.volume, one.position
            if seen.setdefault(place, one.id) != one.id:
                raise ValueError(
                    f"slides {seen[place]!r} and {one.id!r} both have position {one.position} of volume "
                    f"{one.volume!r}; give each its own"
                )
        return self

    @cached_property
    def folds(self) -> tuple[int, ...] | None:
        """The numbers of the folds, None when there is one split only."""
        if self.splits is not None:
            return tuple(range(self.splits.folds)) if self.splits.folds else None
        given = sorted({one.fold for one in self.slides if one.fold is not None})
        return tuple(given) or None

    @cached_property
    def says_who_validates(self) -> bool:
        """With folds: whether each slide keeps to training or validation while other folds test."""
        if self.splits is not None:
            return self.splits.validation is not None
        return validates({one.id: one.side for one in self.slides})

    @cached_property
    def label_map(self) -> LabelMap:
        """The classes in order of their values, and what the other groups mean."""
        classes = tuple(
            LabelClass(
                name,
                one.value,
                one.colour.lower(),
                one.fed_by(name),
                position if one.order is None else one.order,
                one.raster_values or (),
            )
            for position, (name, one) in enumerate(self.classes.items())
        )
        last = max(one.order for one in classes) + 1
        default = self.classes[self.region_default].value if self.region_default else 0
        return LabelMap(
            tuple(sorted(classes, key=lambda one: one.value)),
            self.hole_groups,
            last if self.hole_order is None else self.hole_order,
            self.ignore_groups,
            self.region_groups,
            default,
        )

    def object_classes(self) -> dict[str, ObjectSettings]:
        """The classes whose regions are counted one by one; ConfigError where there are none."""
        found = {name: one.objects for name, one in self.classes.items() if one.objects is not None}
        if not found:
            raise ConfigError(
                "no class of the dataset has an `objects` section; give it to the classes to count"
            )
        return found

    def slide(self, slide_id: str) -> SlideSettings:
        """The slide of that id, or a ConfigError naming what there is."""
        if slide_id not in self._by_id:
            raise ConfigError(f"no slide {slide_id!r}; {nearest(slide_id, list(self._by_id))}")
        return self._by_id[slide_id]

    @cached_property
    def _by_id(self) -> dict[str, SlideSettings]:
        return {one.id: one for one in self.slides}


def is_raster(path: str) -> bool:
    """Whether an annotation is a label raster rather than shapes, by its suffix."""
    return re.search(r"\.(png|tiff?)$", path, re.IGNORECASE) is not None
