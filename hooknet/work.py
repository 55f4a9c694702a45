"""What a network costs: its convolutions, their multiply-accumulate operations and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hooknet.shapes import NetworkShape, branch_name
from hooknet.sizes import encoder_sizes


@dataclass(frozen=True)
class Convolution:
    """A ``kernel`` x ``kernel`` convolution to maps of ``size`` px; ``name`` as in the official code."""

    name: str
    incoming: int
    outgoing: int
    kernel: int
    size: int
    normalised: bool = False

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulate operations for one patch."""
        return self.incoming * self.outgoing * self.kernel**2 * self.size**2

    @property
    def parameters(self) -> int:
        """Trained numbers: kernel, bias, and scale and shift of the batch normalisation."""
        own = self.incoming * self.outgoing * self.kernel**2 + self.outgoing
        return own + (2 * self.outgoing if self.normalised else 0)


def convolutions(shape: NetworkShape, patch_size: int | None = None) -> Iterator[Convolution]:
    """Every convolution of a network, target first, for patches of the training size or another."""
    for branch in range(len(shape.settings.spacings)):
        yield from _branch(shape, branch, patch_size or shape.settings.patch_size)


def multiply_accumulates(shape: NetworkShape, patch_size: int | None = None) -> int:
    """Multiply-accumulate operations of all convolutions for one set of concentric patches."""
    return sum(one.multiply_accumulates for one in convolutions(shape, patch_size))


def multiply_accumulates_per_pixel(shape: NetworkShape, patch_size: int | None = None) -> float:
    """Multiply-accumulate operations per pixel of the target's output."""
    return multiply_accumulates(shape, patch_size) / shape.decoder_sizes(patch_size)[0] ** 2


def parameter_count(shape: NetworkShape) -> int:
    """Trained numbers of a network, running statistics not counted."""
    return sum(one.parameters for one in convolutions(shape))


def _branch(shape: NetworkShape, branch: int, patch_size: int) -> Iterator[Convolution]:
    of, name = shape.settings, branch_name(branch)
    encoder = encoder_sizes(patch_size, of.depth, of.convolutions)
    decoder = shape.decoder_sizes(patch_size)
    for depth in range(of.depth + 1):
        place = f"{name}.enc{depth}" if depth < of.depth else f"{name}.mid"
        yield from _block(shape, place, shape.block_width(depth - 1) if depth else 3, depth, encoder[depth])
    yield from _projections(shape, branch, of.depth, decoder)
    for depth in reversed(range(of.finest_depths[branch], of.depth)):
        below, width = shape.map_width(branch, depth + 1), shape.block_width(depth)
        yield Convolution(f"{name}.dec{depth}.up", below, width, 3, 2 * decoder[depth + 1] - 2)
        yield from _block(shape, f"{name}.dec{depth}", 2 * width, depth, decoder[depth])
        yield from _projections(shape, branch, depth, decoder)
    if branch in shape.output_branches:
        yield Convolution(f"{name}.out", shape.map_width(branch, 0), of.classes, 1, decoder[0])


def _block(shape: NetworkShape, place: str, incoming: int, depth: int, size: int) -> Iterator[Convolution]:
    """The convolutions of a block that leaves ``size`` px."""
    of, width = shape.settings, shape.block_width(depth)
    for i in range(of.convolutions):
        left = size + 2 * (of.convolutions - 1 - i)
        yield Convolution(f"{place}.conv{i}", width if i else incoming, width, 3, left, of.batch_norm)


def _projections(shape: NetworkShape, branch: int, depth: int, decoder: list[int]) -> Iterator[Convolution]:
    """The 1x1 convolutions that bring hooks to the width of the map they are added to or multiplied with."""
    if shape.settings.merge == "concat":
        return
    for hook in shape.hooks_into(branch, depth):
        incoming = shape.map_width(hook.source, hook.source_depth)
        name = f"{branch_name(branch)}.{shape.hook_name(hook)}.proj"
        yield Convolution(name, incoming, shape.block_width(depth), 1, decoder[depth])
