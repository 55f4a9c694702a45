"""What several blocks end with."""

from __future__ import annotations

from torch import nn

from hooknet.shapes.hdc_blocks import EXPANSION


def perceptron(width: int, expansion: int = EXPANSION) -> nn.Sequential:
    """1x1 convolution to ``expansion`` C, GELU, 1x1 back: 2 e C² + (e + 1) C parameters."""
    return nn.Sequential(
        nn.Conv2d(width, expansion * width, 1), nn.GELU(), nn.Conv2d(expansion * width, width, 1)
    )
