"""Measure the boundaries in one slide's map, keep the scores of slides in a table, and sum up systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd

from hooknet.coordinates import blocks
from hooknet.errors import MaskError
from hooknet.evaluation import slides as counting
from hooknet.evaluation.class_rows import read_by_class
from hooknet.evaluation.system import MACRO, Measured
from hooknet.io.formats import Format
from hooknet.io.masks import Mask
from hooknet.metrics.boundaries import BoundaryScore, Points, elements, score_boundary
from hooknet.metrics.confusion import count

BOUNDARIES = Format(
    (
        "slide",
        "class",
        "tolerance_um",
        "truth_pixels",
        "truth_elements",
        "prediction_elements",
        "truth_within",
        "prediction_within",
        "surface_dice",
        "hd95_um",
        "note",
    ),
    what="boundary scores",
    remedy="measure again",
)
TABLE = (
    "system",
    "experiment",
    "seed",
    "class",
    "tolerance_um",
    "slides",
    "surface_dice_mean",
    "surface_dice_median",
    "hd95_slides",
    "hd95_um_median",
)
# The table of slides, one by one.
SLIDES = ("system", "experiment", "seed", "slide", "class", "tolerance_um", "surface_dice", "hd95_um", "note")


def measure_boundaries(
    truth: Mask, prediction: Mask, classes: int, tolerance_um: float
) -> tuple[BoundaryScore, ...]:
    """The boundary score of each class, value 1 first, on the truth's grid (see :mod:`hooknet.metrics.boundaries`).

    The prediction is sampled under each truth pixel's centre, as in counting.  Meant for dense truth: where only
    some regions are annotated, most boundaries are not in it.  Memory goes with the length of the boundaries, 8
    bytes an element and class, not with the slide.  MaskError as :func:`hooknet.evaluation.slides.check_pair`, and
    for a tolerance that is no length.
    """
    if not (isfinite(tolerance_um) and tolerance_um >= 0):
        raise MaskError(f"{truth.path}: a tolerance of {tolerance_um} µm, wanted 0 or more: correct it")
    counting.check_pair(truth, prediction, classes)
    pixels = np.zeros(classes, np.int64)
    found: list[tuple[list[Points], list[Points]]] = [([], []) for _ in range(classes)]
    for block in blocks(truth.grid.width, truth.grid.height, counting.BLOCK):
        if not truth.is_empty(*block):
            pixels += _take(truth, prediction, block, found)
    return tuple(
        score_boundary(_joined(mine), _joined(theirs), truth.grid.spacing, tolerance_um, int(number))
        for (mine, theirs), number in zip(found, pixels, strict=True)
    )


def _take(
    truth: Mask,
    prediction: Mask,
    block: tuple[int, int, int, int],
    found: Sequence[tuple[list[Points], list[Points]]],
) -> np.ndarray:
    """Add a block's boundary elements of each class to ``found`` (truth, prediction); its px of each class."""
    column, row, width, height = block
    # One px more to the right and below: the edges towards the neighbours are this block's.
    labels = truth.read(column, row, width + 1, height + 1)
    predicted = prediction.read_as(truth.grid, column, row, width + 1, height + 1)
    annotated = labels != 0
    corner = np.array([2 * column, 2 * row], np.int32)
    for value, both in enumerate(found, start=1):
        for raster, mine in zip((labels, predicted), both, strict=True):
            mine.append(elements(raster, annotated, value) + corner)
    try:
        support: np.ndarray = count(labels[:-1, :-1], predicted[:-1, :-1], len(found)).sum(axis=1)
    except MaskError as error:
        raise MaskError(f"{truth.path} against {prediction.path}: {error}") from error
    return support


def _joined(parts: list[Points]) -> Points:
    return np.concatenate(parts) if parts else np.zeros((0, 2), np.int32)


def write_boundaries(
    path: str | Path, slides: Mapping[str, Sequence[BoundaryScore]], names: Sequence[str]
) -> None:
    """Write the boundary scores of slides as CSV, a row per class (columns: see BOUNDARIES); floats in full."""
    rows = (
        _row(slide, name, score)
        for slide, scores in slides.items()
        for name, score in zip(names, scores, strict=True)
    )
    BOUNDARIES.write(path, rows)


def read_boundaries(path: str | Path, names: Sequence[str]) -> dict[str, tuple[BoundaryScore, ...]]:
    """Slide -> score of each class, of a file of :func:`write_boundaries`.

    Raises MaskError when it is missing or no such table, when a slide does not have each of ``names`` once and in
    this order, or when a row's numbers do not give the score that stands in it.
    """
    return read_by_class(path, BOUNDARIES, names, "slide", _score)


def _row(slide: str, name: str, score: BoundaryScore) -> list[str]:
    numbers = [score.truth_pixels, score.truth_elements, score.prediction_elements]
    numbers += [score.truth_within, score.prediction_within]
    return [
        slide,
        name,
        repr(float(score.tolerance_um)),
        *map(str, numbers),
        repr(score.surface_dice),
        repr(score.hd95_um),
        score.note,
    ]


def _score(row: list[str], place: str) -> BoundaryScore:
    try:
        score = BoundaryScore(
            tolerance_um=float(row[2]),
            truth_pixels=int(row[3]),
            truth_elements=int(row[4]),
            prediction_elements=int(row[5]),
            truth_within=int(row[6]),
            prediction_within=int(row[7]),
            hd95_um=float(row[9]),
        )
    except ValueError as error:
        raise MaskError(f"{place} has cells that are no numbers ({error}): measure again") from error
    if _row(row[0], row[1], score) != row:
        raise MaskError(f"{place} does not agree with itself, it was changed by hand: measure again")
    return score


def boundary_slides(
    systems: Sequence[Measured[tuple[BoundaryScore, ...]]], names: Sequence[str]
) -> pd.DataFrame:
    """A row per system, slide and class, then ``macro`` (see SLIDES).

    That is the mean over the classes that have a boundary in the truth, nan where it is not defined for one of these;
    ``note`` tells the first reason.
    """
    rows: list[tuple[object, ...]] = []
    for one in systems:
        for slide, scores in one.slides.items():
            about = (one.name, one.experiment, one.seed, slide)
            for name, score in zip(names, scores, strict=True):
                told = (score.tolerance_um, score.surface_dice, score.hd95_um, score.note)
                rows.append((*about, name, *told))
            there = [score for score in scores if score.truth_elements]
            notes = [score.note for score in there if score.note] if there else ["no boundary in the truth"]
            macro = (
                float(np.mean(values)) if values else float("nan")
                for values in ([score.surface_dice for score in there], [score.hd95_um for score in there])
            )  # fmt: skip
            rows.append((*about, MACRO, scores[0].tolerance_um, *macro, notes[0] if notes else ""))
    return pd.DataFrame(rows, columns=list(SLIDES)).astype({"seed": "Int64"})


def boundary_table(
    systems: Sequence[Measured[tuple[BoundaryScore, ...]]], names: Sequence[str]
) -> pd.DataFrame:
    """Each system's boundary scores over its slides, a row per class (see TABLE).

    ``slides``: how many have a boundary of the class in their truth; mean and median of surface Dice are over
    these, one weight each.  ``hd95_slides``: how many of them have one in the map too; the median of HD95 (µm) is
    over these only, so look whether they are fewer.  MaskError when tolerances differ.
    """
    tolerances = sorted(
        {score.tolerance_um for one in systems for scores in one.slides.values() for score in scores}
    )
    if len(tolerances) > 1:
        told = ", ".join(f"{one:g}" for one in tolerances)
        raise MaskError(f"boundaries were measured at tolerances of {told} µm, wanted one: measure again")
    rows = []
    for one in systems:
        for at, name in enumerate(names):
            scores = [of_slide[at] for of_slide in one.slides.values()]
            dice = pd.Series([score.surface_dice for score in scores], dtype=float).dropna()
            hd95 = pd.Series([score.hd95_um for score in scores], dtype=float).dropna()
            about = (one.name, one.experiment, one.seed, name, tolerances[0] if tolerances else float("nan"))
            rows.append((*about, len(dice), dice.mean(), dice.median(), len(hd95), hd95.median()))
    return pd.DataFrame(rows, columns=list(TABLE)).astype({"seed": "Int64"})
