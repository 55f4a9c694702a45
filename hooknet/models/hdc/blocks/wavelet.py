"""The wavelet block: convolutions on the four bands of a Haar transform."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.norm import norm

BANDS = 4


def haar(x: Tensor) -> Tensor:
    """(B, C, 2h, 2w) -> (B, 4 C, h, w): the orthonormal Haar transform.

    Sums, differences along rows, along columns, and of both: C channels each.
    """
    upper, lower = x[:, :, ::2], x[:, :, 1::2]
    sums, differences = upper + lower, upper - lower
    bands = [one[..., ::2] + sign * one[..., 1::2] for one in (sums, differences) for sign in (1, -1)]
    return torch.cat(bands, dim=1) / 2


def haar_back(bands: Tensor) -> Tensor:
    """(B, 4 C, h, w) -> (B, C, 2h, 2w): the inverse of ``haar``."""
    mean, along, down, across = bands.chunk(BANDS, dim=1)
    sums = _alternating(mean + along, mean - along)
    differences = _alternating(down + across, down - across)
    upper, lower = sums + differences, sums - differences
    return torch.stack([upper, lower], dim=3).flatten(2, 3) / 2


def _alternating(even: Tensor, odd: Tensor) -> Tensor:
    """Two of (B, C, h, w) -> (B, C, h, 2w)."""
    return torch.stack([even, odd], dim=-1).flatten(-2)


class Wavelet(nn.Module):
    """A 3x3 convolution for each band; transformed back, normalised, GELU, added to what comes in.

    36 C² + 2 C parameters.  A map of an odd size is made even by its last row or column, seen twice.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__()
        wide = BANDS * width
        self.bands = nn.Conv2d(wide, wide, 3, padding=1, groups=BANDS, bias=False)
        self.norm = norm(options.norm, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        height, width = x.shape[2:]
        even = functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        back = haar_back(self.bands(haar(even)))[:, :, :height, :width]
        return x + functional.gelu(self.norm(back))
