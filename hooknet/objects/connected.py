"""Connected regions of a map: how many, how large, where.  See ``objects.sweep`` for what is connected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hooknet.objects.runs import BAND, Numbers, Source, Weights
from hooknet.objects.sweep import (
    BOTTOM,
    HIGHEST,
    LEFT,
    PIXELS,
    RIGHT,
    SUM_X,
    SUM_Y,
    TOP,
    TOTAL,
    VALUE,
    sweep,
)


@dataclass(frozen=True)
class Region:
    """One connected region.

    ``box``: first column and row, one-past-last column and row.  ``centroid``: (x, y) of the mean of its px centres,
    in raster px, corners at integers.  ``total``, ``highest``: sum and maximum of the weights over its px, 0
    without weights.
    """

    value: int
    pixels: int
    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    total: int = 0
    highest: int = 0

    def centroid_on(self, step_x: float, step_y: float) -> tuple[float, float]:
        """The centroid in level-0 px; steps as of the raster's grid."""
        return self.centroid[0] * step_x, self.centroid[1] * step_y


def region_of(row: Numbers) -> Region:
    """The region of a row of a sweep's table."""
    told = row.tolist()
    pixels = told[PIXELS]
    return Region(
        value=told[VALUE],
        pixels=pixels,
        box=(-told[LEFT], -told[TOP], told[RIGHT], told[BOTTOM]),
        centroid=(told[SUM_X] / (2 * pixels), told[SUM_Y] / (2 * pixels)),
        total=told[TOTAL],
        highest=told[HIGHEST],
    )


def regions(source: Source, weights: Weights | None = None, rows: int = BAND) -> Iterator[Region]:
    """The regions of all values but 0, each as soon as its last row is read.

    Read ``rows`` rows at once; memory goes with them and with the regions that are not finished, not with the
    raster.  The regions do not depend on it, their order does.
    """
    for band in sweep(source, weights, rows):
        finished = band.table[~band.open]
        for row in finished[finished[:, VALUE] > 0]:
            yield region_of(row)
