"""The U-Net that H2G-Net refines with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.refiners.blocks import DROPOUT, Block, draw_as_keras, halved, upwards
from hooknet.shapes.refiner import RefinerShape


class UNetRefiner(nn.Module):
    """A U-Net whose decoder doubles by repeating px, without a convolution; dropout in the decoder alone."""

    def __init__(self, shape: RefinerShape) -> None:
        super().__init__()
        widths = shape.widths
        self.encoder = nn.ModuleList(
            Block(incoming, width, shape.norm)
            for incoming, width in zip((shape.inputs, *widths), widths, strict=False)
        )
        self.bottleneck = Block(widths[-1], shape.bottleneck, shape.norm)
        self.decoder = nn.ModuleList(
            Block(below + width, width, shape.norm, DROPOUT)
            for below, width in upwards(widths, shape.bottleneck)
        )
        self.head = nn.Conv2d(widths[0], shape.classes, 1)
        draw_as_keras(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3 + heat maps, N, N) of 0..1 -> [logits (B, K, N, N)]."""
        skips, x = [], images
        for level in self.encoder:
            skips.append(level(x))
            x = halved(skips[-1])
        x = self.bottleneck(x)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            up = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = level(torch.cat([skip, up], dim=1))
        return [self.head(x)]
