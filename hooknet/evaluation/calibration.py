"""Count one slide's probabilities against its truth, keep the counts in a table, and sum up systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hooknet.coordinates import blocks
from hooknet.errors import MaskError
from hooknet.evaluation import slides as counting
from hooknet.evaluation.slides import NO_PREDICTION
from hooknet.evaluation.system import Measured
from hooknet.io.formats import Format
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.metrics.calibration import (
    LEVELS,
    CalibrationCounts,
    count_levels,
    ece,
    error_of_least_sure,
    merge_levels,
    reliability,
    risk_coverage,
)

#: What stands for the likeliest class where a class is named.
TOP = "(top)"
CALIBRATION = Format(
    ("slide", "class", "level", "pixels", "right"), what="calibration counts", remedy="measure again"
)
TABLE = ("system", "experiment", "seed", "class", "ece", "pixels", "unpredicted")
#: Of the least sure so many are looked at by themselves.
TENTH = 0.1
RISK = ("system", "experiment", "seed", "error", "error_least_sure", "error_others", "pixels")
CURVE = ("system", "level", "kept", "error")
DIAGRAM = ("system", "class", "bin", "low", "high", "confidence", "accuracy", "pixels")

Cell = tuple[str, str]


def measure_calibration(truth: Mask, probabilities: Probabilities, classes: int) -> CalibrationCounts:
    """The counts of a slide in px of the truth's grid (see :mod:`hooknet.metrics.calibration`).

    Probabilities are sampled under each truth pixel's centre, as maps are in counting.  Memory does not grow with
    the slide.  MaskError as :func:`hooknet.evaluation.slides.check_pair`.
    """
    counting.check_pair(truth, probabilities, classes)
    total = merge_levels((), classes)
    for block in blocks(truth.grid.width, truth.grid.height, counting.BLOCK):
        if truth.is_empty(*block):
            continue
        labels = truth.read(*block)
        if labels.any():
            try:
                found = count_levels(labels, probabilities.read_as(truth.grid, *block))
            except MaskError as error:
                raise MaskError(f"{truth.path} against {probabilities.path}: {error}") from error
            total = merge_levels((total, found), classes)
    return total


def write_calibration(
    path: str | Path, slides: Mapping[str, CalibrationCounts], names: Sequence[str]
) -> None:
    """Write the counts of slides as CSV ``slide,class,level,pixels,right``, zeros too.

    256 rows each of ``(top)``, the likeliest class, and of every class; and a row of ``(none)`` at level 0, of the
    annotated px without a prediction.
    """
    for slide, one in slides.items():
        if one.classes != len(names):
            raise MaskError(f"{path}: slide {slide} has counts of {one.classes} classes, wanted {len(names)}")
    rows = (
        (slide, *cell, *numbers)
        for slide, one in slides.items()
        for cell, numbers in zip(_cells(names), _numbers(one), strict=True)
    )
    CALIBRATION.write(path, rows)


def read_calibration(path: str | Path, names: Sequence[str]) -> dict[str, CalibrationCounts]:
    """Slide -> counts, of a file of :func:`write_calibration`.

    Raises MaskError when it is missing or no such table, when a slide's rows are not those of classes ``names``,
    each once and in the order they were written, or when more px are right than there are.
    """
    cells = list(_cells(names))
    slides: dict[str, list[tuple[int, int]]] = {}
    for line, (slide, name, level, pixels, right) in CALIBRATION.read(path):
        rows = slides.setdefault(slide, [])
        if len(rows) == len(cells) or (name, level) != cells[len(rows)]:
            wanted = "no more rows" if len(rows) == len(cells) else " at level ".join(cells[len(rows)])
            raise MaskError(
                f"{path}: line {line} counts {name!r} at level {level!r}, wanted {wanted} of slide {slide}:"
                " measure again"
            )
        if not (counting.is_count(pixels) and counting.is_count(right) and int(right) <= int(pixels)):
            raise MaskError(
                f"{path}: line {line} has {right[:60]!r} of {pixels[:60]!r} pixels right, wanted whole numbers,"
                " the first not above the second: measure again"
            )
        rows.append((int(pixels), int(right)))
    for slide, rows in slides.items():
        if len(rows) < len(cells):
            raise MaskError(
                f"{path}: slide {slide} has {len(rows)} rows, wanted {len(cells)}: the file was cut short,"
                " measure again"
            )
    return {slide: _counts(rows) for slide, rows in slides.items()}


def _cells(names: Sequence[str]) -> Iterator[Cell]:
    """Class and level of each row of a slide."""
    for name in (TOP, *names):
        for level in range(LEVELS):
            yield name, str(level)
    yield NO_PREDICTION, "0"


def _numbers(one: CalibrationCounts) -> Iterator[tuple[int, int]]:
    """Pixels and right of each row of a slide."""
    yield from zip(one.pixels.ravel().tolist(), one.right.ravel().tolist(), strict=True)
    yield one.unpredicted, 0


def _counts(rows: list[tuple[int, int]]) -> CalibrationCounts:
    table = np.array(rows[:-1], np.int64)
    pixels, right = (column.reshape(-1, LEVELS) for column in table.T)
    return CalibrationCounts(pixels, right, rows[-1][0])


def calibration_tables(
    systems: Sequence[Measured[CalibrationCounts]], names: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Expected calibration error of each system and class (see TABLE), and its reliability diagrams (see DIAGRAM).

    All slides' px pooled; ``(top)`` first, then each class against the rest.  ``pixels`` are those with a
    prediction, ``unpredicted`` those without.  A class without truth has ``ece`` nan: near 0, as it would mostly
    be, it says nothing.
    """
    errors, diagrams = [], []
    for one in systems:
        counts = merge_levels(one.slides.values(), len(names))
        for name, pixels, right in zip((TOP, *names), counts.pixels, counts.right, strict=True):
            absent = name != TOP and not right.any()
            error = float("nan") if absent else ece(pixels, right)
            about = (one.name, one.experiment, one.seed, name)
            errors.append((*about, error, int(pixels.sum()), counts.unpredicted))
            found = reliability(pixels, right)
            bins = zip(
                found.low, found.high, found.confidence, found.accuracy, found.pixels.tolist(), strict=True
            )
            diagrams += [(one.name, name, number, *values) for number, values in enumerate(bins)]
    table = pd.DataFrame(errors, columns=list(TABLE)).astype({"seed": "Int64"})
    return table, pd.DataFrame(diagrams, columns=list(DIAGRAM))


def risk_tables(
    systems: Sequence[Measured[CalibrationCounts]], names: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How wrong each system is where it is least sure (see RISK), and when that is dropped (see CURVE).

    Sure is the probability of the likeliest class; all slides' px with a prediction are pooled.  ``error`` is the share
    of wrong px of all, ``error_least_sure`` of the least sure tenth, ``error_others`` of the other nine.
    """
    errors, curves = [], []
    for one in systems:
        counts = merge_levels(one.slides.values(), len(names))
        pixels, right = counts.pixels[0], counts.right[0]
        whole = error_of_least_sure(pixels, right, 1.0)
        least = error_of_least_sure(pixels, right, TENTH)
        others = (whole - TENTH * least) / (1 - TENTH)
        errors.append((one.name, one.experiment, one.seed, whole, least, others, int(pixels.sum())))
        found = risk_coverage(pixels, right)
        points = zip(found.level.tolist(), found.kept, found.error, strict=True)
        curves += [(one.name, *values) for values in points]
    table = pd.DataFrame(errors, columns=list(RISK)).astype({"seed": "Int64"})
    return table, pd.DataFrame(curves, columns=list(CURVE))
