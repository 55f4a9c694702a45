"""Whether probabilities mean what they say: of the px given 80 %, are 80 % right?

Probabilities are stored as bytes, level 0..255 for 0..1, so px counted by level hold all there is to know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hooknet.errors import MaskError

Levels = NDArray[np.int64]
Floats = NDArray[np.float64]

LEVELS = 256
BINS = 15


@dataclass(frozen=True)
class CalibrationCounts:
    """Annotated px of K classes by stored probability.

    ``pixels`` (K + 1, 256): row 0 by the probability of the likeliest class, row k by that of class k.  ``right``,
    of the same shape: how many of them are truly of that class.  ``unpredicted``: px without a prediction, which
    are in neither.
    """

    pixels: Levels
    right: Levels
    unpredicted: int

    @property
    def classes(self) -> int:
        """K."""
        return len(self.pixels) - 1


def count_levels(truth: NDArray[np.uint8], shares: NDArray[np.uint8]) -> CalibrationCounts:
    """The counts of an array (height, width) of values 0..K and probabilities (K, height, width), 0..255.

    Truth 0 is not annotated and not counted.  All K bands 0: not predicted.  Of classes with one highest level the
    first is taken for the likeliest (a map, made before rounding, may say another).  MaskError for other shapes or
    values.
    """
    classes = len(shares)
    if shares.shape[1:] != truth.shape:
        raise MaskError(
            f"truth is {truth.shape} px, probabilities are {shares.shape[1:]} px, wanted one shape: read both on"
            " one grid"
        )
    if truth.size and truth.max() > classes:
        raise MaskError(f"truth holds the value {truth.max()}, wanted 0..{classes}: check the label map")
    # One px is one number: its truth in the high byte, its level in the low one.
    high = truth.astype(np.uint16) << 8
    joint = np.stack([_histogram(high + level, classes + 1) for level in shares])[:, 1:]
    likeliest, highest = _likeliest(shares)
    # 0 not annotated, 1 wrong, 2 right.
    state = (truth != 0).astype(np.uint16) + (likeliest == truth)
    _, wrong, right = _histogram((state << 8) + highest, 3)
    # Where the highest level is 0 nothing was predicted: such px stand at level 0 of every class, take them out.
    bare = _histogram(high[highest == 0], classes + 1)[1:, 0]
    pixels = np.concatenate([[wrong + right], joint.sum(axis=1)])
    hits = np.concatenate([[right], joint[np.arange(classes), np.arange(classes)]])
    pixels[:, 0] -= bare.sum()
    hits[0, 0] = 0
    hits[1:, 0] -= bare
    return CalibrationCounts(pixels, hits, int(bare.sum()))


def _likeliest(shares: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first class of the highest level, and that level, of each px."""
    highest = shares[0].copy()
    likeliest = np.ones_like(highest)
    for value, level in enumerate(shares[1:], start=2):
        likeliest[level > highest] = value
        np.maximum(highest, level, out=highest)
    return likeliest, highest


def merge_levels(many: Iterable[CalibrationCounts], classes: int) -> CalibrationCounts:
    """The sum of counts of ``classes`` K: zeros if there are none."""
    shape = classes + 1, LEVELS
    pixels, right, unpredicted = np.zeros(shape, np.int64), np.zeros(shape, np.int64), 0
    for one in many:
        if one.pixels.shape != shape or one.right.shape != shape:
            raise MaskError(
                f"calibration counts are of {one.classes} classes, wanted {classes}: measure all slides with one"
                " label map"
            )
        pixels += one.pixels
        right += one.right
        unpredicted += one.unpredicted
    return CalibrationCounts(pixels, right, unpredicted)


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram, (bins,) arrays.

    Bin i holds what was given a probability in (``low``, ``high``], the first one 0 too.  ``confidence`` and
    ``accuracy``: mean probability, and share that was right, of its ``pixels``; nan where there are none.
    """

    low: Floats
    high: Floats
    confidence: Floats
    accuracy: Floats
    pixels: Levels


def reliability(pixels: Levels, right: Levels, bins: int = BINS) -> Reliability:
    """The diagram of (256,) counts by level (a row of :class:`CalibrationCounts`) in ``bins`` of equal width."""
    levels = np.arange(LEVELS)
    # In whole numbers: a level on the border of two bins belongs to the lower one, exactly.
    which = np.maximum(-(-levels * bins // (LEVELS - 1)) - 1, 0)
    number, hits, total = np.zeros(bins, np.int64), np.zeros(bins, np.int64), np.zeros(bins, np.int64)
    np.add.at(number, which, pixels)
    np.add.at(hits, which, right)
    np.add.at(total, which, pixels * levels)
    edges = np.arange(bins + 1) / bins
    return Reliability(
        low=edges[:-1],
        high=edges[1:],
        confidence=_share(total, number) / (LEVELS - 1),
        accuracy=_share(hits, number),
        pixels=number,
    )


def ece(pixels: Levels, right: Levels, bins: int = BINS) -> float:
    """Expected calibration error of (256,) counts by level: mean |accuracy - confidence| over px, by bin.

    Guo et al. 2017 (ICML), 15 bins of equal width; of a single class against the rest it is the class-wise error
    of Kull et al. 2019 (NeurIPS).  nan without px.
    """
    found = reliability(pixels, right, bins)
    filled = found.pixels > 0
    if not filled.any():
        return float("nan")
    gaps = np.abs(found.accuracy - found.confidence)[filled]
    return float(np.average(gaps, weights=found.pixels[filled]))


@dataclass(frozen=True)
class RiskCoverage:
    """Errors among what is kept when the least sure px are dropped first, (points,) arrays.

    Point i keeps the px of a ``level`` and above: ``kept`` is their share of all, ``error`` the share of them that is
    wrong.  The first point keeps all.
    """

    level: Levels
    kept: Floats
    error: Floats


def risk_coverage(pixels: Levels, right: Levels) -> RiskCoverage:
    """The curve of (256,) counts by level of the likeliest class, a point for each level that has px.

    Geifman and El-Yaniv 2017 (NeurIPS), section 2, by the softmax response.  Px of one level are not told apart.
    """
    levels = np.flatnonzero(pixels)
    above = np.cumsum(pixels[::-1])[::-1][levels]
    hits = np.cumsum(right[::-1])[::-1][levels]
    return RiskCoverage(levels, above / max(1, int(pixels.sum())), 1 - _share(hits, above))


def error_of_least_sure(pixels: Levels, right: Levels, share: float) -> float:
    """The share that is wrong of a ``share`` of all px, those whose likeliest class is least likely.

    Of the level that lies across the border as many as are wanted, wrong as often as all of that level.  nan without
    px.
    """
    wanted = share * pixels.sum()
    before = np.cumsum(pixels) - pixels
    taken = np.clip(wanted - before, 0, pixels)
    wrong = np.divide(pixels - right, pixels, out=np.zeros(pixels.shape), where=pixels > 0)
    return float((taken * wrong).sum() / wanted) if wanted > 0 else float("nan")


def _histogram(numbers: NDArray[np.uint16], rows: int) -> Levels:
    """How often each number occurs, (rows, 256) by its high and low byte."""
    return np.bincount(numbers.ravel(), minlength=rows * LEVELS).astype(np.int64).reshape(rows, LEVELS)


def _share(part: Levels, whole: Levels) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return share
