"""HDC-HRNet: four streams of resolutions side by side, joined after every stage; its shape.

A stem, four bottlenecks, then stages of two, three and four streams of C, 2C, 4C and 8C channels at 1, 1/2, 1/4 and
1/8 of the stem's resolution.  After a stage every stream is the sum of all, resampled.  A head sees all four, at the
first one's resolution.  Source: the project's public description, "HDC-HRNet" (no paper); the layout of streams is
HRNetV2's (Wang et al. 2020, arXiv 1908.07919).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hooknet.errors import ShapeError
from hooknet.shapes.dense import DenseNetwork, DenseShape
from hooknet.shapes.hdc_blocks import Norm, Version, block_parameters, block_work
from hooknet.shapes.hdc_heads import (
    PointOptions,
    pointrend_parameters,
    shearlet_multiply_accumulates,
    shearlet_parameters,
)
from hooknet.shapes.tiles import Tile
from hooknet.shapes.work import Convolution

Stem = Literal["stride4", "full"]

#: Channels C of the first stream by the name of the size.
WIDTHS: Final = {"small": 32, "base": 48, "large": 64}
STREAMS: Final = 4
#: Channels of the stem's two convolutions.
STEMS: Final[dict[Stem, tuple[int, int]]] = {"stride4": (64, 64), "full": (32, 64)}
BOTTLENECKS: Final = 4
BOTTLENECK_WIDTH: Final = 64
EXPANSION: Final = 4
#: Blocks of the second, third and fourth stage.
STAGE_BLOCKS: Final = (2, 4, 6)
#: An eighth of a patch is dropped at each side in inference.
RIM_SHARE: Final = 8


@dataclass(frozen=True)
class Stage:
    """``block``: what its streams are made of, one for each of ``dilations`` (1 for blocks that have none)."""

    block: str
    dilations: tuple[int, ...]


def pyramid(blocks: int) -> tuple[int, ...]:
    """Dilations 1, 2, 4 ... that double from block to block, up to 32."""
    return tuple(2 ** min(number, 5) for number in range(blocks))


#: The stages of the description.
STAGES: Final = tuple(Stage("dcn", pyramid(blocks)) for blocks in STAGE_BLOCKS)


@dataclass(frozen=True, kw_only=True)
class HDCSettings(DenseNetwork):
    """What an HDC-HRNet is built from: one spacing, images of any number of channels.

    ``width``: channels C of the first stream.  ``version`` of the deformable convolution (2 or 3).
    ``cap_dilations`` keeps them within half a map.  ``deep_weights``: shares of the losses of the four streams' own
    heads, finest first; none without such heads.
    """

    width: int = WIDTHS["base"]
    stem: Stem = "stride4"
    stages: tuple[Stage, ...] = STAGES
    norm: Norm = "group"
    version: Version = 2
    cap_dilations: bool = False
    deep_weights: tuple[float, ...] = ()
    points: PointOptions | None = None
    shearlet: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.spacings) != 1:
            raise ShapeError(f"an HDC-HRNet with {len(self.spacings)} spacings; give one")
        if self.width < 1 or len(self.stages) != STREAMS - 1 or not all(one.dilations for one in self.stages):
            raise ShapeError(
                f"{len(self.stages)} stages of width {self.width}; give {STREAMS - 1}, each of a block at least, and "
                "a width of 1 or more"
            )
        if len(self.deep_weights) not in (0, STREAMS):
            raise ShapeError(f"{len(self.deep_weights)} weights of deep supervision; give {STREAMS} or none")
        if self.points is not None and self.shearlet:
            raise ShapeError("PointRend and the shearlet head both; use one of them")
        self.shape.output_size()

    @property
    def shape(self) -> HDCShape:
        """The sizes, channels and work that follow."""
        return HDCShape(self)

    @property
    def all_loss_weights(self) -> tuple[float, ...]:
        """There is the target only."""
        return (1.0,)


@dataclass(frozen=True)
class HDCShape(DenseShape):
    """Sizes, channels and work that follow from the settings."""

    settings: HDCSettings

    @property
    def stem_stride(self) -> int:
        """Px of the input from one px of the first stream to the next."""
        return 4 if self.settings.stem == "stride4" else 1

    @property
    def unit(self) -> int:
        """Px of the input from one px of the coarsest stream to the next: a patch is a multiple of it."""
        return self.stem_stride << (STREAMS - 1)

    @property
    def compiles(self) -> bool:
        """No: OpenVINO 2026.4 dies of it (segmentation fault in compile_model), whatever blocks and head."""
        return False

    @property
    def is_seamless(self) -> bool:
        """No: normalisation of groups, attention and Fourier modes see all of a tile."""
        return False

    @property
    def rim(self) -> int:
        """An eighth of the patch: how far padding reaches has no end short of the whole patch."""
        return self.settings.patch_size // RIM_SHARE

    def width(self, stream: int) -> int:
        """Channels of a stream, 0 the finest."""
        return self.settings.width << stream

    @property
    def joined_width(self) -> int:
        """Channels of all streams together: 15 C."""
        return sum(self.width(stream) for stream in range(STREAMS))

    def stream_size(self, stream: int, patch_size: int | None = None) -> int:
        """Px a side of a stream's maps."""
        return self.size_of(patch_size) // self.stem_stride >> stream

    def dilations(self, stage: int, stream: int) -> tuple[int, ...]:
        """Of the blocks of a stream in a stage (0 the first with two streams), capped where that is asked for."""
        given = self.settings.stages[stage].dilations
        if not self.settings.cap_dilations:
            return given
        most = max(1, (self.stream_size(stream) - 1) // 2)
        return tuple(min(one, most) for one in given)

    def output_size(self, patch_size: int | None = None) -> int:
        """Side of the output in px: that of the patch; ShapeError unless every stream has whole px, 2 at least."""
        size, least = self.size_of(patch_size), 2 * self.unit  # of one px nothing can be normalised
        if size < least or size % self.unit:
            nearest = max(least, (2 * size + self.unit - 1) // (2 * self.unit) * self.unit)
            raise ShapeError(
                f"a {size} px patch is no multiple of {self.unit} px from {least} px on, as the streams of a "
                f"{self.settings.stem} stem want; use {nearest} px"
            )
        return size

    def view_sizes(self, target_size: int) -> tuple[int, ...]:
        """The target's view alone."""
        return (target_size,)

    def tiles(self, rim: int | None = None) -> Iterator[Tile]:
        """One tile, a patch as in training: what is normalised over a tile would come out otherwise in others."""
        size, dropped = self.settings.patch_size, self.rim if rim is None else rim
        stride = self.kept(size, dropped)
        if stride < 2:
            raise ShapeError(
                f"a rim of {dropped} px leaves nothing of a {size} px tile; use {size // 2 - 1} px at most"
            )
        yield Tile((size,), stride)

    def convolutions(self, patch_size: int | None = None) -> Iterator[Convolution]:
        """Every convolution outside the blocks of the stages and the heads of points."""
        yield from self._stem(self.size_of(patch_size))
        sizes = [self.stream_size(stream, patch_size) for stream in range(STREAMS)]
        for stage in range(STREAMS - 1):
            yield from self._transition(stage, sizes)
            yield from self._fusion(stage + 2, sizes)
        of = self.settings
        yield Convolution("head", self.joined_width, of.classes, 1, sizes[0])
        if of.deep_weights:
            for stream in range(STREAMS):
                yield Convolution(f"deep{stream}", self.width(stream), of.classes, 1, sizes[stream])

    def _stem(self, size: int) -> Iterator[Convolution]:
        first, second = STEMS[self.settings.stem]
        halved = size // 2 if self.stem_stride == 4 else size
        yield _convolution("stem.0", self.settings.channels, first, 3, halved)
        size //= self.stem_stride
        yield _convolution("stem.1", first, second, 3, size)
        incoming, outgoing = second, BOTTLENECK_WIDTH * EXPANSION
        for number in range(BOTTLENECKS):
            yield _convolution(f"layer1.{number}.reduce", incoming, BOTTLENECK_WIDTH, 1, size)
            yield _convolution(f"layer1.{number}.conv", BOTTLENECK_WIDTH, BOTTLENECK_WIDTH, 3, size)
            yield _convolution(f"layer1.{number}.expand", BOTTLENECK_WIDTH, outgoing, 1, size)
            if incoming != outgoing:
                yield _convolution(f"layer1.{number}.project", incoming, outgoing, 1, size)
            incoming = outgoing

    def _transition(self, stage: int, sizes: Sequence[int]) -> Iterator[Convolution]:
        """Into the streams of a stage: two from the bottlenecks, later one more from the coarsest there is."""
        if stage == 0:
            for stream in range(2):
                yield _convolution(
                    f"transition0.{stream}",
                    BOTTLENECK_WIDTH * EXPANSION,
                    self.width(stream),
                    3,
                    sizes[stream],
                )
        else:
            yield _convolution(
                f"transition{stage}", self.width(stage), self.width(stage + 1), 3, sizes[stage + 1]
            )

    def _fusion(self, streams: int, sizes: Sequence[int]) -> Iterator[Convolution]:
        for target in range(streams):
            for source in range(streams):
                if source != target:
                    kernel = 3 if source < target else 1
                    size = sizes[max(source, target)]
                    name = f"fuse{streams - 2}.{target}.{source}"
                    yield _convolution(name, self.width(source), self.width(target), kernel, size)

    def _blocks(self, patch_size: int | None = None) -> Iterator[tuple[str, int, int]]:
        """Name, width and map size of every block of the stages."""
        for number, stage in enumerate(self.settings.stages):
            for stream in range(number + 2):
                for _ in stage.dilations:
                    yield stage.block, self.width(stream), self.stream_size(stream, patch_size)

    @property
    def parameter_count(self) -> int:
        """Trained numbers, running statistics not counted."""
        of = self.settings
        heads = 0
        if of.points is not None:
            heads += pointrend_parameters(self.joined_width, of.classes, of.points.hidden, of.points.mode)
        if of.shearlet:
            heads += shearlet_parameters(self.joined_width, of.classes)
        blocks = sum(block_parameters(name, width, of.version, of.norm) for name, width, _ in self._blocks())
        return heads + blocks + sum(one.parameters for one in self.convolutions())

    def multiply_accumulates(self, patch_size: int | None = None) -> int:
        """Multiply-accumulate operations of convolutions, blocks and the shearlet head (not of PointRend)."""
        of = self.settings
        size = self.size_of(patch_size)
        blocks = sum(block_work(name, width, side, of.version) for name, width, side in self._blocks(size))
        shearlet = 0
        if of.shearlet:
            held = self.stream_size(0, size)
            shearlet = shearlet_multiply_accumulates(self.joined_width, of.classes, held, size)
        return shearlet + blocks + sum(one.multiply_accumulates for one in self.convolutions(size))

    def tile_work(self, tile: Tile) -> int:
        """Multiply-accumulate operations of a tile."""
        return self.multiply_accumulates(tile.sizes[0])

    def tile_values(self, tile: Tile) -> int:
        """Numbers held at once where most are: all streams joined, twice; views as bytes and floats; logits."""
        size = tile.sizes[0]
        joined = 2 * self.joined_width * self.stream_size(0, size) ** 2
        return joined + (2 * self.settings.channels + 3 * self.settings.classes) * size**2

    def largest_values(self, tile: Tile) -> int:
        """Numbers in what the largest convolution takes in and gives out."""
        return max(one.values for one in self.convolutions(tile.sizes[0]))


def _convolution(name: str, incoming: int, outgoing: int, kernel: int, size: int) -> Convolution:
    """A convolution with a normalisation behind it, and so without bias."""
    return Convolution(name, incoming, outgoing, kernel, size, normalised=True, biased=False)
