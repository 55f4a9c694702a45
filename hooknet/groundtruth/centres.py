"""The index of patch centres: where training may look, and what it would see there.

A *region* is a connected part of one class in the label mask (8 neighbours).  Every region has at least one
centre, however small; the others are spread evenly over a class's pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from hooknet.coordinates import blocks
from hooknet.io.patches import labels_around
from hooknet.io.rasters import LabelRaster
from hooknet.io.tables import pixels_column

BLOCK = 2048
_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Fragment:
    """The part of a region that lies in one block: its class, its pixels, some of them drawn evenly."""

    value: int
    pixels: int
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers that depend on a seed and a name only (never on the order in which slides come)."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, number])


def draw_centres(mask: LabelRaster, per_class: int, rng: np.random.Generator) -> pd.DataFrame:
    """Centres as columns x, y (level-0 px), label, region: about ``per_class`` a class, one a region at least.

    A centre is the upper left corner of the mask pixel that gives its label, so that a patch of an even
    number of px lies on the mask's own grid.  Memory: a block of the mask, and ``per_class`` pixels of each
    fragment.
    """
    fragments, regions = find_regions(mask, per_class, rng)
    rows = []
    for value in sorted({one.value for one in fragments}):
        mine = np.array([number for number, one in enumerate(fragments) if one.value == value])
        total = sum(fragments[number].pixels for number in mine)
        mine = mine[np.argsort(regions[mine], kind="stable")]
        for members in np.split(mine, np.flatnonzero(np.diff(regions[mine])) + 1):
            parts = [fragments[number] for number in members]
            rows.append(_centres_of(parts, per_class / total, rng, mask, int(regions[members[0]])))
    if not rows:
        return pd.DataFrame({"x": [], "y": [], "label": [], "region": []}).astype(
            {"label": np.uint8, "region": np.int32}
        )
    return pd.concat(rows, ignore_index=True)


def _centres_of(
    parts: list[Fragment], share: float, rng: np.random.Generator, mask: LabelRaster, region: int
) -> pd.DataFrame:
    """Centres of one region, drawn evenly over its fragments."""
    sizes = np.array([part.pixels for part in parts])
    wanted = min(max(1, round(share * sizes.sum())), int(sizes.sum()))
    # numpy's hypergeometric draw ends at 1e9 px, which a well annotated slide has: number the px instead.
    drawn = rng.choice(int(sizes.sum()), wanted, replace=False, shuffle=False)
    ends = np.cumsum(sizes)
    taken = np.bincount(np.searchsorted(ends, drawn, side="right"), minlength=len(parts))
    columns = np.concatenate([part.columns[:count] for part, count in zip(parts, taken, strict=True)])
    rows = np.concatenate([part.rows[:count] for part, count in zip(parts, taken, strict=True)])
    return pd.DataFrame(
        {
            "x": columns * mask.grid.step_x,
            "y": rows * mask.grid.step_y,
            "label": np.full(len(columns), parts[0].value, np.uint8),
            "region": np.full(len(columns), region, np.int32),
        }
    )


def find_regions(
    mask: LabelRaster, at_most: int, rng: np.random.Generator
) -> tuple[list[Fragment], NDArray[np.int64]]:
    """Fragments of all regions, each with up to ``at_most`` of its pixels, and the region each belongs to."""
    fragments: list[Fragment] = []
    joined: list[tuple[int, int]] = []
    # Fragment + 1 of the last line of the blocks above, and of the last column of the block on the left.
    above = np.zeros(mask.grid.width + 2, np.int64)
    for column, row, width, height in blocks(mask.grid.width, mask.grid.height, BLOCK):
        if column == 0:
            line, left = np.zeros(mask.grid.width + 2, np.int64), np.zeros(BLOCK + 2, np.int64)
        if mask.is_empty(column, row, width, height):
            numbers: NDArray[np.int64] = np.broadcast_to(np.int64(0), (height, width))
        else:
            labels = mask.read(column, row, width, height)
            numbers = _label_block(labels, column, row, at_most, rng, fragments)
        joined += _touching(numbers[0], above[column : column + width + 2])
        joined += _touching(numbers[:, 0], left[: height + 2])
        line[column + 1 : column + 1 + width] = numbers[-1]
        left[1 : height + 1] = numbers[:, -1]
        left[height + 1 :] = 0
        if column + width == mask.grid.width:
            above = line
    return fragments, _roots(fragments, joined)


def _label_block(
    labels: NDArray[np.uint8],
    column: int,
    row: int,
    at_most: int,
    rng: np.random.Generator,
    fragments: list[Fragment],
) -> NDArray[np.int64]:
    """Fragment number + 1 under each pixel of a block; the fragments are appended."""

    def add(
        value: int, inside: NDArray[np.int64] | None, left: int, top: int, shape: tuple[int, ...]
    ) -> None:
        """A fragment of the flat places ``inside`` a shape, or of the whole shape."""
        pixels = int(np.prod(shape)) if inside is None else inside.size
        drawn = rng.choice(pixels, min(pixels, at_most), replace=False)
        rows, columns = np.unravel_index(drawn if inside is None else inside[drawn], shape)
        fragments.append(Fragment(value, pixels, columns + left + column, rows + top + row))

    only = int(labels.max())
    if only == labels.min():  # as most blocks are: outside a region, or within a large one
        if only:
            add(only, None, 0, 0, labels.shape)
        return np.broadcast_to(np.int64(len(fragments) if only else 0), labels.shape)
    numbers = np.zeros(labels.shape, np.int64)
    for value in np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1:
        labelled, count = ndimage.label(labels == value, _NEIGHBOURS)
        np.add(labelled, len(fragments), out=numbers, where=labelled > 0)
        for part, place in enumerate(ndimage.find_objects(labelled, count), start=1):
            inside = np.flatnonzero(labelled[place] == part)
            add(int(value), inside, place[1].start, place[0].start, labelled[place].shape)
    return numbers


def _touching(line: NDArray[np.int64], neighbours: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs of fragments (+ 1) that touch across a border of blocks; ``neighbours`` has one more at each end."""
    if not (line.any() and neighbours.any()):
        return []
    pairs = [np.stack([line, neighbours[shift : shift + len(line)]], axis=1) for shift in (0, 1, 2)]
    found = np.concatenate(pairs)
    return [(int(one), int(other)) for one, other in np.unique(found[(found > 0).all(axis=1)], axis=0)]


def _roots(fragments: list[Fragment], joined: list[tuple[int, int]]) -> NDArray[np.int64]:
    """The region of each fragment: the smallest fragment number it is connected with (union-find)."""
    parent = list(range(len(fragments)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in joined:
        if fragments[one - 1].value == fragments[other - 1].value:
            low, high = sorted((root(one - 1), root(other - 1)))
            parent[high] = low
    return np.array([root(number) for number in range(len(fragments))], dtype=np.int64)


def count_pixels(
    centres: pd.DataFrame, mask: LabelRaster, size: int, spacing: float, classes: int
) -> pd.DataFrame:
    """``centres`` with pixels_1..pixels_K: each class's pixels in the label patch of ``size`` px at ``spacing``."""
    counts = np.zeros((len(centres), classes + 1), np.int32)
    for number, (x, y) in enumerate(zip(centres["x"], centres["y"], strict=True)):
        patch = labels_around(mask, x, y, size, spacing)
        counts[number] = np.bincount(patch.ravel(), minlength=classes + 1)
    return centres.assign(**{pixels_column(value): counts[:, value] for value in range(1, classes + 1)})
