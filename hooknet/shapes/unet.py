"""What all U-Net-like networks here have in common: their settings, and what they tell about themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Literal

from hooknet.coordinates import PatchSpec
from hooknet.errors import ShapeError
from hooknet.shapes.hooks import check_spacings
from hooknet.shapes.sizes import check_network
from hooknet.shapes.tiles import Tile, smallest_view, stride_unit
from hooknet.shapes.work import Convolution

Activation = Literal["relu", "leaky_relu"]


@dataclass(frozen=True, kw_only=True)
class UNetSettings(ABC):
    """What a network is built from; ShapeError when sizes or spacings would misalign.

    ``spacings`` in µm/px, finest (target) first.  ``patch_size``: px a side, the same at every spacing.
    ``batch_norm_momentum``: share of the running statistics that a step keeps, as Keras counts (torch: 1 - it).
    """

    spacings: tuple[float, ...]
    classes: int
    filters: int
    depth: int = 4
    convolutions: int = 2
    batch_norm: bool = True
    batch_norm_momentum: float = 0.99
    activation: Activation = "relu"
    patch_size: int

    def __post_init__(self) -> None:
        if self.classes < 1 or self.filters < 1:
            raise ShapeError(
                f"a network of {self.classes} classes and {self.filters} filters; use at least 1 of each"
            )
        check_network(self.depth, self.convolutions)
        check_spacings(self.spacings)

    @property
    @abstractmethod
    def shape(self) -> UNetShape:
        """The sizes, channels and work that follow."""

    @property
    @abstractmethod
    def all_loss_weights(self) -> tuple[float, ...]:
        """One loss weight per spacing, target first; 0 for a branch that predicts nothing."""

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
class UNetShape(ABC):
    """What a network that predicts a class per pixel tells about itself, without being built."""

    settings: UNetSettings

    @abstractmethod
    def output_size(self, patch_size: int | None = None) -> int:
        """Side of the output in px, for patches of the training size or another; ShapeError for an illegal one."""

    @abstractmethod
    def convolutions(self, patch_size: int | None = None) -> Iterator[Convolution]:
        """Every convolution, target first, for patches of the training size or another."""

    @property
    @abstractmethod
    def rim(self) -> int:
        """Px at each side of an output that inference drops by default, because padding shows in them."""

    @property
    @abstractmethod
    def skipped_encoders(self) -> int:
        """How many encoders' maps of the target's view wait to be skipped over to its decoder."""

    @property
    @abstractmethod
    def joins(self) -> tuple[Join, ...]:
        """Where branches meet."""

    @property
    def patch_spec(self) -> PatchSpec:
        """Size and spacings of the patches to read, and the size of the output."""
        return PatchSpec(self.settings.patch_size, self.output_size(), self.settings.spacings)

    @property
    def output_branches(self) -> tuple[int, ...]:
        """Branches that predict classes: the target, then those with a loss."""
        return tuple(branch for branch, weight in enumerate(self.settings.all_loss_weights) if weight > 0)

    @property
    def fields_of_view(self) -> tuple[float, ...]:
        """Side of the patch of each branch in µm, target first."""
        return tuple(self.settings.patch_size * spacing for spacing in self.settings.spacings)

    def size_of(self, patch_size: int | None) -> int:
        """A patch size, that of training where none is given."""
        return self.settings.patch_size if patch_size is None else patch_size

    @abstractmethod
    def view_sizes(self, target_size: int) -> tuple[int, ...]:
        """Px a side of the smallest views that a target view of ``target_size`` px can do with in inference.

        Target first.  Contexts are cropped to what reaches the target's logits, so that what is computed of a
        tile is the same as with larger ones.
        """

    @abstractmethod
    def inference_convolutions(self, sizes: tuple[int, ...]) -> Iterator[Convolution]:
        """The convolutions that the target's logits need, for views of these sizes, target first."""

    def tiles(self, rim: int | None = None) -> Iterator[Tile]:
        """Seamless tiles without end, smallest first, one for each multiple of the stride unit.

        ``rim`` px at each side of an output are dropped; None drops those that padding shows in.
        """
        of, dropped = self.settings, self.rim if rim is None else rim
        unit, size = stride_unit(of.spacings, of.depth), of.patch_size
        for stride in count(unit, unit):
            size = self._view_keeping(stride, dropped, start=size)
            yield Tile(self.view_sizes(size), stride)

    def _view_keeping(self, stride: int, rim: int, start: int) -> int:
        return smallest_view(start, self.settings.depth, lambda size: self.kept(size, rim) >= stride)

    def tile(self, at_most: int, rim: int | None = None) -> Tile:
        """The tile of the longest stride whose target view is ``at_most`` px; the smallest there is if none is."""
        fitting = list(takewhile(lambda one: one.sizes[0] <= at_most, self.tiles(rim)))
        return fitting[-1] if fitting else next(self.tiles(rim))

    def kept(self, tile_size: int, rim: int) -> int:
        """Px a side of a tile's output that are good to keep when ``rim`` px at each side are not."""
        return self.output_size(tile_size) - 2 * rim

    def tile_work(self, tile: Tile) -> int:
        """Multiply-accumulate operations of a tile."""
        return sum(one.multiply_accumulates for one in self.inference_convolutions(tile.sizes))

    def work_per_pixel(self, tile: Tile) -> float:
        """Multiply-accumulate operations per px of the map."""
        return self.tile_work(tile) / tile.stride**2

    def tile_values(self, tile: Tile) -> int:
        """Numbers that a tile's feature maps come to where most are needed at once, nearly.

        The maps that go into and come out of the largest convolution, all that wait to be skipped over to the
        decoder, the views twice (as read and as floats), the logits thrice (whole, as kept, and as classes).
        How many bytes that is depends on what computes (see :mod:`hooknet.inference.memory`).
        """
        found = list(self.inference_convolutions(tile.sizes))
        encoder = {one.stage: one.output_values for one in found if one.stage.startswith("target.enc")}
        maps = max(one.values for one in found) + self.skipped_encoders * sum(encoder.values())
        (logits,) = (one.output_values for one in found if one.name == "target.out")
        ends = 2 * sum(3 * size**2 for size in tile.sizes) + 3 * logits
        return maps + ends

    @property
    def parameter_count(self) -> int:
        """Trained numbers, running statistics not counted."""
        return sum(one.parameters for one in self.convolutions())

    def multiply_accumulates(self, patch_size: int | None = None) -> int:
        """Multiply-accumulate operations of all convolutions for one set of concentric patches."""
        return sum(one.multiply_accumulates for one in self.convolutions(patch_size))

    def multiply_accumulates_per_pixel(self, patch_size: int | None = None) -> float:
        """Multiply-accumulate operations per pixel of the target's output."""
        return self.multiply_accumulates(patch_size) / self.output_size(patch_size) ** 2
