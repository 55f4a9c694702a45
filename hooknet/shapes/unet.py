"""What all U-Net-like networks here have in common: their settings, and what they tell about themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from hooknet.errors import ShapeError
from hooknet.shapes.dense import DenseNetwork, DenseShape
from hooknet.shapes.hooks import check_spacings
from hooknet.shapes.sizes import check_network
from hooknet.shapes.tiles import Tile, smallest_view, stride_unit
from hooknet.shapes.work import Convolution

Activation = Literal["relu", "leaky_relu"]


@dataclass(frozen=True, kw_only=True)
class UNetSettings(DenseNetwork):
    """What a U-Net-like network is built from; ShapeError when sizes or spacings would misalign.

    ``batch_norm_momentum``: share of the running statistics that a step keeps, as Keras counts (torch: 1 - it).
    """

    filters: int
    depth: int = 4
    convolutions: int = 2
    batch_norm: bool = True
    batch_norm_momentum: float = 0.99
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filters < 1:
            raise ShapeError(f"a network of {self.filters} filters; use at least 1")
        check_network(self.depth, self.convolutions)
        check_spacings(self.spacings)

    @property
    @abstractmethod
    def shape(self) -> UNetShape:
        """The sizes, channels and work that follow."""

    def block_width(self, depth: int) -> int:
        """Channels of the blocks at one depth: 2^d F, but 2 (D + 1) F at the bottleneck (official code)."""
        return self.filters * (2 * (self.depth + 1) if depth == self.depth else 2**depth)


@dataclass(frozen=True)
class Join:
    """What is brought from a stage of a coarser branch into one of a finer (``context.dec0`` -> ``target.mid``).

    ``branch`` and ``depth`` are those of the source; ``how`` is in words.
    """

    source: str
    branch: int
    depth: int
    target: str
    how: str


@dataclass(frozen=True)
class UNetShape(DenseShape):
    """What a U-Net-like network tells about itself, without being built."""

    settings: UNetSettings

    @abstractmethod
    def convolutions(self, patch_size: int | None = None) -> Iterator[Convolution]:
        """Every convolution, target first, for patches of the training size or another."""

    @property
    @abstractmethod
    def skipped_encoders(self) -> int:
        """How many encoders' maps of the target's view wait to be skipped over to its decoder."""

    @property
    @abstractmethod
    def joins(self) -> tuple[Join, ...]:
        """Where branches meet."""

    @property
    def unit(self) -> int:
        """2^D r_max / r_T (see :func:`hooknet.shapes.tiles.stride_unit`)."""
        return stride_unit(self.settings.spacings, self.settings.depth)

    @property
    def compiles(self) -> bool:
        """It does."""
        return True

    @property
    def is_seamless(self) -> bool:
        """Yes: all is local, and tiles pool on one grid."""
        return True

    @abstractmethod
    def inference_convolutions(self, sizes: tuple[int, ...]) -> Iterator[Convolution]:
        """The convolutions that the target's logits need, for views of these sizes, target first."""

    def tiles(self, rim: int | None = None) -> Iterator[Tile]:
        """Seamless tiles without end, smallest first, one for each multiple of the stride unit.

        ``rim`` px at each side of an output are dropped; None drops those that padding shows in.
        """
        dropped = self.rim if rim is None else rim
        size = self.settings.patch_size
        for stride in count(self.unit, self.unit):
            size = self._view_keeping(stride, dropped, start=size)
            yield Tile(self.view_sizes(size), stride)

    def _view_keeping(self, stride: int, rim: int, start: int) -> int:
        return smallest_view(start, self.settings.depth, lambda size: self.kept(size, rim) >= stride)

    def tile_work(self, tile: Tile) -> int:
        """Multiply-accumulate operations of a tile."""
        return sum(one.multiply_accumulates for one in self.inference_convolutions(tile.sizes))

    def tile_values(self, tile: Tile) -> int:
        """Numbers that a tile's feature maps come to where most are needed at once, nearly.

        The maps that go into and come out of the largest convolution, all that wait to be skipped over to the
        decoder, the views twice (as read and as floats), the logits thrice (whole, as kept, and as classes).
        """
        found = list(self.inference_convolutions(tile.sizes))
        encoder = {one.stage: one.output_values for one in found if one.stage.startswith("target.enc")}
        maps = max(one.values for one in found) + self.skipped_encoders * sum(encoder.values())
        (logits,) = (one.output_values for one in found if one.name == "target.out")
        ends = 2 * sum(self.settings.channels * size**2 for size in tile.sizes) + 3 * logits
        return maps + ends

    def largest_values(self, tile: Tile) -> int:
        """Numbers in what the largest convolution of a tile takes in and gives out."""
        return max(one.values for one in self.inference_convolutions(tile.sizes))

    @property
    def parameter_count(self) -> int:
        """Trained numbers, running statistics not counted."""
        return sum(one.parameters for one in self.convolutions())

    def multiply_accumulates(self, patch_size: int | None = None) -> int:
        """Multiply-accumulate operations of all convolutions for one set of concentric patches."""
        return sum(one.multiply_accumulates for one in self.convolutions(patch_size))
