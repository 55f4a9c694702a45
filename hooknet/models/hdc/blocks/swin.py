"""The block of the Swin Transformer: attention within windows, which every other block shifts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.perceptron import perceptron
from hooknet.models.hdc.norm import ChannelNorm
from hooknet.shapes.hdc_blocks import WINDOW, attention_heads

#: Px by which blocks of odd index shift the windows.
SHIFT = WINDOW // 2


class WindowAttention(nn.Module):
    """Each px looks at those of its window of 7x7 px, with a bias for each offset and head (Liu et al. 2021).

    Windows are shifted by ``shift`` px in directions in which there is more than one.  The map is made up to whole
    windows with px that no px of the map sees; px that the shift brings together from opposite sides do not see
    each other.
    """

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.heads = attention_heads(width)
        self.seen = nn.Conv2d(width, 3 * width, 1)  # query, key and value
        self.out = nn.Conv2d(width, width, 1)
        self.biases = nn.Parameter(torch.empty(self.heads, (2 * WINDOW - 1) ** 2))
        nn.init.trunc_normal_(self.biases, std=0.02)
        self.register_buffer("offsets", _offsets(), persistent=False)
        self.offsets: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        height, width = x.shape[2:]
        more = [-size % WINDOW for size in (height, width)]
        shifts = [-self.shift if size > WINDOW else 0 for size in (height, width)]
        parts = _parts(height, width, shifts).to(x.device)
        seen = functional.pad(self.seen(x), (0, more[1], 0, more[0])).roll(shifts, (2, 3))
        windows = _windows(seen)  # (B, windows, 3 C, 49)
        # (B, windows, heads, d, 49) each
        query, key, value = torch.unflatten(windows, 2, (3, self.heads, -1)).unbind(2)
        likeness = query.transpose(-2, -1) @ key * query.shape[-2] ** -0.5 + self.biases[:, self.offsets]
        apart = parts[:, :, None] != parts[:, None, :]  # (windows, 49, 49)
        shares = likeness.masked_fill(apart[:, None], float("-inf")).softmax(dim=-1)
        found = (value @ shares.transpose(-2, -1)).flatten(2, 3)  # (B, windows, C, 49)
        whole = _joined(found, seen.shape[2], seen.shape[3]).roll([-one for one in shifts], (2, 3))
        mixed: Tensor = self.out(whole[:, :, :height, :width])
        return mixed


def _offsets() -> Tensor:
    """(49, 49): the number of the offset from one px of a window to another."""
    row, column = (torch.arange(WINDOW**2) // WINDOW, torch.arange(WINDOW**2) % WINDOW)
    down, along = (one[:, None] - one[None, :] + WINDOW - 1 for one in (row, column))
    return down * (2 * WINDOW - 1) + along


def _parts(height: int, width: int, shifts: list[int]) -> Tensor:
    """(windows, 49): numbers of what belongs together: the map, what is beyond it, and each part that wraps round."""
    sides = []
    for size, shift in zip((height, width), shifts, strict=True):
        place = torch.arange(size + -size % WINDOW)
        part = (place < -shift).long()
        sides.append(part.masked_fill(place >= size, 4).roll(shift))
    both = 2 * sides[0][:, None] + sides[1][None, :]
    beyond = (sides[0][:, None] == 4) | (sides[1][None, :] == 4)
    return _windows(both.masked_fill(beyond, -1)[None, None])[0, :, 0]


def _windows(x: Tensor) -> Tensor:
    """(B, C, 7 p, 7 q) -> (B, p q, C, 49)."""
    batch, channels, height, width = x.shape
    cut = x.view(batch, channels, height // WINDOW, WINDOW, width // WINDOW, WINDOW)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels, WINDOW**2)


def _joined(windows: Tensor, height: int, width: int) -> Tensor:
    """Back again."""
    batch, _, channels, _ = windows.shape
    cut = windows.view(batch, height // WINDOW, width // WINDOW, channels, WINDOW, WINDOW)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width)


class Swin(nn.Module):
    """Attention within windows, then 1x1 convolutions, each normalised before and added to what comes in.

    12 C² + 13 C + 169 heads parameters; heads: 8, or as many below as divide C.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__()
        shift = SHIFT if options.index % 2 else 0
        self.attention = nn.Sequential(ChannelNorm(width), WindowAttention(width, shift))
        self.inner = nn.Sequential(ChannelNorm(width), perceptron(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.attention(x)
        found: Tensor = x + self.inner(x)
        return found
