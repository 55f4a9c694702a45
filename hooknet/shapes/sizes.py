"""Sizes of feature maps in U-Nets of valid 3x3 convolutions, and the patch sizes that suit them.

All lengths are pixels along one axis.  A depth counts poolings: 0 is full resolution, ``depth`` of the whole
network is that of its bottleneck.  ``hooked`` says that branches are hooked together.  The bottleneck must
then be even, as decoder maps always are, for crops about the centre to be whole pixels; and maps must not
shrink up the decoder, for a hook to be at least as large as the map that it enters.
Source: van Rijthoven et al. 2021, sections 3.1 (valid convolutions) and 3.2 (even sizes).
"""

from __future__ import annotations

from hooknet.errors import ShapeError


def encoder_sizes(patch_size: int, depth: int, convolutions: int = 2, hooked: bool = False) -> list[int]:
    """Sizes just before each pooling, then that of the bottleneck: ``depth + 1`` numbers.

    Raises ShapeError, with the nearest legal size, for a map that cannot be halved or vanishes.
    """
    check_network(depth, convolutions)
    sizes, size = [], patch_size
    for level in range(depth):
        size -= 2 * convolutions  # each valid 3x3 takes one pixel from either side
        if size < 2 or size % 2:
            trouble = f"is {max(size, 0)} px at depth {level}, which cannot be halved"
            raise _bad_size(patch_size, trouble, nearest_legal_size(patch_size, depth, convolutions, hooked))
        sizes.append(size)
        size //= 2
    size -= 2 * convolutions
    if size < 1 or (hooked and size % 2):
        trouble = f"is {max(size, 0)} px at the bottleneck, " + (
            "about whose centre no hook can be cropped" if size > 0 else "which is nothing"
        )
        raise _bad_size(patch_size, trouble, nearest_legal_size(patch_size, depth, convolutions, hooked))
    return [*sizes, size]


def decoder_sizes(patch_size: int, depth: int, convolutions: int = 2, hooked: bool = False) -> list[int]:
    """Sizes of the decoder's maps, indexed by depth: ``[0]`` is the output, ``[depth]`` the bottleneck.

    Raises ShapeError as :func:`encoder_sizes` does, and where no output is left, or hooks would be too small.
    """
    sizes = [encoder_sizes(patch_size, depth, convolutions, hooked)[-1]]
    for _ in range(depth):
        sizes.append(2 * sizes[-1] - 2 - 2 * convolutions)  # double, one valid 3x3, then the block
    if sizes[-1] < 1:
        nearest = nearest_legal_size(patch_size, depth, convolutions, hooked)
        raise _bad_size(patch_size, "leaves no output", nearest)
    if hooked and sizes[-1] < sizes[0]:
        nearest = nearest_legal_size(patch_size, depth, convolutions, hooked)
        trouble = (
            f"leaves decoder maps of {sizes[-1]} px, too small to hook into {sizes[0]} px at the bottleneck"
        )
        raise _bad_size(patch_size, trouble, nearest)
    return sizes[::-1]


def legal_sizes(at_most: int, depth: int, convolutions: int = 2, hooked: bool = False) -> range:
    """Every legal patch size up to ``at_most``, smallest first; they are evenly spaced.

    Depth 4 with two convolutions: 220 + 32 n when hooked, else 220 + 16 n.
    """
    check_network(depth, convolutions)
    # The bottleneck decides everything: from it up, every map doubles, so that every pooling is whole.
    step = 2 if hooked else 1
    # A map of 2 convolutions + 2 px keeps its size up the decoder, larger ones grow, smaller ones shrink.
    bottleneck = 2 * convolutions + 2 if hooked else 1
    while _output_of(bottleneck, depth, convolutions) < 1:
        bottleneck += step
    return range(_patch_of(bottleneck, depth, convolutions), at_most + 1, step * 2**depth)


def nearest_legal_size(patch_size: int, depth: int, convolutions: int = 2, hooked: bool = False) -> int:
    """The legal patch size closest to the one given; of two, the smaller."""
    smallest = legal_sizes(2**62, depth, convolutions, hooked)[0]
    at_most = max(patch_size + 2 ** (depth + 1), smallest)
    nearby = legal_sizes(at_most, depth, convolutions, hooked)[-4:]
    return min(nearby, key=lambda size: (abs(size - patch_size), size))


def _patch_of(bottleneck: int, depth: int, convolutions: int) -> int:
    """The patch size that leaves a given bottleneck."""
    size = bottleneck + 2 * convolutions
    for _ in range(depth):
        size = 2 * size + 2 * convolutions
    return size


def _output_of(bottleneck: int, depth: int, convolutions: int) -> int:
    """The output that a bottleneck leads to, which may be negative."""
    size = bottleneck
    for _ in range(depth):
        size = 2 * size - 2 - 2 * convolutions
    return size


def check_network(depth: int, convolutions: int) -> None:
    """Raise ShapeError unless there is a pooling, and a convolution in each block."""
    if depth < 1 or convolutions < 1:
        raise ShapeError(
            f"a network of depth {depth} with {convolutions} convolutions per block; use at least 1 of each"
        )


def _bad_size(patch_size: int, trouble: str, nearest: int) -> ShapeError:
    return ShapeError(f"a {patch_size} px patch {trouble}; use {nearest} px")
