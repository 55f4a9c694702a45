"""MRN: an encoder per spacing, one decoder; every context is resampled to the target's view and joined everywhere.

Source: Gu et al. 2018 (arXiv 1807.09607), as described by van Rijthoven et al. 2021, sections 1.3 and 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.blocks import Block, Style, UpBlock, glorot_uniform
from hooknet.models.network import Network
from hooknet.shapes.hooks import branch_name
from hooknet.shapes.mrn import MRNSettings


class Encoder(nn.ModuleDict):
    """Blocks with poolings between them, down to the bottleneck."""

    def __init__(self, of: MRNSettings, style: Style) -> None:
        super().__init__()
        self.depth = of.depth
        incoming = of.channels
        for depth in range(of.depth + 1):
            self[self.name(depth)] = Block(incoming, of.block_width(depth), style)
            incoming = of.block_width(depth)

    def name(self, depth: int) -> str:
        """The block at one depth, called as in the official HookNet."""
        return "mid" if depth == self.depth else f"enc{depth}"

    def encode(self, x: Tensor) -> list[Tensor]:
        """(B, C, M, M) -> maps (B, C, M / 2^d, same) for d = 0 .. D."""
        maps = []
        for depth in range(self.depth + 1):
            x = self[self.name(depth)](functional.max_pool2d(x, 2) if depth else x)
            maps.append(x)
        return maps


class Target(Encoder):
    """The target's encoder with the decoder that joins all encoders' maps."""

    def __init__(self, of: MRNSettings, style: Style) -> None:
        super().__init__(of, style)
        for depth in reversed(range(of.depth)):
            below, width = of.shape.map_width(depth + 1), of.block_width(depth)
            self[f"dec{depth}"] = UpBlock(below, width, style, len(of.spacings) * width)
        self["out"] = glorot_uniform(nn.Conv2d(of.block_width(0), of.classes, 1))

    def decode(self, maps: list[list[Tensor]]) -> Tensor:
        """Per depth the target's map and those of the contexts, all of one field of view -> logits (B, K, M, M).

        They are joined where they are needed and let go: at large tiles they weigh more than the network.
        """
        x = torch.cat(maps.pop(), dim=1)
        while maps:
            depth = len(maps) - 1
            x = self[f"dec{depth}"](x, torch.cat(maps.pop(), dim=1))
        logits: Tensor = self["out"](x)
        return logits


class MRN(Network):
    """One encoder per spacing and the target's decoder; spacings (0.5, 8.0) make the MRN of the paper."""

    settings: MRNSettings

    def __init__(self, settings: MRNSettings) -> None:
        super().__init__(settings)
        style = Style(settings.convolutions, settings.activation, settings.batch_norm, padding=1)
        for branch in reversed(range(len(settings.spacings))):
            self[branch_name(branch)] = Encoder(settings, style) if branch else Target(settings, style)
        self._set_momentum(settings.batch_norm_momentum)

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Concentric patches (B, C, M, M) of 0..1, target first -> [logits (B, K, M, M)]."""
        self._check(patches)
        return [self._logits(patches)]

    def target_logits(self, patches: Sequence[Tensor]) -> Tensor:
        """Concentric views (B, C, M, M), each of its own size, target first -> the target's logits (B, K, M, M)."""
        self._check_views(patches)
        return self._logits(patches)

    def _logits(self, patches: Sequence[Tensor]) -> Tensor:
        size = patches[0].shape[-1]
        contexts = [self._aligned(branch, patches[branch], size) for branch in range(1, len(patches))]
        target = cast(Target, self._encoder(0))
        maps = [list(one) for one in zip(target.encode(patches[0]), *contexts, strict=True)]
        del contexts  # decode lets go what it has joined
        return target.decode(maps)

    def _aligned(self, branch: int, patch: Tensor, size: int) -> list[Tensor]:
        """The maps of a context's encoder, one a depth, of the field of view of a target's ``size`` px."""
        share = self.settings.spacings[0] * size / (self.settings.spacings[branch] * patch.shape[-1])
        maps = self._encoder(branch).encode(patch)
        return [align(one, share, size >> depth) for depth, one in enumerate(maps)]

    def _encoder(self, branch: int) -> Encoder:
        return cast(Encoder, self[branch_name(branch)])


def align(context: Tensor, share: float, size: int) -> Tensor:
    """The central ``share`` of the field of view of (B, C, s, s), resampled bilinearly to ``size`` px a side.

    Exact also where the share is no whole number of feature pixels, which a crop would have to round: a
    context of 16 times the spacing has one pixel of 16 at depth 4, about a corner.
    """
    # Mixed precision must not touch the grid: in bf16 its places are px off at the rim of a large tile.
    whole = context if context.dtype == torch.float64 else context.float()
    axis = (2 * torch.arange(size, dtype=whole.dtype, device=whole.device) + 1 - size) * (share / size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    grid = torch.stack([columns, rows], dim=-1).expand(context.shape[0], -1, -1, -1)
    found = functional.grid_sample(whole, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found.to(context.dtype)
