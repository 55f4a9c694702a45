"""Score the volumes that slices make up in 3D, keep the scores in a table, and sum up systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.evaluation.class_rows import read_by_class
from hooknet.evaluation.slides import check_pair
from hooknet.evaluation.system import MACRO, Measured
from hooknet.io.formats import Format
from hooknet.io.masks import Mask
from hooknet.labels import BACKGROUND
from hooknet.metrics.confusion import count
from hooknet.metrics.volumes import Labels, VolumeScore, score_volume

VOLUMES = Format(
    (
        "volume",
        "class",
        "x_mm",
        "y_mm",
        "z_mm",
        "tp",
        "fp",
        "fn",
        "truth_surface",
        "prediction_surface",
        "dice",
        "iou",
        "precision",
        "recall",
        "hd95_mm",
        "note",
    ),
    what="scores of volumes",
    remedy="measure again",
)
# What is told of each class of a volume, and mean and SD over volumes of it.
SCORES = ("dice", "iou", "precision", "recall", "hd95_mm")
VOLUME_SCORES = ("system", "experiment", "seed", "volume", "class", *SCORES, "present", "unpredicted", "note")
TABLE = (
    "system",
    "experiment",
    "seed",
    "class",
    "n",
    *(f"{score}_{what}" for score in SCORES for what in ("mean", "sd")),
    "hd95_n",
    "unpredicted",
)


@dataclass(frozen=True)
class SliceFiles:
    """The masks of one slice, and which slice of its volume it is."""

    position: int
    truth: Path
    prediction: Path


def measure_volume(
    slices: Sequence[SliceFiles], thickness: float, names: Sequence[str]
) -> tuple[VolumeScore, ...]:
    """The score of each class, value 1 first, of slices ``thickness`` mm apart (see :mod:`hooknet.metrics.volumes`).

    On the truth's grid, a voxel being a px of it: the maps are sampled under the centres of its px, as in counting.
    All of the volume is in memory, 2 bytes a voxel; the rest goes with the box around a class.  MaskError for slices
    that do not follow each other, for truths of different grids or of other classes than ``names``, and for maps that
    are not of their truths.
    """
    ordered = sorted(slices, key=lambda one: one.position)
    _check_positions(ordered)
    with Mask.open(ordered[0].truth) as first:
        grid = first.grid
    truth, prediction = (np.zeros((len(ordered), grid.height, grid.width), np.uint8) for _ in range(2))
    for place, one in enumerate(ordered):
        truth[place], prediction[place] = _read(one, grid, names, ordered[0].truth)
    side = grid.spacing / 1000
    return tuple(
        score_volume(truth, prediction, value, (side, side, thickness)) for value in range(1, len(names) + 1)
    )


def _check_positions(slices: Sequence[SliceFiles]) -> None:
    """MaskError unless each slice follows the one before it; the first may have any position."""
    if not slices:
        raise MaskError("a volume has no slices, wanted at least one: list its slices")
    for before, one in pairwise(slices):
        if one.position == before.position:
            raise MaskError(
                f"{before.truth} and {one.truth} both have position {one.position}: give each its own"
            )
        if one.position != before.position + 1:
            raise MaskError(
                f"{one.truth} has position {one.position} and the slice before it {before.position}, wanted"
                f" {before.position + 1}: add the slices between them"
            )


def _read(one: SliceFiles, grid: RasterGrid, names: Sequence[str], first: Path) -> tuple[Labels, Labels]:
    """Truth and prediction of a slice, checked against the volume's first truth."""
    with Mask.open(one.truth) as truth, Mask.open(one.prediction) as prediction:
        if truth.names != tuple(names):
            raise MaskError(
                f"{one.truth}: classes are {', '.join(truth.names)}, wanted {', '.join(names)}: make it again"
            )
        if truth.grid != grid:
            found, wanted = (f"{of.width} x {of.height} px of {of.spacing:g} µm" for of in (truth.grid, grid))
            raise MaskError(
                f"{one.truth}: has {found}, wanted {wanted} as {first}: slices of one volume have one grid"
            )
        check_pair(truth, prediction, len(names))
        labels = truth.read(0, 0, grid.width, grid.height)
        predicted = prediction.read_as(grid, 0, 0, grid.width, grid.height)
        try:
            count(labels, predicted, len(names))
        except MaskError as error:
            raise MaskError(f"{one.truth} against {one.prediction}: {error}") from error
    return labels, predicted


def write_volumes(
    path: str | Path, volumes: Mapping[str, Sequence[VolumeScore]], names: Sequence[str]
) -> None:
    """Write the scores of volumes as CSV, a row per class (columns: see VOLUMES); floats in full."""
    rows = (
        _row(volume, name, score)
        for volume, scores in volumes.items()
        for name, score in zip(names, scores, strict=True)
    )
    VOLUMES.write(path, rows)


def read_volumes(path: str | Path, names: Sequence[str]) -> dict[str, tuple[VolumeScore, ...]]:
    """Volume -> score of each class, of a file of :func:`write_volumes`.

    Raises MaskError when it is missing or no such table, when a volume does not have each of ``names`` once and in
    this order, or when a row's numbers do not give the scores that stand in it.
    """
    return read_by_class(path, VOLUMES, names, "volume", _score)


def _row(volume: str, name: str, score: VolumeScore) -> list[str]:
    numbers = (score.tp, score.fp, score.fn, score.truth_surface, score.prediction_surface)
    return [
        volume,
        name,
        *(repr(float(side)) for side in score.size_mm),
        *map(str, numbers),
        *(repr(float(getattr(score, one))) for one in SCORES),
        score.note,
    ]


def _score(row: list[str], place: str) -> VolumeScore:
    try:
        score = VolumeScore(
            tp=int(row[5]),
            fp=int(row[6]),
            fn=int(row[7]),
            size_mm=(float(row[2]), float(row[3]), float(row[4])),
            truth_surface=int(row[8]),
            prediction_surface=int(row[9]),
            hd95_mm=float(row[14]),
        )
    except ValueError as error:
        raise MaskError(f"{place} has cells that are no numbers ({error}): measure again") from error
    if _row(row[0], row[1], score) != row:
        raise MaskError(f"{place} does not agree with itself, it was changed by hand: measure again")
    return score


def volume_scores(systems: Sequence[Measured[tuple[VolumeScore, ...]]], names: Sequence[str]) -> pd.DataFrame:
    """A row per system, volume and class, then ``macro`` (see VOLUME_SCORES): its plain mean over the classes present.

    ``background`` is in no mean, as is usual of volumes: of so many voxels Dice is near 1 whatever was found.
    A mean is nan where it is not defined for one of these, rather than flattering; ``note`` tells the first reason.
    """
    rows: list[tuple[object, ...]] = []
    for one in systems:
        for volume, scores in one.slides.items():
            about = (one.name, one.experiment, one.seed, volume)
            for name, score in zip(names, scores, strict=True):
                numbers = (getattr(score, column) for column in SCORES)
                rows.append((*about, name, *numbers, score.present, score.unpredicted, score.note))
            counted = [score for name, score in zip(names, scores, strict=True) if name != BACKGROUND]
            rows.append((*about, MACRO, *_macro([score for score in counted if score.present])))
    return pd.DataFrame(rows, columns=list(VOLUME_SCORES)).astype({"seed": "Int64"})


def _macro(present: Sequence[VolumeScore]) -> tuple[object, ...]:
    """From the scores on: what is told of all classes of a volume that has these."""
    numbers = [[getattr(score, column) for score in present] for column in SCORES]
    notes = [score.note for score in present if score.note] if present else ["no truth of any class"]
    return (
        *(float(np.mean(one)) if one else float("nan") for one in numbers),
        bool(present),
        any(score.unpredicted for score in present),
        notes[0] if notes else "",
    )


def volume_table(scores: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Each system's scores as mean and sample SD over volumes, a row per class, then ``macro`` (see TABLE).

    ``scores``: of :func:`volume_scores`.  ``n``: the volumes with truth of the class, which means are over, one weight
    each.  ``unpredicted``: how many of them were given none of it, or none of one of its classes; the mean precision
    is nan then.  ``hd95_n``: on how many HD95 is defined; its mean (mm) is over these only, so look whether they are
    fewer.
    """
    rows = []
    for system, of_system in scores.groupby("system", sort=False):
        for name in (*names, MACRO):
            of = of_system[of_system["class"] == name]
            present, about = of[of["present"].astype(bool)], of.iloc[0]
            moments: list[float] = []
            for column in SCORES:
                skipped = column == "hd95_mm"
                moments += [present[column].mean(skipna=skipped), present[column].std(skipna=skipped)]
            counts = (int(present["hd95_mm"].notna().sum()), int(present["unpredicted"].sum()))
            rows.append((system, about["experiment"], about["seed"], name, len(present), *moments, *counts))
    return pd.DataFrame(rows, columns=list(TABLE)).astype({"seed": "Int64"})
