"""Scores of a labelled volume in 3D: overlap in voxels, and how far surfaces are apart in mm.

Only annotated voxels (truth above 0) count.  A *surface voxel* of a class is a voxel of it that shares a face with
one that is not, both annotated; it stands at its centre.  Where annotation ends, and at the volume's rim, there is no
surface, as there is no boundary in :mod:`hooknet.metrics.boundaries`: nobody said what lies beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hooknet.metrics.boundaries import PERCENTILE

Labels = NDArray[np.uint8]
Bools = NDArray[np.bool_]
# Of a voxel: x, y, z.
Millimetres = tuple[float, float, float]
Box = tuple[slice, ...]


@dataclass(frozen=True)
class VolumeScore:
    """How well one class of one volume was met.

    ``tp``, ``fp``, ``fn``: annotated voxels; a voxel without a prediction is a miss.  ``size_mm``: of a voxel, x, y
    and z.  ``*_surface``: surface voxels of truth and prediction.  ``hd95_mm``: nan where either has none.

    A class without truth is absent: all its scores are nan, whatever was predicted.  A class with truth that was not
    predicted has Dice, IoU and recall 0; its precision and HD95 are not defined, and no number is made up for them.
    """

    tp: int
    fp: int
    fn: int
    size_mm: Millimetres
    truth_surface: int
    prediction_surface: int
    hd95_mm: float

    @property
    def present(self) -> bool:
        """Whether the truth has the class."""
        return self.tp + self.fn > 0

    @property
    def unpredicted(self) -> bool:
        """Whether the truth has the class, and the prediction does not."""
        return self.present and self.tp + self.fp == 0

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN), which is F1."""
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return self._ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return self._ratio(self.tp, self.tp + self.fn)

    @property
    def note(self) -> str:
        """Why a score is nan; empty where all are numbers."""
        if not self.present:
            return "no truth of this class"
        if self.unpredicted:
            return "not predicted: precision and HD95 are undefined"
        for whose, voxels in (("truth", self.truth_surface), ("prediction", self.prediction_surface)):
            if not voxels:
                return f"no surface in the {whose}: HD95 is undefined"
        return ""

    def _ratio(self, above: int, below: int) -> float:
        return above / below if self.present and below else float("nan")


def score_volume(truth: Labels, prediction: Labels, value: int, size_mm: Millimetres) -> VolumeScore:
    """The score of class ``value`` from two label arrays (z, y, x), 0 not annotated and not predicted.

    HD95 is the larger of the two directed 95th percentiles of distances between centres of surface voxels,
    interpolated linearly.  Memory beyond bools goes with the box around the class, 12 bytes a voxel.
    """
    annotated = truth != 0
    mine, theirs = truth == value, (prediction == value) & annotated
    tp = int(np.count_nonzero(mine & theirs))
    fn, fp = int(np.count_nonzero(mine)) - tp, int(np.count_nonzero(theirs)) - tp
    found = box_around(mine | theirs)
    there, back = (surface(one[found], annotated[found]) for one in (mine, theirs))
    return VolumeScore(
        tp=tp,
        fp=fp,
        fn=fn,
        size_mm=size_mm,
        truth_surface=int(np.count_nonzero(there)),
        prediction_surface=int(np.count_nonzero(back)),
        hd95_mm=surface_distance(there, back, size_mm) if there.any() and back.any() else float("nan"),
    )


def box_around(inside: Bools) -> Box:
    """The smallest box with all that is true and its neighbours; an empty one where nothing is."""
    found = []
    for axis in range(inside.ndim):
        others = tuple(one for one in range(inside.ndim) if one != axis)
        places = np.flatnonzero(inside.any(axis=others))
        found.append(slice(max(places[0] - 1, 0), places[-1] + 2) if places.size else slice(0))
    return tuple(found)


def surface(inside: Bools, annotated: Bools) -> Bools:
    """Which voxels of a class are surface voxels; three arrays of one shape."""
    found = np.zeros_like(inside)
    for axis in range(inside.ndim):
        # Views with the axis first: what is set in one is set in the array itself.
        within, known, marks = (np.moveaxis(one, axis, 0) for one in (inside, annotated, found))
        border = (within[:-1] != within[1:]) & known[:-1] & known[1:]
        marks[:-1] |= border & within[:-1]
        marks[1:] |= border & within[1:]
    return found


def surface_distance(truth: Bools, prediction: Bools, size_mm: Millimetres) -> float:
    """HD95 in mm of two surfaces (z, y, x), none empty, whose voxels have ``size_mm`` (x, y, z)."""
    # From surface to surface.  From surface to *region*, as in the release of HDC-HRNet, whatever of a border lies
    # inside the other region is at distance 0, and a prediction that is too small is as good as the truth.
    there, back = distances(truth, prediction, size_mm), distances(prediction, truth, size_mm)
    return float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE)))


def distances(points: Bools, others: Bools, size_mm: Millimetres) -> NDArray[np.float64]:
    """Of each true voxel of ``points`` (in their order) the distance to the nearest of ``others``, in mm."""
    sampling = size_mm[::-1]
    # Which voxel is nearest, not how far it is: that would take thrice as much memory for voxels not asked for.
    nearest = ndimage.distance_transform_edt(
        ~others, sampling=sampling, return_distances=False, return_indices=True
    )
    places = np.nonzero(points)
    apart = [
        (there[places] - here) * step for there, here, step in zip(nearest, places, sampling, strict=True)
    ]
    lengths: NDArray[np.float64] = np.sqrt(np.sum(np.square(apart), axis=0))
    return lengths
