"""The residual block of ResNet-18."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.norm import norm


class Basic(nn.Sequential):
    """Two normalised 3x3 convolutions of the block's dilation, added to what comes in (He et al. 2016)."""

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__(
            _around(width, options),
            norm(options.norm, width),
            nn.ReLU(),
            _around(width, options),
            norm(options.norm, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        inner: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return functional.relu(x + inner)


def _around(width: int, options: BlockOptions) -> nn.Conv2d:
    far = options.dilation
    return nn.Conv2d(width, width, 3, padding=far, dilation=far, bias=False)
