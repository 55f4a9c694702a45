"""Normalisations of HDC-HRNet."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hooknet.shapes.hdc_blocks import Norm, largest_divisor

#: Groups of channels of a group normalisation, where the channels can be divided so.
GROUPS = 8


def norm(kind: Norm, channels: int) -> nn.Module:
    """A normalisation of (B, C, H, W): ``group`` in 8 groups, or as many below as divide C; or ``batch``.

    Groups know nothing of the batch, whose few images say little; the first release of HDC-HRNet has ``batch``.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(largest_divisor(channels, GROUPS), channels)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each px of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        last = functional.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return last.permute(0, 3, 1, 2).contiguous()
