"""Seamless tiles: how large, and how far apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isclose, log2

from hooknet.errors import ShapeError
from hooknet.shapes.hooks import TOLERANCE, check_spacings


@dataclass(frozen=True)
class Tile:
    """What is read and kept at a place: views of ``sizes`` px a side, target first, for ``stride`` px of the map.

    All views have one centre, on a multiple of the stride from the slide's origin; of the target's output
    [centre - stride / 2, centre + stride / 2) is kept.
    """

    sizes: tuple[int, ...]
    stride: int


def stride_unit(spacings: Sequence[float], depth: int) -> int:
    """Target px of whose multiples tiles may be apart so that all branches pool on the same grid.

    2^D r_max / r_T: every branch then moves by a multiple of 2^D of its own px, so that the same tissue gives
    the same numbers in every tile.
    """
    check_spacings(spacings)
    for ratio in (spacing / spacings[0] for spacing in spacings):
        if not isclose(ratio, 2 ** round(log2(ratio)), rel_tol=TOLERANCE):
            raise ShapeError(
                f"spacings {list(spacings)} cannot be tiled without seams; use powers of two of the finest"
            )
    return 1 << (depth + round(log2(spacings[-1] / spacings[0])))


def smallest_view(start: int, depth: int, suffices: Callable[[int], bool]) -> int:
    """The smallest size of ``start``, ``start`` + 2^(D + 1), ... px that suffices.

    In such steps the pooling grid lies about the centre as it does in a patch of ``start`` px.
    """
    size = start
    while not suffices(size):
        size += 2 ** (depth + 1)
    return size
