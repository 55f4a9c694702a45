"""MRN, the multi-resolution network with one decoder and an encoder per spacing: its shape.

Convolutions pad, so that maps keep their size; the encoders' maps of each context are resampled to the target's
field of view and joined at every depth.  Source: Gu et al. 2018 (arXiv 1807.09607), as compared with in
van Rijthoven et al. 2021, section 3.6; widths and layers are HookNet's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hooknet.errors import ShapeError
from hooknet.shapes.hooks import branch_name
from hooknet.shapes.tiles import smallest_view, stride_unit
from hooknet.shapes.unet import Join, UNetSettings, UNetShape
from hooknet.shapes.work import Convolution


@dataclass(frozen=True, kw_only=True)
class MRNSettings(UNetSettings):
    """What an MRN is built from: a target and one or more contexts, each a power of two of the target's spacing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.spacings) < 2:
            raise ShapeError(f"an MRN with {len(self.spacings)} spacing; give two or more")
        stride_unit(self.spacings, self.depth)  # raises for spacings that no seamless tiling suits
        check_patch_size(self.patch_size, self.depth)

    @property
    def shape(self) -> MRNShape:
        """The sizes, channels and work that follow."""
        return MRNShape(self)

    @property
    def all_loss_weights(self) -> tuple[float, ...]:
        """The target alone has a loss: contexts have no decoder."""
        return (1.0, *[0.0] * (len(self.spacings) - 1))


def check_patch_size(patch_size: int, depth: int) -> None:
    """Raise ShapeError, with the nearest legal size, unless every map up to ``depth`` can be halved."""
    step = 2**depth
    if patch_size % step or patch_size < step:
        nearest = max(step, (2 * patch_size + step - 1) // (2 * step) * step)  # of two, the smaller
        raise ShapeError(f"a {patch_size} px patch cannot be halved {depth} times; use {nearest} px")


@dataclass(frozen=True)
class MRNShape(UNetShape):
    """Sizes, channels and work that follow from the settings."""

    settings: MRNSettings

    @property
    def rim(self) -> int:
        """How far padding reaches: the radius of what an output pixel sees, and its place among the poolings."""
        of = self.settings
        coarsest = 1 << of.depth
        return (2 * of.convolutions + 1) * (coarsest - 1) + (of.convolutions + 1) * coarsest

    def view_sizes(self, target_size: int) -> tuple[int, ...]:
        """Px a side of the target's view, and of contexts that hold it and all that padding reaches around it."""
        contexts = self.settings.spacings[1:]
        return (target_size, *(self._context_size(target_size, spacing) for spacing in contexts))

    def _context_size(self, target_size: int, spacing: float) -> int:
        of = self.settings
        step = 2 ** (of.depth + 1)
        least = target_size * of.spacings[0] / spacing + 2 * self.rim
        return smallest_view(of.patch_size % step or step, of.depth, lambda size: size >= least)

    @property
    def skipped_encoders(self) -> int:
        """One a spacing: those of the contexts are resampled to the target's view."""
        return len(self.settings.spacings)

    @property
    def joins(self) -> tuple[Join, ...]:
        """Every context's encoder, at every depth."""
        of = self.settings
        return tuple(
            Join(
                f"{branch_name(branch)}.{'mid' if depth == of.depth else f'enc{depth}'}",
                branch,
                depth,
                f"target.{'mid' if depth == of.depth else f'dec{depth}'}",
                f"central 1/{of.spacings[branch] / of.spacings[0]:g} resampled to {of.patch_size >> depth} px, concat",
            )
            for branch in range(1, len(of.spacings))
            for depth in range(of.depth + 1)
        )

    def output_size(self, patch_size: int | None = None) -> int:
        """Side of the output in px: that of the patch."""
        size = self.size_of(patch_size)
        check_patch_size(size, self.settings.depth)
        return size

    def map_width(self, depth: int) -> int:
        """Channels of the bottleneck (depth D) or decoder map at one depth, before it is upsampled."""
        of = self.settings
        return of.block_width(depth) * (len(of.spacings) if depth == of.depth else 1)

    def convolutions(self, patch_size: int | None = None) -> Iterator[Convolution]:
        """Every convolution, target first, for patches of the training size or another."""
        size = self.output_size(patch_size)
        yield from self.inference_convolutions((size,) * len(self.settings.spacings))

    def inference_convolutions(self, sizes: tuple[int, ...]) -> Iterator[Convolution]:
        """Every convolution, since all reach the target's logits, for views of these sizes, target first."""
        of = self.settings
        for branch, size in enumerate(sizes):
            name = branch_name(branch)
            for depth in range(of.depth + 1):
                place = f"{name}.enc{depth}" if depth < of.depth else f"{name}.mid"
                yield from self._block(
                    place, of.block_width(depth - 1) if depth else of.channels, depth, size
                )
        size = sizes[0]
        for depth in reversed(range(of.depth)):
            width = of.block_width(depth)
            yield Convolution(f"target.dec{depth}.up", self.map_width(depth + 1), width, 3, size >> depth)
            yield from self._block(f"target.dec{depth}", width * (1 + len(of.spacings)), depth, size)
        yield Convolution("target.out", of.block_width(0), of.classes, 1, size)

    def _block(self, place: str, incoming: int, depth: int, size: int) -> Iterator[Convolution]:
        of, width = self.settings, self.settings.block_width(depth)
        for i in range(of.convolutions):
            yield Convolution(
                f"{place}.conv{i}", width if i else incoming, width, 3, size >> depth, of.batch_norm
            )
