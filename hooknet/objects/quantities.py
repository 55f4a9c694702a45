"""How much of each class there is on a slide: areas, shares of the tissue, regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from math import isfinite, nan
from pathlib import Path
from statistics import median

import numpy as np

from hooknet.coordinates import blocks
from hooknet.errors import MaskError
from hooknet.io.formats import Format
from hooknet.io.masks import Mask
from hooknet.objects.connected import regions

TISSUE = "(tissue)"
COLUMNS = (
    "slide", "class", "area_mm2", "tissue_share", "regions", "regions_per_mm2", "median_region_mm2",
    "largest_region_mm2",
)  # fmt: skip
FORMAT = Format(COLUMNS, "quantities", "make it again with quantify")
BLOCK = 1024


@dataclass(frozen=True)
class Quantity:
    """Of one class on one slide; nan where there is no tissue to compare with, or no region.

    ``tissue_share``: area inside the tissue by the area of the tissue.  ``regions_per_mm2``: of tissue.
    """

    area_mm2: float
    tissue_share: float
    regions: int
    regions_per_mm2: float
    median_region_mm2: float
    largest_region_mm2: float


def quantify(mask: Mask, tissue: Mask | None = None, min_area_um2: float = 0.0) -> dict[str, Quantity]:
    """The quantities of each class of a map, and of ``(tissue)`` where its mask is given.

    Areas are counted in px of the map, the tissue under their centres.  Regions smaller than ``min_area_um2`` are
    not counted as regions; their area is.  MaskError when the two masks are of different slides.
    """
    px = (mask.grid.spacing / 1000) ** 2
    sizes: dict[int, list[int]] = {value: [] for value in range(1, len(mask.names) + 1)}
    for one in regions(mask):
        sizes[one.value].append(one.pixels)
    inside, tissue_px = _within(mask, tissue)
    smallest = min_area_um2 / mask.grid.spacing**2
    found = {}
    for value, name in enumerate(mask.names, start=1):
        share = inside[value] / tissue_px if tissue_px else nan
        found[name] = _quantity(sizes[value], smallest, px, (share, tissue_px * px))
    if tissue is not None:
        parts = [one.pixels for one in regions(tissue)]
        area = tissue_px * px
        own = (tissue.grid.spacing / 1000) ** 2
        found[TISSUE] = Quantity(
            area, 1.0 if area else nan, len(parts), len(parts) / area if area else nan,
            median(parts) * own if parts else nan, max(parts) * own if parts else nan,
        )  # fmt: skip
    return found


def _quantity(sizes: list[int], smallest: float, px: float, tissue: tuple[float, float]) -> Quantity:
    """Of regions of so many px; ``tissue``: the share in it, its area in mm²."""
    counted = [one for one in sizes if one >= smallest]
    share, area = tissue
    return Quantity(
        sum(sizes) * px,
        share,
        len(counted),
        len(counted) / area if area else nan,
        median(counted) * px if counted else nan,
        max(counted) * px if counted else nan,
    )


def _within(mask: Mask, tissue: Mask | None) -> tuple[list[int], int]:
    """Px of each value inside the tissue, and px of the map's grid that are tissue."""
    inside, total = np.zeros(256, np.int64), 0
    if tissue is None:
        return inside.tolist(), 0
    tissue.check_same_slide(mask.grid)
    for block in blocks(mask.grid.width, mask.grid.height, BLOCK):
        there = tissue.read_as(mask.grid, *block) > 0
        total += int(there.sum())
        if there.any() and not mask.is_empty(*block):
            inside += np.bincount(mask.read(*block)[there], minlength=256)
    return inside.tolist(), total


def write_quantities(path: str | Path, slides: Mapping[str, Mapping[str, Quantity]]) -> None:
    """Write a row a slide and class; a cell stays empty where there is no number."""
    rows = (
        (slide, name, *("" if value != value else repr(value) for value in astuple(one)))
        for slide, found in slides.items()
        for name, one in found.items()
    )
    FORMAT.write(path, rows)


def read_quantities(path: str | Path) -> dict[str, dict[str, Quantity]]:
    """Slide -> class -> quantities, in the file's order; MaskError when it is no such table."""
    found: dict[str, dict[str, Quantity]] = {}
    for line, (slide, name, *cells) in FORMAT.read(path):
        try:
            numbers = [nan if cell == "" else float(cell) for cell in cells]
            if not all(
                cell == "" or (isfinite(one) and one >= 0) for cell, one in zip(cells, numbers, strict=True)
            ):
                raise ValueError
            one = Quantity(numbers[0], numbers[1], int(cells[2]), *numbers[3:])
        except ValueError:
            raise MaskError(
                f"{path}: line {line} has {','.join(cells)}, wanted numbers; make it again with quantify"
            ) from None
        if name in found.setdefault(slide, {}):
            raise MaskError(
                f"{path}: line {line} has slide {slide}, {name} twice; make it again with quantify"
            )
        found[slide][name] = one
    return found


def quantities_of(path: str | Path, slide: str, classes: Sequence[str]) -> dict[str, Quantity]:
    """Class -> quantities of a slide; MaskError where the table does not tell of it, or not of all ``classes``."""
    found = read_quantities(path).get(slide, {})
    for name in classes:
        if name not in found:
            raise MaskError(f"{path}: tells nothing of {name} of slide {slide}; make it again with quantify")
    return found
