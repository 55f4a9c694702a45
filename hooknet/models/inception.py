"""InceptionV3 without its top (Szegedy et al. 2015), as Keras or as torchvision has it.

Convolutions are made in the order of both, from which files of weights are read.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hooknet.shapes.backbones import (
    INCEPTION_STEM,
    POOLED_AFTER,
    Branches,
    Filters,
    Step,
    inception_blocks,
)
from hooknet.shapes.classifier import Layout

EPSILON = 1e-3


class ConvNorm(nn.Module):
    """A convolution without bias, batch normalisation, ReLU; in the layout of Keras without a scale."""

    def __init__(self, of: Filters, layout: Layout) -> None:
        super().__init__()
        high, wide = of.kernel
        padding = (high // 2, wide // 2) if of.same else (0, 0)
        self.conv = nn.Conv2d(of.incoming, of.outgoing, of.kernel, of.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(of.outgoing, EPSILON)
        if layout == "keras":
            del self.bn.weight
            self.bn.register_parameter("weight", None)

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, h, w) -> (B, outgoing, h', w')."""
        return functional.relu(self.bn(self.conv(x)))


class Fork(nn.Module):
    """1x3 and 3x1 convolutions of one map, side by side."""

    def __init__(self, row: Filters, column: Filters, layout: Layout) -> None:
        super().__init__()
        self.row = ConvNorm(row, layout)
        self.column = ConvNorm(column, layout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, h, w) -> (B, 2 outgoing, h, w)."""
        return torch.cat([self.row(x), self.column(x)], dim=1)


class Mixed(nn.Module):
    """Branches side by side, their maps concatenated.

    The branch ``pool`` averages over 3x3 px before its convolution: places outside the map count as zeros in the
    layout of torchvision, and not at all in Keras's.  A block without it halves the map, and has the largest of
    3x3 px at a stride of 2 as its last branch.
    """

    def __init__(self, branches: Branches, layout: Layout) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {name: nn.Sequential(*(_step(one, layout) for one in steps)) for name, steps in branches.items()}
        )
        self._counts_padding = layout == "torchvision"

    def forward(self, x: Tensor) -> Tensor:
        """(B, incoming, h, w) -> (B, outgoing, h', w')."""
        maps = []
        for name, branch in self.branches.items():
            pooled = functional.avg_pool2d(x, 3, 1, 1, False, self._counts_padding) if name == "pool" else x
            maps.append(branch(pooled))
        if "pool" not in self.branches:
            maps.append(functional.max_pool2d(x, 3, 2))
        return torch.cat(maps, dim=1)


class InceptionV3(nn.Module):
    """The backbone: patches in, features out."""

    def __init__(self, layout: Layout = "keras") -> None:
        """Weights are drawn by torch's generator (He, which suits what ReLU halves)."""
        super().__init__()
        self.stem = nn.ModuleList(ConvNorm(one, layout) for one in INCEPTION_STEM)
        self.mixed = nn.ModuleList(Mixed(branches, layout) for branches in inception_blocks())
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, patches: Tensor) -> Tensor:
        """(B, 3, S, S) of 0..1, S at least 75 -> (B, 2048, s, s); of 299 px s is 8."""
        x = patches
        for number, part in enumerate(self.stem):
            x = part(x)
            if number in POOLED_AFTER:
                x = functional.max_pool2d(x, 3, 2)
        for part in self.mixed:
            x = part(x)
        return x


def _step(of: Step, layout: Layout) -> nn.Module:
    return Fork(*of, layout) if isinstance(of, tuple) else ConvNorm(of, layout)
