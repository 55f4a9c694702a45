"""The convolutions of the backbones of patch classifiers, as tables from which networks are built and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Final

Pair = tuple[int, int]

POINT: Final = (1, 1)
SQUARE: Final = (3, 3)
FIVE: Final = (5, 5)
ROW: Final = (1, 7)
COLUMN: Final = (7, 1)

#: Channels of the features, and the smallest patch (px) of which the network leaves something.
FEATURES: Final[dict[str, int]] = {"mobilenetv2": 1280, "inceptionv3": 2048}
SMALLEST: Final[dict[str, int]] = {"mobilenetv2": 32, "inceptionv3": 75}

#: MobileNetV2 (Sandler et al. 2018, table 2): expansion, channels, blocks, stride of the first.
INVERTED_RESIDUALS: Final = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@dataclass(frozen=True)
class Filters:
    """A convolution without bias, followed by batch normalisation.

    ``same``: a map keeps its size (divided by ``stride``, rounded up); else it loses what kernels cannot be put
    around.  ``groups``: 1, or as many as there are channels for one within each channel.
    """

    incoming: int
    outgoing: int
    kernel: Pair = POINT
    stride: int = 1
    same: bool = True
    groups: int = 1

    @property
    def weights(self) -> int:
        """Numbers in the kernels."""
        return self.incoming * self.outgoing * prod(self.kernel) // self.groups

    def size_after(self, size: int) -> int:
        """Px a side of the map that comes out of one of ``size`` px."""
        within = size if self.same else size - self.kernel[0] + 1
        return -(-within // self.stride)


#: What a branch of InceptionV3 does in a row; a pair is done side by side.
Step = Filters | tuple[Filters, Filters]
Branches = dict[str, tuple[Step, ...]]


def halving(incoming: int, outgoing: int) -> Filters:
    """3x3 at a stride of 2, without padding."""
    return Filters(incoming, outgoing, SQUARE, stride=2, same=False)


#: InceptionV3 (Szegedy et al. 2015) up to its first block; a pooling of 3x3 at a stride of 2 follows some.
INCEPTION_STEM: Final = (
    halving(3, 32),
    Filters(32, 32, SQUARE, same=False),
    Filters(32, 64, SQUARE),
    Filters(64, 80),
    Filters(80, 192, SQUARE, same=False),
)
POOLED_AFTER: Final = (2, 4)


def inverted_residuals() -> Iterator[tuple[int, int, int, int]]:
    """(incoming, expansion, outgoing, stride) of each block of MobileNetV2, in order."""
    incoming = 32
    for expansion, outgoing, count, stride in INVERTED_RESIDUALS:
        for number in range(count):
            yield incoming, expansion, outgoing, stride if number == 0 else 1
            incoming = outgoing


def inception_blocks() -> tuple[Branches, ...]:
    """The blocks of InceptionV3; a branch ``pool`` averages over 3x3 px before its convolution.

    A block without it has the largest of 3x3 px at a stride of 2 beside its branches.
    """
    return (
        *(_fine(incoming, pooled) for incoming, pooled in ((192, 32), (256, 64), (288, 64))),
        {
            "square": (halving(288, 384),),
            "twice": (Filters(288, 64), Filters(64, 96, SQUARE), halving(96, 96)),
        },
        *(_middle(width) for width in (128, 160, 160, 192)),
        {
            "square": (Filters(768, 192), halving(192, 320)),
            "seven": (
                Filters(768, 192),
                Filters(192, 192, ROW),
                Filters(192, 192, COLUMN),
                halving(192, 192),
            ),
        },
        *(_coarse(incoming) for incoming in (1280, 2048)),
    )


def _fine(incoming: int, pooled: int) -> Branches:
    """The first three: at 1/8 of the patch."""
    return {
        "point": (Filters(incoming, 64),),
        "five": (Filters(incoming, 48), Filters(48, 64, FIVE)),
        "twice": (Filters(incoming, 64), Filters(64, 96, SQUARE), Filters(96, 96, SQUARE)),
        "pool": (Filters(incoming, pooled),),
    }


def _middle(width: int) -> Branches:
    """Four more: at 1/16, with 7x7 convolutions as rows and columns."""
    return {
        "point": (Filters(768, 192),),
        "seven": (Filters(768, width), Filters(width, width, ROW), Filters(width, 192, COLUMN)),
        "twice": (
            Filters(768, width),
            Filters(width, width, COLUMN),
            Filters(width, width, ROW),
            Filters(width, width, COLUMN),
            Filters(width, 192, ROW),
        ),
        "pool": (Filters(768, 192),),
    }


def _coarse(incoming: int) -> Branches:
    """The last two: at 1/32, where a 3x3 convolution ends as a row and a column side by side."""
    fork = (Filters(384, 384, (1, 3)), Filters(384, 384, (3, 1)))
    return {
        "point": (Filters(incoming, 320),),
        "square": (Filters(incoming, 384), fork),
        "twice": (Filters(incoming, 448), Filters(448, 384, SQUARE), fork),
        "pool": (Filters(incoming, 192),),
    }


def convolutions(backbone: str, size: int) -> Iterator[tuple[Filters, int]]:
    """Every convolution of a backbone, with the px a side of its output for patches of ``size`` px."""
    yield from (_mobilenet(size) if backbone == "mobilenetv2" else _inception(size))


def _mobilenet(size: int) -> Iterator[tuple[Filters, int]]:
    size = -(-size // 2)
    yield Filters(3, 32, SQUARE, stride=2), size
    for incoming, expansion, outgoing, stride in inverted_residuals():
        wide = incoming * expansion
        if expansion > 1:
            yield Filters(incoming, wide), size
        size = -(-size // stride)
        yield Filters(wide, wide, SQUARE, stride, groups=wide), size
        yield Filters(wide, outgoing), size
    yield Filters(320, FEATURES["mobilenetv2"]), size


def _inception(size: int) -> Iterator[tuple[Filters, int]]:
    pool = halving(1, 1)  # as pooling of 3x3 at a stride of 2 does to the size
    for number, one in enumerate(INCEPTION_STEM):
        size = one.size_after(size)
        yield one, size
        if number in POOLED_AFTER:
            size = pool.size_after(size)
    for branches in inception_blocks():
        after = size
        for steps in branches.values():
            after = size
            for step in steps:
                side_by_side = step if isinstance(step, tuple) else (step,)
                after = side_by_side[0].size_after(after)
                yield from ((one, after) for one in side_by_side)
        size = after
