"""The residual block of ResNet-50, of which the first layer of HDC-HRNet has four."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.norm import norm
from hooknet.shapes.hdc_blocks import EXPANSION, Norm


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolution, each normalised, added to what comes in (He et al. 2016).

    Gives 4 ``width`` channels; where other ``incoming`` ones come, a normalised 1x1 convolution fits them.
    """

    def __init__(self, incoming: int, width: int, kind: Norm) -> None:
        super().__init__()
        outgoing = EXPANSION * width
        self.inner = nn.Sequential(
            nn.Conv2d(incoming, width, 1, bias=False),
            norm(kind, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            norm(kind, width),
            nn.ReLU(),
            nn.Conv2d(width, outgoing, 1, bias=False),
            norm(kind, outgoing),
        )
        fits = incoming == outgoing
        self.shortcut = (
            nn.Identity()
            if fits
            else nn.Sequential(nn.Conv2d(incoming, outgoing, 1, bias=False), norm(kind, outgoing))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, H, W) -> (B, 4 width, H, W)."""
        return functional.relu(self.shortcut(x) + self.inner(x))
