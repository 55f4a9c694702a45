"""The block of ConvNeXt."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.perceptron import perceptron
from hooknet.models.hdc.norm import ChannelNorm

# How much of each channel the block adds before training.
_LAYER_SCALE: Final = 1e-6


class ConvNeXt(nn.Module):
    """Depth-wise 7x7 convolution, layer normalisation, 1x1 to 4 C, GELU, 1x1 back (Liu et al. 2022).

    What it adds is scaled by 1e-6 a channel at first: a new block changes next to nothing.  No path is dropped.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            ChannelNorm(width),
            perceptron(width),
        )
        self.scale = nn.Parameter(torch.full((width, 1, 1), _LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        found: Tensor = x + self.scale * self.inner(x)
        return found
