"""U-Nets and HookNets whose encoders are a user's own, under the padded decoder of HookNet's widths.

An encoder gives maps at strides that are powers of two; px i of a map of stride s shows input px [i s, (i + 1) s), so
that maps of all strides lie on each other as poolings of one image would.  What is known here of an encoder is what the
settings state, so that nothing of it has to run to know sizes, tiles and cost; whoever builds it compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

from hooknet.errors import ShapeError
from hooknet.shapes.hooknet import HookNetSettings, HookNetShape
from hooknet.shapes.hooks import branch_name
from hooknet.shapes.tiles import Tile, stride_unit
from hooknet.shapes.work import Convolution

# Share of a patch whose rim is dropped where an encoder sees all of it; HDC-HRNet's.
RIM_SHARE = 8


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder: what makes it, and what it states.

    ``make``: ``module:function`` or ``file.py:function``; ``options`` are its keyword arguments.  ``strides`` and
    ``channels`` of its maps, finest first.  ``unit``: input px of whose multiples views may be apart and large.
    ``rim``: how far (input px) what lies beyond a view reaches into its maps; None where it has no end, because
    something sees all of a view.  ``parameters``: trained numbers.  ``frozen``: whether they stay as they are.
    """

    make: str
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    unit: int
    rim: int | None
    parameters: int
    options: tuple[tuple[str, Any], ...] = ()
    frozen: bool = False

    def __post_init__(self) -> None:
        powers = all(one > 0 and one & (one - 1) == 0 for one in self.strides)
        if not self.strides or not powers or any(b <= a for a, b in pairwise(self.strides)):
            raise ShapeError(
                f"encoder {self.make} of strides {list(self.strides)}; give powers of two, finest first"
            )
        if self.strides[-1] < 2:
            raise ShapeError(
                f"encoder {self.make} of stride 1 alone; its coarsest map is of stride 2 or more"
            )
        if len(self.channels) != len(self.strides) or min(self.channels) < 1:
            raise ShapeError(
                f"encoder {self.make} of channels {list(self.channels)} at strides {list(self.strides)}; give one "
                "number each, 1 or more"
            )
        if self.unit < 1 or self.unit % self.strides[-1]:
            raise ShapeError(
                f"encoder {self.make} of unit {self.unit} px; use a multiple of its last stride, {self.strides[-1]} px"
            )

    @property
    def depth(self) -> int:
        """Halvings from the input to the coarsest map."""
        return self.strides[-1].bit_length() - 1

    def width(self, depth: int) -> int:
        """Channels of the map at a depth, 0 where there is none."""
        return dict(zip(self.strides, self.channels, strict=True)).get(1 << depth, 0)


@dataclass(frozen=True)
class EncoderMap(Convolution):
    """A map that an encoder gives; the coarsest carries what all of it costs.

    ``trained`` numbers in it, each used once for every px of the finest map (``tokens``) by our estimate: right for
    transformers, too much for encoders whose width grows with their strides.
    """

    trained: int = 0
    tokens: int = 0

    @property
    def multiply_accumulates(self) -> int:
        """An estimate."""
        return self.trained * self.tokens

    @property
    def values(self) -> int:
        """An estimate: queries, keys, values, what they find, and a hidden layer of four times the width."""
        return 8 * self.outgoing * self.size**2

    @property
    def parameters(self) -> int:
        """Trained numbers of the encoder."""
        return self.trained


@dataclass(frozen=True, kw_only=True)
class EncodedSettings(HookNetSettings):
    """What a U-Net or HookNet of own encoders is built from; all its branches have one of the kind each."""

    encoder: EncoderSpec

    def __post_init__(self) -> None:
        if self.depth != self.encoder.depth:
            raise ShapeError(
                f"depth {self.depth} of an encoder whose coarsest stride is {self.encoder.strides[-1]}; use "
                f"{self.encoder.depth}"
            )
        super().__post_init__()

    @property
    def shape(self) -> EncodedShape:
        """The sizes, channels and work that follow."""
        return EncodedShape(self)

    @property
    def size_step(self) -> int:
        """Views of sizes so far apart have one grid about their centres, and hooks are cropped by whole px."""
        return 2 * self.encoder.unit

    def block_width(self, depth: int) -> int:
        """Channels of the decoder's blocks, 2^d F; at the coarsest depth those of the encoder."""
        return self.encoder.channels[-1] if depth == self.depth else super().block_width(depth)

    def check_size(self, patch_size: int) -> None:
        """ShapeError, with the nearest legal size, unless all maps, and crops of hooked ones, are whole px."""
        step = self.size_step if self.hooked else self.encoder.unit
        if patch_size < step or patch_size % step:
            nearest = max(step, (2 * patch_size + step - 1) // (2 * step) * step)  # of two, the smaller
            raise ShapeError(
                f"a {patch_size} px patch for encoder {self.encoder.make} is no multiple of {step} px; use {nearest} px"
            )


@dataclass(frozen=True)
class EncodedShape(HookNetShape):
    """Sizes, channels and work that follow from the settings."""

    settings: EncodedSettings

    @property
    def is_seamless(self) -> bool:
        """Whether the encoder's reach has an end."""
        return self.settings.encoder.rim is not None

    @property
    def compiles(self) -> bool:
        """Not unless asked for: nobody knows what an encoder does."""
        return False

    @property
    def rim(self) -> int:
        """How far padding reaches: the encoder's, in whole px of its coarsest map, and the decoder's convolutions."""
        of, encoder = self.settings, self.settings.encoder
        if encoder.rim is None:
            return of.patch_size // RIM_SHARE
        coarsest = encoder.strides[-1]
        return -(-encoder.rim // coarsest) * coarsest + (of.convolutions + 1) * (coarsest - 1)

    @property
    def unit(self) -> int:
        """The encoder's unit at the coarsest spacing, in target px."""
        of = self.settings
        return stride_unit(of.spacings, of.depth) * of.encoder.unit // of.encoder.strides[-1]

    def skip_width(self, depth: int) -> int:
        """Channels that the encoder gives at a depth, 0 for none."""
        return self.settings.encoder.width(depth)

    def decoder_sizes(self, patch_size: int | None = None) -> list[int]:
        """Sizes of the decoder's maps, indexed by depth: convolutions pad."""
        size = self.size_of(patch_size)
        self.settings.check_size(size)
        return [size >> depth for depth in range(self.settings.depth + 1)]

    def tiles(self, rim: int | None = None) -> Iterator[Tile]:
        """Seamless tiles without end; of an encoder that sees all of a view one, as large as the patches."""
        of, dropped = self.settings, self.rim if rim is None else rim
        if self.is_seamless:
            size = of.patch_size
            for stride in count(self.unit, self.unit):
                while self.kept(size, dropped) < stride:
                    size += of.size_step
                yield Tile(self.view_sizes(size), stride)
            return
        kept = self.kept(of.patch_size, dropped)
        # Centres are whole px of all views; on multiples of the unit too, where so much is kept.
        whole = self.unit if kept >= self.unit else 2 * round(of.spacings[-1] / of.spacings[0])
        stride = kept // whole * whole
        if stride < 1:
            raise ShapeError(
                f"a rim of {dropped} px leaves less than {whole} px of a {of.patch_size} px tile; use a smaller one"
            )
        yield Tile(self.view_sizes(of.patch_size), stride)

    def _context_size(self, branch: int, finer: list[int]) -> int:
        """The smallest view of a branch whose maps, free of what padding reaches, fill what they are hooked into."""
        of = self.settings
        if not self.is_seamless:
            return of.patch_size
        size = of.size_step
        least = max(
            finer[hook.target] * of.spacings[hook.target] / of.spacings[branch]
            + 2 * (of.reach << hook.source_depth)
            for hook in of.all_hooks
            if hook.source == branch
        )
        while size < least + 2 * self.rim:
            size += of.size_step
        return size

    def _branch(self, branch: int, patch_size: int, finest: int, predicts: bool) -> Iterator[Convolution]:
        """The maps of a branch's encoder, and its convolutions up to decoder depth ``finest``."""
        of, name = self.settings, branch_name(branch)
        decoder, encoder = self.decoder_sizes(patch_size), of.encoder
        for stride, channels in zip(encoder.strides, encoder.channels, strict=True):
            depth, last = stride.bit_length() - 1, stride == encoder.strides[-1]
            cost = (encoder.parameters, (patch_size // encoder.strides[0]) ** 2) if last else (0, 0)
            place = f"{name}.mid.map" if last else f"{name}.enc{depth}.map"
            yield EncoderMap(place, of.channels, channels, 1, decoder[depth], trained=cost[0], tokens=cost[1])
        yield from self._projections(branch, of.depth, decoder)
        for depth in reversed(range(finest, of.depth)):
            width, size = of.block_width(depth), decoder[depth]
            yield Convolution(f"{name}.dec{depth}.up", self.map_width(branch, depth + 1), width, 3, size)
            for i in range(of.convolutions):
                incoming = width if i else width + self.skip_width(depth)
                yield Convolution(f"{name}.dec{depth}.conv{i}", incoming, width, 3, size, of.batch_norm)
            yield from self._projections(branch, depth, decoder)
        if predicts:
            yield Convolution(f"{name}.out", self.map_width(branch, 0), of.classes, 1, decoder[0])
