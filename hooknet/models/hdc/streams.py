"""The parts between the blocks of an HDC-HRNet: stem, transitions into more streams, and their fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.blocks.bottleneck import Bottleneck
from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.table import build_block
from hooknet.models.hdc.norm import norm
from hooknet.models.hdc.resampling import upsampled
from hooknet.shapes.hdc import BOTTLENECK_WIDTH, BOTTLENECKS, EXPANSION, STEMS, HDCShape
from hooknet.shapes.hdc_blocks import Norm


def convolution(kind: Norm, incoming: int, outgoing: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (over ``stride``) and normalisation."""
    conv = nn.Conv2d(incoming, outgoing, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, norm(kind, outgoing))


class Stem(nn.Sequential):
    """Two convolutions, each halving the size in a stem of stride 4, and four bottlenecks."""

    def __init__(self, shape: HDCShape) -> None:
        of = shape.settings
        first, second = STEMS[of.stem]
        stride = 2 if shape.stem_stride == 4 else 1
        outgoing = BOTTLENECK_WIDTH * EXPANSION
        super().__init__(
            convolution(of.norm, of.channels, first, 3, stride),
            nn.ReLU(inplace=True),
            convolution(of.norm, first, second, 3, stride),
            nn.ReLU(inplace=True),
            *(
                Bottleneck(outgoing if number else second, BOTTLENECK_WIDTH, of.norm)
                for number in range(BOTTLENECKS)
            ),
        )


class Transition(nn.ModuleList):
    """Into the streams of a stage: those there are, and one more of half the resolution, from the coarsest."""

    def __init__(self, shape: HDCShape, stage: int) -> None:
        kind, outgoing = shape.settings.norm, shape.width(stage + 1)
        incoming = shape.width(stage) if stage else BOTTLENECK_WIDTH * EXPANSION
        super().__init__([convolution(kind, incoming, outgoing, 3, 2)])
        if stage == 0:  # the bottlenecks' map is no stream yet
            self.insert(0, convolution(kind, incoming, shape.width(0), 3))
        self._first = stage == 0

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """N maps -> n + 1; of the bottlenecks' one map two."""
        *others, last = streams
        if self._first:
            return [functional.relu(one(last)) for one in self]
        return [*others, last, functional.relu(self[0](last))]


class Fusion(nn.ModuleDict):
    """Every stream becomes the sum of all: finer ones by a strided convolution, coarser ones upsampled."""

    def __init__(self, shape: HDCShape, streams: int) -> None:
        super().__init__()
        self._streams = streams
        kind = shape.settings.norm
        for target in range(streams):
            for source in range(streams):
                kernel, stride = (3, 2 ** (target - source)) if source < target else (1, 1)
                if source != target:
                    self[_name(source, target)] = convolution(
                        kind, shape.width(source), shape.width(target), kernel, stride
                    )

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """N maps -> n maps of the same sizes."""
        return [functional.relu(self._sum(target, streams)) for target in range(self._streams)]

    def _sum(self, target: int, streams: Sequence[Tensor]) -> Tensor:
        total = streams[target]
        for source, x in enumerate(streams):
            if source != target:
                brought = self[_name(source, target)](x)
                total = total + (upsampled(brought, 2 ** (source - target)) if source > target else brought)
        return total


def _name(source: int, target: int) -> str:
    return f"from{source}to{target}"


class HDCStage(nn.Module):
    """Blocks in every stream, then their fusion."""

    def __init__(self, shape: HDCShape, stage: int) -> None:
        super().__init__()
        of = shape.settings
        block = of.stages[stage].block
        self.streams = nn.ModuleList(
            nn.Sequential(
                *(
                    build_block(
                        block, shape.width(stream), BlockOptions(index, dilation, of.norm, of.version)
                    )
                    for index, dilation in enumerate(shape.dilations(stage, stream))
                )
            )
            for stream in range(stage + 2)
        )
        self.fusion = Fusion(shape, stage + 2)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """N maps -> n maps of the same sizes."""
        found: list[Tensor] = self.fusion(
            [blocks(x) for blocks, x in zip(self.streams, streams, strict=True)]
        )
        return found


def joined(streams: Sequence[Tensor]) -> Tensor:
    """All streams at the finest one's resolution, side by side: (B, 15 C, h, w)."""
    return torch.cat([upsampled(x, 2**number) for number, x in enumerate(streams)], dim=1)
