"""A block with one look at the whole map, after RWKV (Peng et al. 2023) and AFT-simple (Zhai et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.perceptron import perceptron
from hooknet.models.hdc.norm import ChannelNorm

_ROLES = 3  # key, value, gate


class GlobalMixing(nn.Module):
    """The mean of all px's values, weighed by a softmax of their keys, reaches each px through its own gate.

    Key, value and gate see each px mixed with the one before it, row by row; half of each before training.  Not
    causal: what comes after counts as much as what comes before.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.full((_ROLES, width, 1), 0.5))
        self.key, self.value, self.gate, self.out = (
            nn.Linear(width, width, bias=False) for _ in range(_ROLES + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        px = x.flatten(2)
        before = functional.pad(px, (1, -1))  # the first has none
        keys, values, gates = (
            layer((before + own * (px - before)).transpose(1, 2))
            for layer, own in zip((self.key, self.value, self.gate), self.own, strict=True)
        )
        # A softmax subtracts the largest key first: no exponential overflows.
        seen = (keys.softmax(dim=1) * values).sum(dim=1, keepdim=True)  # (B, 1, C)
        mixed: Tensor = gates.sigmoid() * self.out(seen)
        return mixed.transpose(1, 2).reshape(x.shape)


class RWKV(nn.Module):
    """Global mixing, then 1x1 convolutions (to 4 C, GELU, back), each normalised before and added to what comes in.

    12 C² + 12 C parameters.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__()
        self.mixing = nn.Sequential(ChannelNorm(width), GlobalMixing(width))
        self.inner = nn.Sequential(ChannelNorm(width), perceptron(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.mixing(x)
        found: Tensor = x + self.inner(x)
        return found
