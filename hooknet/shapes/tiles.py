"""Seamless tiles: how large, and how far apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isclose, log2

from hooknet.errors import ShapeError
from hooknet.shapes.hooks import TOLERANCE, check_spacings


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


def tile_sizes(patch_size: int, depth: int, at_most: int) -> range:
    """Sizes of inference tiles in px, from the training patch up to ``at_most``.

    They differ by 2^(D + 1), so that the pooling grid lies about the centre as it did in training.
    """
    return range(patch_size, at_most + 1, 2 ** (depth + 1))


def inference_tile(
    patch_size: int, spacings: Sequence[float], depth: int, at_most: int, kept: Callable[[int], int]
) -> tuple[int, int]:
    """(tile size, stride) in px: the longest stride that tiles of ``at_most`` px allow, in the smallest tile.

    ``kept``: how many px a side of a tile's output are good to keep.  Where ``at_most`` is too small for one
    stride unit, the smallest tile that holds one.  Put tile centres on multiples of the stride from the
    slide's origin and keep [centre - stride / 2, centre + stride / 2).
    """
    stride = unit = stride_unit(spacings, depth)
    allowed = tile_sizes(patch_size, depth, at_most)
    if allowed:
        stride = max(unit, kept(allowed[-1]) // unit * unit)
    tile_size = patch_size
    while kept(tile_size) < stride:
        tile_size += 2 ** (depth + 1)
    return tile_size, stride
