"""The parts of a U-Net, in the order of the official code.

Names of the parts are those of the official layers, so that a state dict reads ``target.enc0.conv0.weight``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.errors import ShapeError

# What Keras uses where nothing else is said.
EPSILON: Final = 1e-3

# Standard deviation of a unit normal cut off at two: drawing from it must be rescaled to keep the variance.
_TRUNCATED_DEVIATION: Final = 0.87962566103423978

ActivationFunction = Callable[[Tensor], Tensor]

# In place: neither the convolution before nor the activation itself needs the overwritten values.
ACTIVATIONS: Final[dict[str, ActivationFunction]] = {
    "relu": partial(functional.relu, inplace=True),
    "leaky_relu": partial(functional.leaky_relu, negative_slope=0.1, inplace=True),
}


@dataclass(frozen=True)
class Style:
    """What all blocks of a network share; ``padding`` 0 makes valid 3x3 convolutions, 1 such as keep the size."""

    convolutions: int
    activation: str
    batch_norm: bool
    padding: int = 0


class Convolutions(nn.ModuleDict):
    """3x3 convolution, activation, batch normalisation, as often as the style says."""

    def __init__(self, incoming: int, outgoing: int, style: Style) -> None:
        super().__init__()
        self.convolutions = style.convolutions
        self.batch_norm = style.batch_norm
        self.activation = ACTIVATIONS[style.activation]
        for i in range(style.convolutions):
            convolution = nn.Conv2d(outgoing if i else incoming, outgoing, 3, padding=style.padding)
            self[f"conv{i}"] = _he_normal(convolution)
            if style.batch_norm:
                self[f"bn{i}"] = nn.BatchNorm2d(outgoing, eps=EPSILON)

    def convolve(self, x: Tensor) -> Tensor:
        """(B, incoming, s, s) -> (B, outgoing, t, t); t is s less 2 a valid convolution, s where they pad."""
        for i in range(self.convolutions):
            x = self.activation(self[f"conv{i}"](x))
            if self.batch_norm:
                x = self[f"bn{i}"](x)
        return x


class Block(Convolutions):
    """A block of the encoder, or the bottleneck."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, s, s) -> (B, outgoing, t, t); t is s less 2 a valid convolution, s where they pad."""
        return self.convolve(x)


class UpBlock(Convolutions):
    """Nearest doubling, 3x3 convolution, activation (no normalisation); then a block over it and the skip."""

    def __init__(self, below: int, outgoing: int, style: Style, skipped: int) -> None:
        """``skipped``: channels of the skip."""
        super().__init__(skipped + outgoing, outgoing, style)
        self["up"] = glorot_uniform(nn.Conv2d(below, outgoing, 3, padding=style.padding))

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """(B, below, s, s) and (B, skipped, t, t), t >= 2 s less what is not padded -> (B, outgoing, u, u).

        The block sees the channels of the cropped skip first; None where there is none.
        """
        x = self.activation(self["up"](functional.interpolate(x, scale_factor=2.0, mode="nearest")))
        if skip is None:
            return self.convolve(x)
        return self.convolve(torch.cat([centre_crop(skip, x.shape[-1]), x], dim=1))


class Merge(nn.Module):
    """Brings a hook, cropped about its centre, into a feature map of the same spacing.

    ``concat`` puts the hook's channels first; ``add``, ``subtract`` (hook - net) and ``multiply`` first take
    the hook to the width of the map by a 1x1 convolution with activation.
    """

    def __init__(self, merge: str, hooked: int, width: int, activation: str) -> None:
        super().__init__()
        self.merge = MERGES[merge]
        self.activation = ACTIVATIONS[activation]
        self.proj = None if merge == "concat" else glorot_uniform(nn.Conv2d(hooked, width, 1))

    def forward(self, hook: Tensor, net: Tensor) -> Tensor:
        """(B, hooked, t, t) and (B, width, s, s) -> (B, width or hooked + width, s, s)."""
        hook = centre_crop(hook, net.shape[-1])
        if self.proj is not None:
            hook = self.activation(self.proj(hook))
        return self.merge(hook, net)


def _concat(hook: Tensor, net: Tensor) -> Tensor:
    return torch.cat([hook, net], dim=1)


MERGES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "concat": _concat,
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
}


def centre_crop(features: Tensor, size: int) -> Tensor:
    """The central ``size`` x ``size`` of (B, C, s, s), a view; ShapeError where it is not whole pixels."""
    margin = features.shape[-1] - size
    if margin < 0 or margin % 2:
        raise ShapeError(
            f"a feature map of {features.shape[-1]} px has no centred {size} px crop; use a legal patch size"
        )
    half = margin // 2
    return features[..., half : half + size, half : half + size]


def glorot_uniform(convolution: nn.Conv2d) -> nn.Conv2d:
    """The same convolution, weights drawn as Keras does by default, bias 0."""
    nn.init.xavier_uniform_(convolution.weight)
    return _zero_bias(convolution)


def glorot_uniform_dense(layer: nn.Linear) -> nn.Linear:
    """The same layer, weights drawn as Keras does by default, bias 0."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _he_normal(convolution: nn.Conv2d) -> nn.Conv2d:
    """The same convolution, weights drawn as Keras' he_normal, bias 0."""
    fan_in = convolution.weight[0].numel()
    deviation = (2 / fan_in) ** 0.5 / _TRUNCATED_DEVIATION
    nn.init.trunc_normal_(convolution.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    return _zero_bias(convolution)


def _zero_bias(convolution: nn.Conv2d) -> nn.Conv2d:
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution
