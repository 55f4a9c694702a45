"""Classes: their names, values, colours and the annotation groups that feed them.

On disk 0 is "not annotated" (in a label mask) or "not predicted" (in a map); 1..K are the classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NOT_ANNOTATED = 0
#: What imported volumes call all that is none of their structures; means over classes of a volume leave it out.
BACKGROUND = "background"


@dataclass(frozen=True)
class LabelClass:
    """One class: ``value`` 1..K on disk, ``colour`` as #rrggbb, ``order`` of painting (low first).

    ``raster_values``: the values that mean it in label rasters of users; its own where none are given.
    """

    name: str
    value: int
    colour: str
    groups: tuple[str, ...]
    order: int
    raster_values: tuple[int, ...] = ()

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0..255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue


@dataclass(frozen=True)
class LabelMap:
    """Classes in the order of their values 1..K, and what other annotation groups mean.

    ``hole_groups`` paint 0 (at ``hole_order`` among the classes), ``ignore_groups`` are not used at all,
    outside all shapes of ``region_groups`` (if there are any) everything is 0, and ``region_default`` is the
    value of pixels inside them that nothing paints (0 when not set).
    """

    classes: tuple[LabelClass, ...]
    hole_groups: tuple[str, ...] = ()
    hole_order: int = 0
    ignore_groups: tuple[str, ...] = ()
    region_groups: tuple[str, ...] = ()
    region_default: int = NOT_ANNOTATED
    _by_group: dict[str, LabelClass] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_group = {group: one for one in self.classes for group in one.groups}
        object.__setattr__(self, "_by_group", by_group)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, value 1 first."""
        return tuple(one.name for one in self.classes)

    def __len__(self) -> int:
        """The number K of classes (0, "not annotated", is none)."""
        return len(self.classes)

    def class_of(self, group: str) -> LabelClass | None:
        """The class fed by an annotation group, None if no class is."""
        return self._by_group.get(group)

    def knows(self, group: str) -> bool:
        """Whether the group has any meaning here: a class, a hole, ignored, or a region of interest."""
        return group in self._by_group or group in (
            *self.hole_groups,
            *self.ignore_groups,
            *self.region_groups,
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that has a meaning, classes first."""
        return (*self._by_group, *self.hole_groups, *self.ignore_groups, *self.region_groups)

    def raster_values(self) -> dict[int, int]:
        """Value in a label raster of a user -> value of the class that it means; 0 stays 0."""
        values = {raw: one.value for one in self.classes for raw in one.raster_values or (one.value,)}
        return {NOT_ANNOTATED: NOT_ANNOTATED, **values}

    def palette(self) -> dict[int, tuple[int, int, int]]:
        """Value -> red, green, blue, for figures and TIFF colour tables."""
        return {one.value: one.rgb for one in self.classes}
