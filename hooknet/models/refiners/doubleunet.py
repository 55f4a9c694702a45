"""The DoubleU-Net (Jha et al. 2020), as the released code of H2G-Net has it: without VGG19."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.refiners.blocks import DROPOUT, NORMS, Block, draw_as_keras, halved, upwards
from hooknet.shapes.refiner import ASPP_DILATIONS, ASPP_WIDTH, SQUEEZE, RefinerShape


class SqueezeExcite(nn.Module):
    """Weighs each channel by a share 0..1 that the means of all channels tell."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // SQUEEZE, bias=False)
        self.excite = nn.Linear(channels // SQUEEZE, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, s, s) -> (B, C, s, s)."""
        shares: Tensor = self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3))))).sigmoid()
        return x * shares[:, :, None, None]


class PyramidPooling(nn.Module):
    """Looks around at several distances at once (ASPP): the whole map, the px, and 3x3 px ever further apart.

    In the published bottleneck of 4 px the furthest neighbours lie outside: those convolutions see their
    middle px alone.
    """

    def __init__(self, incoming: int, norm: str) -> None:
        super().__init__()
        width = ASPP_WIDTH
        # Not normalised: an image has one value a channel here, which a batch of one would turn to nothing.
        self.image = nn.Sequential(nn.Conv2d(incoming, width, 1), nn.ReLU(inplace=True))
        self.point = _normalised(nn.Conv2d(incoming, width, 1), norm)
        self.around = nn.ModuleList(
            _normalised(nn.Conv2d(incoming, width, 3, padding=far, dilation=far), norm)
            for far in ASPP_DILATIONS
        )
        self.joined = _normalised(nn.Conv2d((2 + len(ASPP_DILATIONS)) * width, width, 1), norm)

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, s, s) -> (B, 32, s, s)."""
        whole = self.image(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        seen = [whole, self.point(x), *(around(x) for around in self.around)]
        joined: Tensor = self.joined(torch.cat(seen, dim=1))
        return joined


def _normalised(convolution: nn.Conv2d, norm: str) -> nn.Sequential:
    return nn.Sequential(convolution, NORMS[norm](convolution.out_channels), nn.ReLU(inplace=True))


class Half(nn.Module):
    """One of the two U-Nets, with ``encoders`` whose skips its decoder sees.  Dropout is in all blocks."""

    def __init__(self, shape: RefinerShape, inputs: int, encoders: int) -> None:
        super().__init__()
        widths = shape.widths
        self.encoder = nn.ModuleList(
            _squeezed(incoming, width, shape.norm)
            for incoming, width in zip((inputs, *widths), widths, strict=False)
        )
        self.aspp = PyramidPooling(widths[-1], shape.norm)
        self.decoder = nn.ModuleList(
            _squeezed(below + encoders * width, width, shape.norm)
            for below, width in upwards(widths, shape.bottleneck)
        )
        self.head = nn.Conv2d(widths[0], shape.classes, 1)

    def forward(self, images: Tensor, others: Sequence[Tensor] = ()) -> tuple[Tensor, list[Tensor]]:
        """Images (B, inputs, N, N), and the other encoder's skips -> logits (B, K, N, N), skips finest first."""
        skips, x = [], images
        for level in self.encoder:
            skips.append(level(x))
            x = halved(skips[-1])
        x = self.aspp(x)
        sets = [reversed(one) for one in (others, skips) if one]
        for level, *seen in zip(self.decoder, *sets, strict=True):
            up = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = level(torch.cat([*seen, up], dim=1))
        return self.head(x), skips


def _squeezed(incoming: int, width: int, norm: str) -> nn.Sequential:
    return nn.Sequential(Block(incoming, width, norm, DROPOUT), SqueezeExcite(width))


class DoubleUNet(nn.Module):
    """A second U-Net sees the image beside what the first makes of it, and the first one's encoder too.

    The first one's probabilities are a further input (released code); Jha et al. multiply the image by them.
    """

    def __init__(self, shape: RefinerShape) -> None:
        super().__init__()
        self.first = Half(shape, shape.inputs, encoders=1)
        self.second = Half(shape, shape.inputs + shape.classes, encoders=2)
        draw_as_keras(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3 + heat maps, N, N) of 0..1 -> logits (B, K, N, N) of the second, then of the first."""
        before, skips = self.first(images)
        after, _ = self.second(torch.cat([images, before.softmax(dim=1)], dim=1), skips)
        return [after, before]
