"""The attention-gated U-Net (AGU-Net; Bouget et al. 2021), as the released code of H2G-Net has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.refiners.blocks import (
    NORMS,
    Block,
    PyramidEncoder,
    doubled,
    draw_as_keras,
    halved,
    upwards,
)
from hooknet.shapes.refiner import RefinerShape


class AttentionGate(nn.Module):
    """Weighs each px of a skip by a share 0..1 that the skip and the decoder's map tell together."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        half = width // 2
        self.signal = nn.Sequential(nn.Conv2d(width, half, 1), NORMS[norm](half))
        self.skip = nn.Sequential(nn.Conv2d(width, half, 1), NORMS[norm](half))
        self.share = nn.Sequential(nn.Conv2d(2 * half, 1, 1), NORMS[norm](1))

    def forward(self, signal: Tensor, skip: Tensor) -> Tensor:
        """Two of (B, width, s, s) -> the skip, weighed."""
        # Joined side by side as in the released code; Oktay et al. 2018 add them up.
        joined = functional.relu(torch.cat([self.signal(signal), self.skip(skip)], dim=1))
        share: Tensor = self.share(joined).sigmoid()
        return skip * share


class GatedUp(nn.Module):
    """A level of the decoder: the map from below, doubled, beside the skip that it gates; then a block."""

    def __init__(self, below: int, width: int, norm: str) -> None:
        super().__init__()
        self.up = nn.Sequential(doubled(below, width), NORMS[norm](width), nn.ReLU(inplace=True))
        self.gate = AttentionGate(width, norm)
        # Without dropout: the released code sets an attribute for it that nothing reads.
        self.block = Block(2 * width, width, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, below, s, s) and (B, width, 2s, 2s) -> (B, width, 2s, 2s)."""
        up = self.up(x)
        joined: Tensor = self.block(torch.cat([self.gate(up, skip), up], dim=1))
        return joined


class AGUNet(nn.Module):
    """Gates on all skips, the image at every level of the encoder, a prediction at every level of the decoder."""

    def __init__(self, shape: RefinerShape) -> None:
        super().__init__()
        widths = shape.widths
        self.encoder = PyramidEncoder(shape.inputs, widths, shape.norm)
        self.bottleneck = Block(widths[-1], shape.bottleneck, shape.norm)
        self.decoder = nn.ModuleList(
            GatedUp(below, width, shape.norm) for below, width in upwards(widths, shape.bottleneck)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, shape.classes, 1) for width in reversed(widths))
        draw_as_keras(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3 + heat maps, N, N) of 0..1 -> logits (B, K, N, N), (B, K, N/2, N/2), … finest first."""
        skips = self.encoder(images)
        x, logits = self.bottleneck(halved(skips[-1])), []
        for level, head, skip in zip(self.decoder, self.heads, reversed(skips), strict=True):
            x = level(x, skip)
            logits.append(head(x))
        return logits[::-1]
