"""The blocks of HDC-HRNet as arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from hooknet.errors import ShapeError

Norm = Literal["group", "batch"]
Version = Literal[2, 3]

#: Channels within most blocks, for each that comes in; within the Fourier block.
EXPANSION: Final = 4
FOURIER_EXPANSION: Final = 2

#: Channels that share offsets and masks in version 3 of the deformable convolution, at most.
GROUP_WIDTH: Final = 16

#: Px a side of a window of attention, and heads at most.
WINDOW: Final = 7
HEADS: Final = 8

#: Frequencies along columns, and of each sign along rows, that are mixed; and channels mixed with each other, at most.
MODES: Final = 16
MIXED: Final = 8

_TAPS = 9
_VALUES = 3  # told for each tap: an offset of two numbers, and a mask


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of ``number`` up to ``limit``."""
    return next(one for one in range(min(number, limit), 0, -1) if number % one == 0)


def aggregation_groups(channels: int) -> int:
    """Groups of at most 16 channels, all of the same width, as few as can be."""
    return channels // largest_divisor(channels, GROUP_WIDTH)


def attention_heads(channels: int) -> int:
    """8, or as many below as divide ``channels``."""
    return largest_divisor(channels, HEADS)


def mixed_together(channels: int) -> int:
    """How many channels the Fourier block mixes with each other: 8, or as many below as divide ``channels``."""
    return largest_divisor(channels, MIXED)


def modes(height: int, width: int) -> tuple[int, int, int]:
    """Frequencies mixed of a map: from 0 up and from -1 down along rows, and along columns; none twice."""
    return min(MODES, (height + 1) // 2), min(MODES, height // 2), min(MODES, width // 2 + 1)


def block_parameters(name: str, width: int, version: Version = 2, norm: Norm = "group") -> int:
    """Trained numbers of a block of ``width`` channels; both kinds of ``norm`` have a scale and a shift.

    Raises:
        ShapeError: A name of no block.
    """
    return _PARAMETERS[_known(name, version)](width)


def block_work(name: str, width: int, size: int, version: Version = 2) -> int:
    """Multiply-accumulate operations of a block for a map of ``size`` x ``size`` px.

    Of convolutions and other matrix products, attention's and those by frequency (a complex one counts as four).
    Not counted: sampling between px, the transforms, normalisation, activation, and sums.

    Raises:
        ShapeError: A name of no block.
    """
    return _WORK[_known(name, version)](width, size)


def _known(name: str, version: int) -> str:
    if name == "dcn":
        return f"dcn{version}"
    if name not in _PARAMETERS or name.startswith("dcn"):
        names = [one for one in _PARAMETERS if one != "dcn3"]
        raise ShapeError(f"block {name!r}; use one of {', '.join(names).replace('dcn2', 'dcn')}")
    return name


def _perceptron(c: int, expansion: int = EXPANSION) -> int:
    """Two 1x1 convolutions with bias."""
    return 2 * expansion * c**2 + (expansion + 1) * c


def _aggregation(c: int) -> int:
    """What version 3 tells for each tap and group."""
    return _VALUES * _TAPS * aggregation_groups(c)


# Written as their parts; 2 C is a normalisation.
_PARAMETERS: Final[dict[str, Callable[[int], int]]] = {
    "basic": lambda c: 2 * (9 * c**2 + 2 * c),
    "convnext": lambda c: (49 * c + c) + 2 * c + _perceptron(c) + c,
    "dcn2": lambda c: _VALUES * _TAPS * (9 * c + 1) + (9 * c**2 + c) + 2 * c,
    "dcn3": lambda c: 2 * (c**2 + c) + (9 * c + c) + 2 * c + _aggregation(c) * (c + 1) + 2 * c,
    "inverted_residual": lambda c: 2 * EXPANSION * c**2 + 9 * EXPANSION * c + 2 * (2 * EXPANSION + 1) * c,
    "swin": lambda c: (
        2 * (2 * c) + 4 * (c**2 + c) + (2 * WINDOW - 1) ** 2 * attention_heads(c) + _perceptron(c)
    ),
    "fno": lambda c: 2 * (2 * MODES) * MODES * c * mixed_together(c) + _perceptron(c, FOURIER_EXPANSION),
    "wavelet": lambda c: 4 * 9 * c**2 + 2 * c,
    "rwkv": lambda c: 2 * (2 * c) + 3 * c + 4 * c**2 + _perceptron(c),
}


def _swin_work(c: int, size: int) -> int:
    padded = -(-size // WINDOW) * WINDOW
    return (4 + 2 * EXPANSION) * c**2 * size**2 + 2 * WINDOW**2 * c * padded**2


def _fno_work(c: int, size: int) -> int:
    up, down, columns = modes(size, size)
    return 2 * FOURIER_EXPANSION * c**2 * size**2 + 4 * c * mixed_together(c) * (up + down) * columns


_WORK: Final[dict[str, Callable[[int, int], int]]] = {
    "basic": lambda c, size: 2 * 9 * c**2 * size**2,
    "convnext": lambda c, size: (49 * c + 2 * EXPANSION * c**2) * size**2,
    "dcn2": lambda c, size: (_VALUES * _TAPS * 9 * c + 9 * c**2) * size**2,
    "dcn3": lambda c, size: (2 * c**2 + 9 * c + _aggregation(c) * c) * size**2,
    "inverted_residual": lambda c, size: (2 * EXPANSION * c**2 + 9 * EXPANSION * c) * size**2,
    "swin": _swin_work,
    "fno": _fno_work,
    "wavelet": lambda c, size: 4 * 9 * c**2 * (-(-size // 2)) ** 2,
    # The mean of the values is one px, whatever the size.
    "rwkv": lambda c, size: (3 + 2 * EXPANSION) * c**2 * size**2 + c**2,
}
