"""Pixel counts: which truth met which prediction."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hooknet.errors import MaskError

Counts = NDArray[np.int64]


def no_counts(classes: int) -> Counts:
    """The (K, K + 1) matrix of zeros for ``classes`` K."""
    return np.zeros((classes, classes + 1), np.int64)


def count(truth: NDArray[np.integer], prediction: NDArray[np.integer], classes: int) -> Counts:
    """The (K, K + 1) pixel counts: rows are truth 1..K, columns are predictions 0..K.

    Both arrays have one shape and hold values 0..K.  Pixels with truth 0 are not annotated and not counted,
    whatever was predicted there.  Column 0 holds annotated pixels without a prediction: they are misses.
    Raises MaskError for other shapes or values.
    """
    if truth.shape != prediction.shape:
        raise MaskError(
            f"truth is {truth.shape} px, prediction is {prediction.shape} px, wanted one shape:"
            " read both on one grid"
        )
    annotated = truth != 0
    rows = _checked(truth[annotated], classes, "truth")
    columns = _checked(prediction[annotated], classes, "prediction")
    flat = np.bincount((rows - 1) * (classes + 1) + columns, minlength=classes * (classes + 1))
    return flat.reshape(classes, classes + 1).astype(np.int64)


def merge(many: Iterable[Counts], classes: int) -> Counts:
    """The sum of count matrices of ``classes`` K: zeros if there are none."""
    total = no_counts(classes)
    for one in many:
        if one.shape != total.shape:
            raise MaskError(
                f"counts are {one.shape}, wanted {total.shape} for {classes} classes:"
                " count all slides with one label map"
            )
        total += one
    return total


def _checked(values: NDArray[np.integer], classes: int, what: str) -> NDArray[np.int64]:
    if values.size and (values.min() < 0 or values.max() > classes):
        odd = values.min() if values.min() < 0 else values.max()
        raise MaskError(f"{what} holds the value {odd}, wanted 0..{classes}: check the label map")
    return values.astype(np.int64)
