"""How far predicted boundaries are from true ones: surface Dice at a tolerance, and HD95.

A *boundary element* of a class is the edge between a px of the class and a neighbour (left, right, above, below)
that is not, both annotated; it stands where its midpoint is.  All edges are equally long, so numbers of elements
are lengths.  Where annotation ends, and at the raster's rim, there is no boundary: nobody said what lies beyond.
(In 3D, see :mod:`hooknet.metrics.volumes`, sides of a voxel differ in size: there a surface is the class's own voxels
along such edges, at their centres.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.int32]

PERCENTILE = 95
# The tree makes copies of what it is asked for: of so many points at once.
CHUNK = 2**20
# A distance that equals the tolerance is within, however its last digit came out.
ROUNDING = 1 + 1e-9


@dataclass(frozen=True)
class BoundaryScore:
    """How well the boundary of one class of one slide was met.

    ``truth_pixels``: annotated px of the class.  ``*_elements``: boundary elements of truth and prediction;
    ``*_within``: how many of them are within ``tolerance_um`` µm of the other's.  ``hd95_um``: µm, nan where either
    has no boundary.
    """

    tolerance_um: float
    truth_pixels: int
    truth_elements: int
    prediction_elements: int
    truth_within: int
    prediction_within: int
    hd95_um: float

    @property
    def surface_dice(self) -> float:
        """Share of both boundaries within the tolerance of the other (Nikolov et al. 2021, J Med Internet Res 23(7)).

        0 where the prediction has no boundary.  nan where the truth has none, whatever was predicted, so that it
        is defined on the same slides for every system.
        """
        if not self.truth_elements:
            return float("nan")
        within = self.truth_within + self.prediction_within
        return within / (self.truth_elements + self.prediction_elements)

    @property
    def note(self) -> str:
        """Why a score is nan; empty where both are numbers."""
        if not self.truth_pixels:
            return "no truth of this class"
        if not self.truth_elements:
            return "no boundary in the truth"
        return "" if self.prediction_elements else "no boundary in the prediction: HD95 is undefined"


def elements(labels: NDArray[np.integer], annotated: NDArray[np.bool_], value: int) -> Points:
    """Midpoints (n, 2) of a class's boundary elements, as (x, y) in *half* px from the corner of the arrays.

    Both arrays are (height + 1, width + 1): the last row and column belong to the neighbours below and to the
    right (0, not annotated, where there are none), and only edges of the px before them are told.  So blocks side
    by side tell each edge once.  Half px keep midpoints whole: (2 c + 2, 2 r + 1) is the edge between columns c
    and c + 1 in row r.
    """
    inside = labels == value
    ends = annotated[:-1, 1:] & annotated[:-1, :-1]
    rows, columns = np.nonzero((inside[:-1, 1:] != inside[:-1, :-1]) & ends)
    upright = np.stack([2 * columns + 2, 2 * rows + 1], axis=1)
    ends = annotated[1:, :-1] & annotated[:-1, :-1]
    rows, columns = np.nonzero((inside[1:, :-1] != inside[:-1, :-1]) & ends)
    level = np.stack([2 * columns + 1, 2 * rows + 2], axis=1)
    return np.concatenate([upright, level]).astype(np.int32)


def score_boundary(
    truth: Points, prediction: Points, spacing: float, tolerance_um: float, truth_pixels: int
) -> BoundaryScore:
    """The score of one class from its elements in half px (see :func:`elements`) at ``spacing`` µm/px.

    HD95 is the larger of the two directed 95th percentiles of distances to the nearest element of the other
    boundary, interpolated linearly: the convention of Nikolov's surface-distance library and of Metrics Reloaded
    (Maier-Hein et al. 2024).  Distances are exact, of midpoints.
    """
    if not len(truth) or not len(prediction):
        return BoundaryScore(tolerance_um, truth_pixels, len(truth), len(prediction), 0, 0, float("nan"))
    half = spacing / 2
    of_truth = nearest(truth, prediction)
    of_prediction = nearest(prediction, truth)
    most = tolerance_um / half * ROUNDING
    return BoundaryScore(
        tolerance_um=tolerance_um,
        truth_pixels=truth_pixels,
        truth_elements=len(truth),
        prediction_elements=len(prediction),
        truth_within=int(np.count_nonzero(of_truth <= most)),
        prediction_within=int(np.count_nonzero(of_prediction <= most)),
        hd95_um=half * float(max(np.percentile(one, PERCENTILE) for one in (of_truth, of_prediction))),
    )


def nearest(points: Points, others: Points) -> NDArray[np.float64]:
    """For each of (n, 2) points its distance to the nearest of (m, 2) others, m > 0, in their unit."""
    tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
    found = np.empty(len(points))
    for start in range(0, len(points), CHUNK):
        found[start : start + CHUNK] = tree.query(points[start : start + CHUNK])[0]
    return found
