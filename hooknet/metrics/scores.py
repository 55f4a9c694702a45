"""Precision, recall, F1 and IoU from pixel counts.

One convention everywhere (training's validation, a slide, all test slides pooled): a class is *present* where
the truth has at least one pixel of it.  Means run over the present classes only; an absent class has F1, IoU
and recall nan.  A false positive of an absent class is still a false negative of the class it was taken for,
and counts in full as soon as slides are pooled with one that has the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hooknet.errors import MaskError
from hooknet.metrics.confusion import Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Scores of K classes, value 1 first, as (K,) arrays, and their means over the present classes.

    ``support`` is in annotated pixels.  Undefined ratios are nan: recall, F1 and IoU of an absent class;
    precision of a class that was never predicted (and then the mean precision too, rather than a flattering
    mean over the others).
    """

    precision: Floats
    recall: Floats
    f1: Floats
    iou: Floats
    support: NDArray[np.int64]
    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_iou: float
    micro_precision: float
    micro_recall: float
    micro_f1: float
    micro_iou: float

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which of the K classes have truth."""
        return self.support > 0

    @property
    def prevalence(self) -> Floats:
        """Each class's share of the annotated px, (K,); nan where nothing is annotated."""
        return _ratio(self.support, self.support.sum(keepdims=True))


def scores(counts: Counts) -> Scores:
    """All scores of a (K, K + 1) count matrix (see :func:`hooknet.metrics.confusion.count`).

    TP is the diagonal.  FP are annotated pixels of other classes that were given this one.  FN are pixels of
    this class given another one or, column 0, none.  F1 = 2 TP / (2 TP + FP + FN), which is Dice; IoU =
    TP / (TP + FP + FN).  ``macro_*`` is the plain mean over the present classes (Haghighi 2018, as the paper
    reports), ``micro_*`` is of all TP, FP and FN added up.
    """
    if counts.ndim != 2 or counts.shape[1] != counts.shape[0] + 1:
        raise MaskError(
            f"counts are {counts.shape}, wanted (K, K + 1): rows truth 1..K, columns predictions 0..K"
        )
    support = counts.sum(axis=1)
    present = support > 0
    tp = np.diagonal(counts[:, 1:])
    fp = counts[:, 1:].sum(axis=0) - tp
    fn = support - tp
    precision = _ratio(tp, tp + fp)
    recall, f1, iou = (
        np.where(present, ratio, np.nan)
        for ratio in (_ratio(tp, support), _ratio(2 * tp, 2 * tp + fp + fn), _ratio(tp, tp + fp + fn))
    )
    micro = [np.atleast_1d(one.sum()) for one in (tp, fp, fn)]
    return Scores(
        precision=precision,
        recall=recall,
        f1=f1,
        iou=iou,
        support=support,
        macro_precision=_mean(precision, present),
        macro_recall=_mean(recall, present),
        macro_f1=_mean(f1, present),
        macro_iou=_mean(iou, present),
        micro_precision=float(_ratio(micro[0], micro[0] + micro[1])[0]),
        micro_recall=float(_ratio(micro[0], micro[0] + micro[2])[0]),
        micro_f1=float(_ratio(2 * micro[0], 2 * micro[0] + micro[1] + micro[2])[0]),
        micro_iou=float(_ratio(micro[0], micro[0] + micro[1] + micro[2])[0]),
    )


def row_normalised(counts: Counts) -> Floats:
    """Counts as shares of their row (truth class), (K, K + 1); rows without truth are nan."""
    return _ratio(counts, counts.sum(axis=1, keepdims=True))


def _ratio(above: NDArray[np.int64], below: NDArray[np.int64]) -> Floats:
    below = np.broadcast_to(below, above.shape)
    ratio: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio


def _mean(values: Floats, present: NDArray[np.bool_]) -> float:
    return float(values[present].mean()) if present.any() else float("nan")
