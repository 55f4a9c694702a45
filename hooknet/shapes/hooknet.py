"""U-Nets of valid convolutions on concentric patches, the coarser hooked into the finer: their shape.

Branches count from the finest spacing: 0 is the target.  Depths count poolings (see :mod:`hooknet.shapes.sizes`).
Source: van Rijthoven et al. 2021, section 3, in the widths of the official code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal

from hooknet.errors import ShapeError
from hooknet.shapes.hooks import Hook, branch_name, chain_hooks, check_hooks
from hooknet.shapes.sizes import decoder_sizes, encoder_sizes, legal_sizes
from hooknet.shapes.tiles import smallest_view
from hooknet.shapes.unet import Join, UNetSettings, UNetShape
from hooknet.shapes.work import Attention, Convolution

Merge = Literal["concat", "add", "subtract", "multiply", "attention"]


@dataclass(frozen=True, kw_only=True)
class HookNetSettings(UNetSettings):
    """What a HookNet, or with one spacing a U-Net, is built from.

    ``hooks``: None for the chain of the paper.  ``loss_weights``: one per branch, None for the target alone.
    ``window`` (px of the map, odd) and ``heads`` are of ``merge`` attention.
    """

    merge: Merge = "concat"
    window: int = 5
    heads: int = 4
    hooks: tuple[Hook, ...] | None = None
    loss_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_hooks(self.all_hooks, self.spacings, self.depth)
        self.check_size(self.patch_size)
        weights = self.all_loss_weights
        if len(weights) != len(self.spacings) or not all(0 <= weight < inf for weight in weights):
            raise ShapeError(
                f"loss weights {list(weights)} for {len(self.spacings)} spacings; "
                "give each a number of 0 or more"
            )
        if weights[0] == 0:
            raise ShapeError("the target's loss weight is 0, so its decoder would not learn; use one above 0")
        for hook in self.all_hooks:
            finest = self.finest_depths[hook.target]
            if hook.target_depth < finest:
                raise ShapeError(
                    f"a hook into depth {hook.target_depth} of branch {hook.target}, which is used only down "
                    f"to depth {finest}; hook it in there or deeper, or give that branch a loss weight"
                )
        self._check_window()

    def _check_window(self) -> None:
        """ShapeError where windows are none, or reach beyond a hooked map of the patches."""
        if self.window < 1 or self.window % 2 == 0 or self.heads < 1:
            raise ShapeError(
                f"attention of {self.heads} heads over {self.window} px; use at least 1, and an odd number"
            )
        for hook in self.all_hooks:
            size, margin = self.patch_size, self.shape.hook_margin(hook)
            if margin >= self.reach:
                continue
            while self.shape.hook_margin(hook, size) < self.reach:
                size += self.size_step
            raise ShapeError(
                f"a window of {self.window} px reaches {self.reach} px around a hooked map, and a {self.patch_size} px "
                f"patch leaves {margin}; use patches of {size} px, or a window of {2 * margin + 1} px"
            )

    @property
    def shape(self) -> HookNetShape:
        """The sizes, channels and work that follow."""
        return HookNetShape(self)

    @property
    def size_step(self) -> int:
        """Patches of sizes so far apart have one pooling grid about their centres."""
        return int(2 ** (self.depth + 1))

    def check_size(self, patch_size: int) -> None:
        """ShapeError, with the nearest legal size, for patches that a pooling or a crop would misalign."""
        decoder_sizes(patch_size, self.depth, self.convolutions, self.hooked)

    @property
    def all_hooks(self) -> tuple[Hook, ...]:
        """The hooks, spelled out where the settings leave them to the paper's chain."""
        return chain_hooks(self.spacings, self.depth) if self.hooks is None else self.hooks

    @property
    def all_loss_weights(self) -> tuple[float, ...]:
        """One loss weight per branch, target first."""
        return (1.0, *[0.0] * (len(self.spacings) - 1)) if self.loss_weights is None else self.loss_weights

    @property
    def hooked(self) -> bool:
        """Whether branches are hooked together, which allows fewer sizes (see :mod:`hooknet.shapes.sizes`)."""
        return bool(self.all_hooks)

    @property
    def reach(self) -> int:
        """Px around the map it enters that are seen of a hooked one: those of the window, with attention."""
        return (self.window - 1) // 2 if self.merge == "attention" else 0

    @property
    def finest_depths(self) -> tuple[int, ...]:
        """Per branch, the finest decoder depth that is of any use; what lies below is not built.

        0 for a branch with a loss, else the finest depth that a hook takes.
        """
        branches = range(len(self.spacings))
        taken = [[hook.source_depth for hook in self.all_hooks if hook.source == b] for b in branches]
        return tuple(0 if w > 0 else min(t) for w, t in zip(self.all_loss_weights, taken, strict=True))


@dataclass(frozen=True)
class HookNetShape(UNetShape):
    """Sizes, channels and work that follow from the settings."""

    settings: HookNetSettings

    @property
    def rim(self) -> int:
        """0: valid convolutions pad nothing."""
        return 0

    @property
    def skipped_encoders(self) -> int:
        """The target's own."""
        return 1

    @property
    def joins(self) -> tuple[Join, ...]:
        """The hooks."""
        return tuple(
            Join(
                f"{branch_name(hook.source)}.dec{hook.source_depth}",
                hook.source,
                hook.source_depth,
                f"{branch_name(hook.target)}."
                + ("mid" if hook.target_depth == self.settings.depth else f"dec{hook.target_depth}"),
                f"{self.hook_margin(hook) - self.settings.reach} px cropped from each side, {self._how}",
            )
            for hook in self.settings.all_hooks
        )

    @property
    def _how(self) -> str:
        of = self.settings
        return f"attention to {of.window} x {of.window} px" if of.merge == "attention" else of.merge

    def output_size(self, patch_size: int | None = None) -> int:
        """Side of the output in px, for patches of the training size or another."""
        return self.decoder_sizes(patch_size)[0]

    def hooks_into(self, branch: int, depth: int) -> tuple[Hook, ...]:
        """The hooks that enter a branch at one depth, in the order in which they are merged."""
        return tuple(h for h in self.settings.all_hooks if (h.target, h.target_depth) == (branch, depth))

    def hook_name(self, hook: Hook) -> str:
        """``hook`` as in the official code, then ``hook1`` ...: unique within the branch it enters."""
        position = [h for h in self.settings.all_hooks if h.target == hook.target].index(hook)
        return f"hook{position or ''}"

    def skip_width(self, depth: int) -> int:
        """Channels of the encoder's map that is skipped over to the decoder at one depth."""
        return self.settings.block_width(depth)

    def map_width(self, branch: int, depth: int) -> int:
        """Channels of the decoder's map at one depth, with those of hooks into it."""
        width = self.settings.block_width(depth)
        if self.settings.merge == "concat":
            hooks = self.hooks_into(branch, depth)
            width += sum(self.map_width(hook.source, hook.source_depth) for hook in hooks)
        return width

    def attention(self, hook: Hook, size: int = 0) -> Attention:
        """What a hook's attention is, for maps of ``size`` px: as wide as the hooked map, or a little for the heads."""
        heads, hooked = self.settings.heads, self.map_width(hook.source, hook.source_depth)
        width = -(-hooked // heads) * heads
        name = f"{branch_name(hook.target)}.{self.hook_name(hook)}.attend"
        return Attention(name, width, width, self.settings.window, size, heads=heads)

    def hook_margin(self, hook: Hook, patch_size: int | None = None) -> int:
        """Pixels cropped from each side of a hooked map, for patches of the training size or another."""
        sizes = self.decoder_sizes(patch_size)
        return (sizes[hook.source_depth] - sizes[hook.target_depth]) // 2

    def decoder_sizes(self, patch_size: int | None = None) -> list[int]:
        """Sizes of the decoder's maps, indexed by depth, for patches of the training size or another."""
        of = self.settings
        return decoder_sizes(self.size_of(patch_size), of.depth, of.convolutions, of.hooked)

    def view_sizes(self, target_size: int) -> tuple[int, ...]:
        """Px a side of the smallest legal views whose decoder maps fill what they are hooked into."""
        sizes = [target_size]
        for branch in range(1, len(self.settings.spacings)):
            sizes.append(self._context_size(branch, sizes))
        return tuple(sizes)

    def _context_size(self, branch: int, finer: list[int]) -> int:
        """The smallest view of a branch for those of the finer ones."""
        of = self.settings
        hooks = [hook for hook in of.all_hooks if hook.source == branch]
        wanted = [
            (one.source_depth, self.decoder_sizes(finer[one.target])[one.target_depth] + 2 * of.reach)
            for one in hooks
        ]
        smallest = legal_sizes(2**62, of.depth, of.convolutions, of.hooked)[0]
        start = smallest + (of.patch_size - smallest) % 2 ** (of.depth + 1)

        def suffices(size: int) -> bool:
            maps = self.decoder_sizes(size)
            return all(maps[depth] >= least for depth, least in wanted)

        return smallest_view(start, of.depth, suffices)

    def needed_depth(self, branch: int) -> int:
        """The finest decoder depth of a branch that the target's logits need; 0 for the target."""
        taken = [hook.source_depth for hook in self.settings.all_hooks if hook.source == branch]
        return 0 if branch == 0 else min(taken)

    def convolutions(self, patch_size: int | None = None) -> Iterator[Convolution]:
        """Every convolution, target first, for patches of the training size or another."""
        for branch, finest in enumerate(self.settings.finest_depths):
            yield from self._branch(branch, self.size_of(patch_size), finest, branch in self.output_branches)

    def inference_convolutions(self, sizes: tuple[int, ...]) -> Iterator[Convolution]:
        """The convolutions that the target's logits need, for views of these sizes, target first."""
        for branch, size in enumerate(sizes):
            yield from self._branch(branch, size, self.needed_depth(branch), branch == 0)

    def _branch(self, branch: int, patch_size: int, finest: int, predicts: bool) -> Iterator[Convolution]:
        """The convolutions of a branch up to decoder depth ``finest``, and the last where it predicts."""
        of, name = self.settings, branch_name(branch)
        encoder = encoder_sizes(patch_size, of.depth, of.convolutions)
        decoder = self.decoder_sizes(patch_size)
        for depth in range(of.depth + 1):
            place = f"{name}.enc{depth}" if depth < of.depth else f"{name}.mid"
            yield from self._block(
                place, of.block_width(depth - 1) if depth else of.channels, depth, encoder[depth]
            )
        yield from self._projections(branch, of.depth, decoder)
        for depth in reversed(range(finest, of.depth)):
            below, width = self.map_width(branch, depth + 1), of.block_width(depth)
            yield Convolution(f"{name}.dec{depth}.up", below, width, 3, 2 * decoder[depth + 1] - 2)
            yield from self._block(f"{name}.dec{depth}", 2 * width, depth, decoder[depth])
            yield from self._projections(branch, depth, decoder)
        if predicts:
            yield Convolution(f"{name}.out", self.map_width(branch, 0), of.classes, 1, decoder[0])

    def _block(self, place: str, incoming: int, depth: int, size: int) -> Iterator[Convolution]:
        """The convolutions of a block that leaves ``size`` px."""
        of, width = self.settings, self.settings.block_width(depth)
        for i in range(of.convolutions):
            left = size + 2 * (of.convolutions - 1 - i)
            yield Convolution(f"{place}.conv{i}", width if i else incoming, width, 3, left, of.batch_norm)

    def _projections(self, branch: int, depth: int, decoder: list[int]) -> Iterator[Convolution]:
        """The layers that hooks go through where they are not concatenated, most of them 1x1 convolutions."""
        if self.settings.merge == "concat":
            return
        width, size = self.settings.block_width(depth), decoder[depth]
        for hook in self.hooks_into(branch, depth):
            incoming = self.map_width(hook.source, hook.source_depth)
            name = f"{branch_name(branch)}.{self.hook_name(hook)}"
            if self.settings.merge != "attention":
                yield Convolution(f"{name}.proj", incoming, width, 1, size)
                continue
            attention = self.attention(hook, size)
            yield Convolution(f"{name}.query", width, attention.outgoing, 1, size)
            for part in ("key", "value"):
                seen = size + 2 * self.settings.reach
                biased = part == "value"
                yield Convolution(f"{name}.{part}", incoming, attention.outgoing, 1, seen, biased=biased)
            yield attention
            yield Convolution(f"{name}.out", attention.outgoing, width, 1, size)
