"""The dual-attention-guided U-Net (DAGU-Net; Bouget et al. 2021), as the released code of H2G-Net has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hooknet.models.refiners.blocks import (
    DROPOUT,
    NORMS,
    Block,
    PyramidEncoder,
    doubled,
    draw_as_keras,
    halved,
    upwards,
)
from hooknet.shapes.refiner import SQUEEZE, RefinerShape

#: Share that is dropped about the attentions.
ATTENTION_DROPOUT = 0.5


class PositionAttention(nn.Module):
    """To each px adds what px like it show, wherever they are (Fu et al. 2019); nothing at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // SQUEEZE, 1)
        self.key = nn.Conv2d(channels, channels // SQUEEZE, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, s, s) -> (B, C, s, s)."""
        queries, keys, values = (one(x).flatten(2) for one in (self.query, self.key, self.value))
        likeness = (queries.transpose(1, 2) @ keys).softmax(dim=-1)  # (B, px, px that it looks at)
        found: Tensor = (values @ likeness.transpose(1, 2)).view_as(x)
        return x + self.gamma * found


class ChannelAttention(nn.Module):
    """To each channel adds the channels like it (Fu et al. 2019); nothing at first."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, s, s) -> (B, C, s, s)."""
        maps = x.flatten(2)
        likeness = (maps @ maps.transpose(1, 2)).softmax(dim=-1)  # (B, channel, channel that it looks at)
        return x + self.gamma * (likeness @ maps).view_as(x)


class DualAttention(nn.Module):
    """Both attentions side by side, each refined by two convolutions, then summed."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.position = nn.Sequential(PositionAttention(channels), *_refined(channels, norm))
        self.channel = nn.Sequential(ChannelAttention(), *_refined(channels, norm))
        self.joined = nn.Sequential(
            nn.Dropout(ATTENTION_DROPOUT), nn.Conv2d(channels, channels, 1), NORMS[norm](channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, s, s) -> (B, C, s, s)."""
        joined: Tensor = self.joined(self.position(x) + self.channel(x))
        return joined


def _refined(channels: int, norm: str) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 3, padding=1),
        NORMS[norm](channels),
        nn.ReLU(inplace=True),
        nn.Dropout(ATTENTION_DROPOUT),
        nn.Conv2d(channels, channels, 3, padding=1),
    ]


class GuidedUp(nn.Module):
    """A level of the decoder: the skip beside the map from below, doubled; normalised, ReLU; then a block."""

    def __init__(self, below: int, width: int, norm: str) -> None:
        super().__init__()
        self.up = doubled(below, width)
        self.joined = nn.Sequential(NORMS[norm](2 * width), nn.ReLU(inplace=True))
        self.block = Block(2 * width, width, norm, DROPOUT)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, below, s, s) and (B, width, 2s, 2s) -> (B, width, 2s, 2s)."""
        joined: Tensor = self.block(self.joined(torch.cat([skip, self.up(x)], dim=1)))
        return joined


class DAGUNet(nn.Module):
    """Attention to places and channels at the bottleneck; skips are not gated (released setting).

    The image is seen at every level of the encoder; every level of the decoder predicts.
    """

    def __init__(self, shape: RefinerShape) -> None:
        super().__init__()
        widths = shape.widths
        self.encoder = PyramidEncoder(shape.inputs, widths, shape.norm)
        self.bottleneck = Block(widths[-1], shape.bottleneck, shape.norm)
        self.attention = DualAttention(shape.bottleneck, shape.norm)
        self.decoder = nn.ModuleList(
            GuidedUp(below, width, shape.norm) for below, width in upwards(widths, shape.bottleneck)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, shape.classes, 1) for width in reversed(widths))
        draw_as_keras(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3 + heat maps, N, N) of 0..1 -> logits (B, K, N, N), (B, K, N/2, N/2), … finest first."""
        skips = self.encoder(images)
        x, logits = self.attention(self.bottleneck(halved(skips[-1]))), []
        for level, head, skip in zip(self.decoder, self.heads, reversed(skips), strict=True):
            x = level(x, skip)
            logits.append(head(x))
        return logits[::-1]
