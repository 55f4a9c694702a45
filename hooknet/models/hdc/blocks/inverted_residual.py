"""The inverted residual of MobileNetV2, for small batches."""

from __future__ import annotations

from torch import Tensor, nn

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.norm import norm
from hooknet.shapes.hdc_blocks import EXPANSION


class InvertedResidual(nn.Sequential):
    """1x1 to 4 C, depth-wise 3x3, 1x1 back, each normalised, SiLU after the first two; added to what comes in.

    Source: Sandler et al. 2018, who have batch normalisation and ReLU6.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        wide = EXPANSION * width
        super().__init__(
            nn.Conv2d(width, wide, 1, bias=False),
            norm(options.norm, wide),
            nn.SiLU(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            norm(options.norm, wide),
            nn.SiLU(),
            nn.Conv2d(wide, width, 1, bias=False),
            norm(options.norm, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        inner: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + inner
