"""The deformable block, from which HDC-HRNet has its name."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.deformable import DeformableAggregation, DeformableConv2d
from hooknet.models.hdc.norm import norm


class Deformable(nn.Module):
    """Deformable convolution, normalisation, GELU, added to what comes in.

    9 C² + 246 C + 27 parameters in version 2, of which 2 C are the normalisation's.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__()
        self.convolution = (
            DeformableConv2d(width, width, options.dilation)
            if options.version == 2
            else DeformableAggregation(width, options.dilation)
        )
        self.norm = norm(options.norm, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + functional.gelu(self.norm(self.convolution(x)))
