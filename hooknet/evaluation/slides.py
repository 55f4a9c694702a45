"""Count one slide's map against its truth, and keep the counts of slides in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from pathlib import Path
from typing import Protocol

from hooknet.coordinates import RasterGrid, blocks
from hooknet.errors import MaskError
from hooknet.evaluation.windows import WindowRater
from hooknet.io.formats import Format
from hooknet.io.masks import Mask
from hooknet.metrics.confusion import Counts, count, no_counts

# Two tiles of a mask a side: what counting a slide needs in memory does not grow with the slide.
BLOCK = 1024
COUNTS = Format(("slide", "truth", "predicted", "pixels"), what="counts", remedy="count again")
NO_PREDICTION = "(none)"


def count_slide(truth: Mask, prediction: Mask, classes: int, rater: WindowRater | None = None) -> Counts:
    """The (K, K + 1) counts of a slide in pixels of the truth's grid (see :mod:`hooknet.metrics.confusion`).

    The prediction is sampled under each truth pixel's centre, so truth and map may differ in spacing; what
    the map does not cover counts as not predicted.  Blocks without annotation are skipped; ``rater`` is shown
    the others, to find where on the slide the map is right.  Raises MaskError when the class names differ or
    the two rasters do not lie over one slide.
    """
    check_pair(truth, prediction, classes)
    counts = no_counts(classes)
    for block in blocks(truth.grid.width, truth.grid.height, BLOCK):
        if truth.is_empty(*block):
            continue
        annotated = truth.read(*block)
        if annotated.any():
            predicted = prediction.read_as(truth.grid, *block)
            try:
                counts += count(annotated, predicted, classes)
            except MaskError as error:
                raise MaskError(f"{truth.path} against {prediction.path}: {error}") from error
            if rater is not None:
                rater.take(block[0], block[1], annotated, predicted)
    return counts


def write_counts(path: str | Path, slides: Mapping[str, Counts], names: Sequence[str]) -> None:
    """Write the counts of slides as CSV ``slide,truth,predicted,pixels``: K (K + 1) rows a slide, zeros too.

    ``truth`` and ``predicted`` are class names, value 1 first; ``(none)`` is column 0, not predicted.
    """
    for slide, counts in slides.items():
        if counts.shape != (len(names), len(names) + 1):
            raise MaskError(f"{path}: slide {slide} has counts {counts.shape} for {len(names)} classes")
    rows = (
        (slide, *cell, int(counts[place]))
        for slide, counts in slides.items()
        for cell, place in _cells(names).items()
    )
    COUNTS.write(path, rows)


def read_counts(path: str | Path, names: Sequence[str]) -> dict[str, Counts]:
    """The counts of each slide in a file of :func:`write_counts`, in the file's order.

    Raises MaskError when it is missing or no such table, when a class is not among ``names``, or when a slide
    has a cell twice or not at all (a file cut short must not pass for a slide with few pixels).
    """
    cells = _cells(names)
    slides: dict[str, Counts] = {}
    seen: dict[str, set[tuple[str, str]]] = {}
    for line, (slide, truth, predicted, pixels) in COUNTS.read(path):
        cell = truth, predicted
        if cell not in cells:
            raise MaskError(
                f"{path}: line {line} counts {truth!r} as {predicted!r}, wanted {', '.join(names)}:"
                " count again with this label map"
            )
        if cell in seen.setdefault(slide, set()):
            raise MaskError(f"{path}: line {line} counts slide {slide}, {truth} as {predicted} twice")
        if not is_count(pixels):
            raise MaskError(
                f"{path}: line {line} has {pixels[:60]!r} pixels, wanted a whole number: count again"
            )
        seen[slide].add(cell)
        slides.setdefault(slide, no_counts(len(names)))[cells[cell]] = int(pixels)
    for slide, found in seen.items():
        if len(found) < len(cells):
            raise MaskError(
                f"{path}: slide {slide} has {len(found)} rows, wanted {len(cells)}: the file was cut short,"
                " count again"
            )
    return slides


def is_count(text: str) -> bool:
    """Whether a cell holds a number of px, which counts take in 64 bits."""
    return text.isdecimal() and len(text) < 20 and int(text) < 2**63


def _cells(names: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Names of truth and prediction -> row and column of the counts."""
    return {
        (truth, predicted): (row, column)
        for row, truth in enumerate(names)
        for column, predicted in enumerate((NO_PREDICTION, *names))
    }


class OverSlide(Protocol):
    """A mask, or probabilities: classes over a slide, in a file."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def grid(self) -> RasterGrid:
        """Where its px are."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its classes, value 1 first."""


def check_pair(truth: Mask, prediction: OverSlide, classes: int) -> None:
    """MaskError when the class names differ or the two rasters do not lie over one slide."""
    _check_names(truth, prediction, classes)
    _check_scale(truth, prediction)
    try:
        truth.check_same_slide(prediction.grid)
    except MaskError as error:
        raise MaskError(f"{prediction.path} does not fit: {error}") from error


def _check_names(truth: Mask, prediction: OverSlide, classes: int) -> None:
    if truth.names != prediction.names:
        raise MaskError(
            f"{prediction.path}: classes are {', '.join(prediction.names)}, those of {truth.path} are"
            f" {', '.join(truth.names)}: make both with one label map"
        )
    if len(truth.names) != classes:
        raise MaskError(f"{truth.path}: has {len(truth.names)} classes, wanted {classes}: make it again")


def _check_scale(truth: Mask, prediction: OverSlide) -> None:
    """Both must take a level-0 pixel for equally large: else equal µm would be different places."""
    mine, theirs = _level_0_spacing(truth.grid), _level_0_spacing(prediction.grid)
    # Not "any differs": a spacing that is not a number must not pass.
    if not all(isclose(one, other, rel_tol=1e-6) for one, other in zip(mine, theirs, strict=True)):
        raise MaskError(
            f"{prediction.path}: takes a level-0 px of the slide for {theirs[0]:g} x {theirs[1]:g} µm,"
            f" {truth.path} for {mine[0]:g} x {mine[1]:g} µm: make both with one spacing of the slide"
        )


def _level_0_spacing(grid: RasterGrid) -> tuple[float, float]:
    return grid.spacing / grid.step_x, grid.spacing / grid.step_y
