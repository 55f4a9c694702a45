"""The area of each class in a label mask or map."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from hooknet.coordinates import blocks
from hooknet.labels import LabelClass
from hooknet.viewer.catalogue import Layer
from hooknet.viewer.overviews import open_mask

# Side of the blocks counted at once, in px: a whole number of a mask's tiles.
BLOCK = 2048
SQUARE_UM_PER_MM = 1e6
COLUMNS = {"class", "area_mm2"}


def class_areas(layer: Layer, classes: tuple[LabelClass, ...]) -> dict[str, float]:
    """Class name -> mm² in a layer of classes, 0 where there is none.

    From the layer's table of quantities where that has every class; else by counting the mask's px, a few at a time,
    tiles where nothing is stored passed over.  MaskError where the mask cannot be read.
    """
    assert layer.path is not None
    told = None if layer.quantities is None else _from_table(layer.quantities, classes)
    return _counted(layer.path, classes) if told is None else told


def _from_table(path: Path, classes: tuple[LabelClass, ...]) -> dict[str, float] | None:
    """None where there is no such table, or it is not about these classes."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(reader.fieldnames or ()) >= COLUMNS:
                return None
            found = {row["class"]: float(row["area_mm2"]) for row in reader}
    except (OSError, ValueError):
        return None
    names = [one.name for one in classes]
    return {one: found[one] for one in names} if found.keys() >= set(names) else None


def _counted(path: Path, classes: tuple[LabelClass, ...]) -> dict[str, float]:
    counts = np.zeros(256, np.int64)
    with open_mask(path) as mask:
        for place in blocks(mask.grid.width, mask.grid.height, BLOCK):
            if not mask.is_empty(*place):
                counts += np.bincount(mask.read(*place).ravel(), minlength=256)
        pixel = mask.grid.spacing**2 / SQUARE_UM_PER_MM
    return {one.name: float(counts[one.value] * pixel) for one in classes}
