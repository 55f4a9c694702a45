"""The parts that refiners share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.refiners.renorm import BatchRenorm2d

#: Share of the channels that a decoder drops in training.
DROPOUT: Final = 0.1


def _batch_norm(channels: int) -> nn.Module:
    """Batch renormalisation that changes nothing: torch's own layer keeps the statistics that it starts with.

    With a share of 1 % a step, a third of those is left after 100 steps, which spoils inference by short trainings.
    """
    return BatchRenorm2d(channels, r_max=1.0, d_max=0.0)


NORMS: Final[dict[str, Callable[[int], nn.Module]]] = {"renorm": BatchRenorm2d, "batch": _batch_norm}


class Block(nn.Sequential):
    """Twice: 3x3 convolution that keeps the size, normalisation, ReLU, dropout of whole channels."""

    def __init__(self, incoming: int, outgoing: int, norm: str, dropout: float = 0.0) -> None:
        """(B, incoming, s, s) -> (B, outgoing, s, s); ``norm``: a name in ``NORMS``."""
        layers: list[nn.Module] = []
        for channels in (incoming, outgoing):
            layers += [
                nn.Conv2d(channels, outgoing, 3, padding=1),
                NORMS[norm](outgoing),
                nn.ReLU(inplace=True),
            ]
            if dropout > 0:
                layers.append(nn.Dropout2d(dropout))
        super().__init__(*layers)


def halved(x: Tensor) -> Tensor:
    """(B, C, s, s) -> (B, C, s/2, s/2), the largest of four."""
    return functional.max_pool2d(x, 2)


def doubled(below: int, width: int) -> nn.ConvTranspose2d:
    """(B, below, s, s) -> (B, width, 2s, 2s): a transposed 3x3 convolution."""
    return nn.ConvTranspose2d(below, width, 3, stride=2, padding=1, output_padding=1)


def upwards(widths: tuple[int, ...], bottleneck: int) -> list[tuple[int, int]]:
    """Channels from below and channels of each level of a decoder, coarsest first."""
    return list(pairwise((bottleneck, *reversed(widths))))


class PyramidEncoder(nn.Module):
    """An encoder that sees the image again, averaged to its size, at each level but the finest.

    Source: the released AGU-Net; the bottleneck does not see it.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...], norm: str) -> None:
        super().__init__()
        self.seen = nn.ModuleList(nn.Conv2d(inputs, width, 3, padding=1) for width in widths[1:])
        incoming = [inputs, *(below + width for below, width in pairwise(widths))]
        self.levels = nn.ModuleList(
            Block(channels, width, norm) for channels, width in zip(incoming, widths, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, inputs, N, N) -> the map of each level before it is halved, finest first."""
        found = [self.levels[0](images)]
        for seen, level in zip(self.seen, self.levels[1:], strict=True):
            images = functional.avg_pool2d(images, 2)
            again = functional.relu(seen(images))
            found.append(level(torch.cat([again, halved(found[-1])], dim=1)))
        return found


def draw_as_keras(network: nn.Module) -> None:
    """Draw all weights as Keras does by default, biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
