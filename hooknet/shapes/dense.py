"""What all networks that predict a class per pixel have in common: what they are built from, and what they tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from hooknet.coordinates import PatchSpec
from hooknet.errors import ShapeError
from hooknet.shapes.tiles import Tile


@dataclass(frozen=True, kw_only=True)
class DenseNetwork(ABC):
    """What a network is built from; ShapeError for what cannot be built.

    ``spacings`` in µm/px, finest (target) first.  ``patch_size``: px a side, the same at every spacing.
    ``channels`` of an image: 3 of a slide.
    """

    spacings: tuple[float, ...]
    classes: int
    patch_size: int
    channels: int = 3

    def __post_init__(self) -> None:
        if self.classes < 1 or self.channels < 1:
            raise ShapeError(
                f"a network of {self.classes} classes and {self.channels} channels; use at least 1 of each"
            )

    @property
    @abstractmethod
    def shape(self) -> DenseShape:
        """The sizes, channels and work that follow."""

    @property
    @abstractmethod
    def all_loss_weights(self) -> tuple[float, ...]:
        """One loss weight per spacing, target first; 0 for a branch that predicts nothing."""


@dataclass(frozen=True)
class DenseShape(ABC):
    """What a network that predicts a class per pixel tells about itself, without being built."""

    settings: DenseNetwork

    @abstractmethod
    def output_size(self, patch_size: int | None = None) -> int:
        """Side of the output in px, for patches of the training size or another; ShapeError for an illegal one."""

    @property
    @abstractmethod
    def rim(self) -> int:
        """Px at each side of an output that inference drops by default, because padding shows in them."""

    @property
    @abstractmethod
    def unit(self) -> int:
        """Target px of whose multiples patches are, or, of networks without seams, tiles are apart."""

    @property
    @abstractmethod
    def compiles(self) -> bool:
        """Whether OpenVINO can compile the network."""

    @property
    @abstractmethod
    def is_seamless(self) -> bool:
        """Whether a pixel comes out the same in every tile: nothing in the network depends on all of a tile."""

    @abstractmethod
    def view_sizes(self, target_size: int) -> tuple[int, ...]:
        """Px a side of the smallest views that a target view of ``target_size`` px can do with in inference.

        Target first.  Contexts are cropped to what reaches the target's logits, so that what is computed of a
        tile is the same as with larger ones.
        """

    @abstractmethod
    def tiles(self, rim: int | None = None) -> Iterator[Tile]:
        """The tiles that inference may use, smallest first.

        ``rim`` px at each side of an output are dropped; None drops those that padding shows in.
        """

    @abstractmethod
    def tile_work(self, tile: Tile) -> int:
        """Multiply-accumulate operations of a tile."""

    @abstractmethod
    def tile_values(self, tile: Tile) -> int:
        """Numbers that a tile's feature maps come to where most are needed at once, nearly.

        How many bytes that is depends on what computes (see :mod:`hooknet.inference.memory`).
        """

    @abstractmethod
    def largest_values(self, tile: Tile) -> int:
        """Numbers in what the largest layer of a tile takes in and gives out."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """Trained numbers, running statistics not counted."""

    @abstractmethod
    def multiply_accumulates(self, patch_size: int | None = None) -> int:
        """Multiply-accumulate operations for one set of concentric patches."""

    @property
    def patch_spec(self) -> PatchSpec:
        """Size and spacings of the patches to read, and the size of the output."""
        return PatchSpec(
            self.settings.patch_size, self.output_size(), self.settings.spacings, self.settings.channels
        )

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

    def tile(self, at_most: int, rim: int | None = None) -> Tile:
        """The tile of the longest stride whose target view is ``at_most`` px; the smallest there is if none is."""
        fitting = list(takewhile(lambda one: one.sizes[0] <= at_most, self.tiles(rim)))
        return fitting[-1] if fitting else next(iter(self.tiles(rim)))

    def kept(self, tile_size: int, rim: int) -> int:
        """Px a side of a tile's output that are good to keep when ``rim`` px at each side are not."""
        return self.output_size(tile_size) - 2 * rim

    def work_per_pixel(self, tile: Tile) -> float:
        """Multiply-accumulate operations per px of the map."""
        return self.tile_work(tile) / tile.stride**2

    def multiply_accumulates_per_pixel(self, patch_size: int | None = None) -> float:
        """Multiply-accumulate operations per pixel of the target's output."""
        return self.multiply_accumulates(patch_size) / self.output_size(patch_size) ** 2
