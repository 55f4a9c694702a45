"""A small transformer as an encoder: an embedding of 4 px patches, and blocks that attend within windows.

Two stages, of strides 4 and 8.  In every second block windows lie half a window further, so that tissue on either side
of a border meets; at the side of a view those windows are filled with zeros.  Nothing depends on where a view lies, so
that maps have no seams where views lie on multiples of ``unit``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 4


class WindowBlock(nn.Module):
    """Attention within windows of ``window`` px, ``shift`` px further right and down, then two layers for each px."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.grow, self.shrink = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        # A number for each head and each step from one px of a window to another.
        self.place = nn.Parameter(torch.zeros(heads, (2 * window - 1) ** 2))
        rows, columns = (one.flatten() for one in torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij"))
        steps = [one[:, None] - one[None] + window - 1 for one in (rows, columns)]
        self.register_buffer("step", steps[0] * (2 * window - 1) + steps[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same."""
        x = x + self._attend(self.norm1(x))
        return x + self.shrink(functional.gelu(self.grow(self.norm2(x))))

    def _attend(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        side, before = self.window, (self.window - self.shift) % self.window
        x = functional.pad(x, (0, 0, before, self.shift, before, self.shift)) if self.shift else x
        rows, columns = x.shape[1] // side, x.shape[2] // side
        windows = x.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
        qkv = self.qkv(windows.reshape(-1, side * side, channels))
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        alike = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + self.place[:, self.step]
        found = self.out((alike.softmax(-1) @ value).transpose(1, 2).flatten(2))
        found = found.reshape(batch, rows, columns, side, side, channels).transpose(2, 3)
        found = found.reshape(batch, rows * side, columns * side, channels)
        return found[:, before : before + height, before : before + width] if self.shift else found


class SmallViT(nn.Module):
    """Maps of strides 4 and 8."""

    def __init__(self, channels: int, width: int, blocks: int, heads: int, window: int) -> None:
        super().__init__()
        self.strides = (PATCH, 2 * PATCH)
        self.channels = (width, 2 * width)
        self.unit = 2 * PATCH * window  # windows of the coarser stage lie on multiples of it
        self.embed = nn.Conv2d(channels, width, PATCH, stride=PATCH)
        self.merge = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.stages = nn.ModuleList(
            nn.ModuleList(WindowBlock(one, heads, window, n % 2 * (window // 2)) for n in range(blocks))
            for one in self.channels
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, M, M), M a multiple of the unit -> (B, width, M / 4, same), (B, 2 width, M / 8, same)."""
        maps = []
        for step, stage in zip((self.embed, self.merge), self.stages, strict=True):
            x = step(x).permute(0, 2, 3, 1)
            for block in stage:
                x = block(x)
            x = x.permute(0, 3, 1, 2)
            maps.append(x)
        return maps


def make_encoder(
    channels: int, width: int = 32, blocks: int = 2, heads: int = 4, window: int = 4
) -> SmallViT:
    """What `network.encoder.make` names; the keywords besides ``channels`` are its `options`."""
    return SmallViT(channels, width, blocks, heads, window)
