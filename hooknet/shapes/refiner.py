"""Networks that refine a heat map on a whole slide at low power: their sizes, widths and numbers to train.

Source: Pedersen et al. 2022 (H2G-Net) and its released code, whose square of 1024 px each network reproduces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from hooknet.errors import ShapeError
from hooknet.shapes.work import Convolution

RefinerNetwork = Literal["unet", "agunet", "dagunet", "doubleunet"]
Norm = Literal["renorm", "batch"]

#: Widths of the released encoders, finest first; a smaller square has the first of them.
_WIDTHS: Final = (8, 16, 32, 64, 128, 128, 256, 256)
#: Px a side of the bottleneck of each network, whatever the square.
_BOTTLENECKS: Final[dict[str, int]] = {"unet": 4, "agunet": 8, "dagunet": 8, "doubleunet": 4}

ASPP_WIDTH: Final = 32
ASPP_DILATIONS: Final = (6, 12, 18)
SQUEEZE: Final = 8  # the released squeeze-and-excitation, and the queries and keys of position attention


@dataclass(frozen=True)
class RefinerShape:
    """What a refiner is built from; ShapeError for a square that cannot be halved down to its bottleneck.

    ``size``: px a side of the square that a slide is fitted into.  ``heat_channels``: heat maps beside red,
    green and blue; 0 for a network that sees the slide alone.  ``norm``: batch renormalisation, or batch
    normalisation (released for the DAGU-Net alone).

    The bottleneck keeps the published size (4 px a side; 8 px in the AGU-Net and the DAGU-Net), so that it
    sees the whole slide: a square of 256 px has two levels less than the published one of 1024 px.
    """

    network: RefinerNetwork
    size: int
    heat_channels: int
    classes: int
    norm: Norm = "renorm"

    def __post_init__(self) -> None:
        if self.network not in _BOTTLENECKS:
            raise ShapeError(f"refiner {self.network!r}; use one of {', '.join(_BOTTLENECKS)}")
        if self.classes < 2 or self.heat_channels < 0:
            raise ShapeError(
                f"a refiner of {self.classes} classes and {self.heat_channels} heat maps; "
                "use at least 2 classes, and no heat map or more"
            )
        least = 2 * _BOTTLENECKS[self.network]
        if self.size < least or self.size & (self.size - 1):
            raise ShapeError(
                f"a {self.network} on {self.size} px: wanted a power of two of {least} px or more; "
                f"use {_nearest_power(self.size, least)} px"
            )

    @property
    def inputs(self) -> int:
        """Channels of the image: red, green, blue, then the heat maps."""
        return 3 + self.heat_channels

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the encoder's levels, finest first; beyond the published square the last repeats."""
        levels = (self.size // _BOTTLENECKS[self.network]).bit_length() - 1
        return (_WIDTHS + _WIDTHS[-1:] * levels)[:levels]

    @property
    def bottleneck(self) -> int:
        """Channels of the bottleneck."""
        if self.network == "doubleunet":
            return ASPP_WIDTH
        return self.widths[-1] * (2 if self.network == "unet" else 1)

    @property
    def output_strides(self) -> tuple[int, ...]:
        """How many px of the square a px of each output stands for; the output that is used comes first."""
        if self.network in {"agunet", "dagunet"}:
            return tuple(2**level for level in range(len(self.widths)))
        return (1, 1) if self.network == "doubleunet" else (1,)

    @property
    def loss_weights(self) -> tuple[float, ...]:
        """What each output's loss counts for: all alike, 1 in all (released code)."""
        outputs = len(self.output_strides)
        return (1 / outputs,) * outputs

    @property
    def dice_over(self) -> Literal["image", "batch"]:
        """What the sums of the soft Dice run over; the released AGU-Net alone takes the whole mini-batch."""
        return "batch" if self.network == "agunet" else "image"

    @property
    def parameter_count(self) -> int:
        """Trained numbers, running statistics not counted."""
        return sum(one.parameters for one in self.convolutions()) + self._other_parameters()

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulate operations of all convolutions for one slide."""
        return sum(one.multiply_accumulates for one in self.convolutions())

    def convolutions(self) -> Iterator[Convolution]:
        """Every convolution.  A transposed one has the size of what it reads, of which its work is."""
        if self.network == "unet":
            yield from _unet(self)
        elif self.network == "doubleunet":
            yield from _doubleunet(self)
        else:
            yield from _attention_unet(self)

    def _other_parameters(self) -> int:
        """What belongs to no convolution."""
        if self.network == "doubleunet":
            # Two layers without bias in each of the 4 blocks of a level.
            return sum(4 * 2 * width * (width // SQUEEZE) for width in self.widths)
        if self.network == "dagunet":
            # The normalisation of what decoders concatenate; how much of either attention is added.
            return sum(2 * 2 * width for width in self.widths) + 2
        return 0


def _nearest_power(size: int, least: int) -> int:
    """The power of two nearest to ``size``, of two the smaller, but ``least`` at least."""
    below = 1 << max(0, size.bit_length() - 1)
    nearest = below if size - below <= 2 * below - size else 2 * below
    return max(least, nearest)


def _block(name: str, incoming: int, outgoing: int, size: int) -> Iterator[Convolution]:
    yield Convolution(f"{name}.0", incoming, outgoing, 3, size, normalised=True)
    yield Convolution(f"{name}.1", outgoing, outgoing, 3, size, normalised=True)


def _upwards(of: RefinerShape) -> Iterator[tuple[int, int, int, int]]:
    """Level, px a side, channels from below and channels of each level of a decoder, coarsest first."""
    widths = (*of.widths, of.bottleneck)
    for level, (width, below) in reversed(list(enumerate(pairwise(widths)))):
        yield level, of.size >> level, below, width


def _unet(of: RefinerShape) -> Iterator[Convolution]:
    incoming = of.inputs
    for level, width in enumerate((*of.widths, of.bottleneck)):
        yield from _block(f"encoder.{level}", incoming, width, of.size >> level)
        incoming = width
    for level, size, below, width in _upwards(of):
        yield from _block(f"decoder.{level}", below + width, width, size)
    yield Convolution("head", of.widths[0], of.classes, 1, of.size)


def _attention_unet(of: RefinerShape) -> Iterator[Convolution]:
    """The AGU-Net and the DAGU-Net."""
    gated = of.network == "agunet"
    incoming = of.inputs
    for level, width in enumerate(of.widths):
        size = of.size >> level
        if level:
            yield Convolution(f"pyramid.{level}", of.inputs, width, 3, size)
            incoming += width
        yield from _block(f"encoder.{level}", incoming, width, size)
        incoming = width
    yield from _block("bottleneck", incoming, of.bottleneck, _BOTTLENECKS[of.network])
    if not gated:
        yield from _dual_attention(of.bottleneck, _BOTTLENECKS[of.network])
    for level, size, below, width in _upwards(of):
        yield Convolution(f"up.{level}", below, width, 3, size // 2, normalised=gated)
        if gated:
            yield Convolution(f"gate.{level}.signal", width, width // 2, 1, size, normalised=True)
            yield Convolution(f"gate.{level}.skip", width, width // 2, 1, size, normalised=True)
            yield Convolution(f"gate.{level}.share", width, 1, 1, size, normalised=True)
        yield from _block(f"decoder.{level}", 2 * width, width, size)
        yield Convolution(f"head.{level}", width, of.classes, 1, size)


def _dual_attention(width: int, size: int) -> Iterator[Convolution]:
    for name in ("query", "key"):
        yield Convolution(f"position.{name}", width, width // SQUEEZE, 1, size)
    yield Convolution("position.value", width, width, 1, size)
    for name in ("position", "channel"):
        yield Convolution(f"after.{name}.0", width, width, 3, size, normalised=True)
        yield Convolution(f"after.{name}.1", width, width, 3, size)
    yield Convolution("joined", width, width, 1, size, normalised=True)


def _doubleunet(of: RefinerShape) -> Iterator[Convolution]:
    for net, incoming in (("first", of.inputs), ("second", of.inputs + of.classes)):
        for level, width in enumerate(of.widths):
            yield from _block(f"{net}.encoder.{level}", incoming, width, of.size >> level)
            incoming = width
        yield from _pyramid_pooling(net, incoming, _BOTTLENECKS[of.network])
        for level, size, below, width in _upwards(of):
            skips = width if net == "first" else 2 * width
            yield from _block(f"{net}.decoder.{level}", below + skips, width, size)
        yield Convolution(f"{net}.head", of.widths[0], of.classes, 1, of.size)


def _pyramid_pooling(net: str, incoming: int, size: int) -> Iterator[Convolution]:
    yield Convolution(f"{net}.aspp.image", incoming, ASPP_WIDTH, 1, 1)
    yield Convolution(f"{net}.aspp.point", incoming, ASPP_WIDTH, 1, size, normalised=True)
    for dilation in ASPP_DILATIONS:
        yield Convolution(f"{net}.aspp.dilated{dilation}", incoming, ASPP_WIDTH, 3, size, normalised=True)
    branches = 2 + len(ASPP_DILATIONS)
    yield Convolution(f"{net}.aspp.joined", branches * ASPP_WIDTH, ASPP_WIDTH, 1, size, normalised=True)
