"""The refiners by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import nn

from hooknet.models.refiners.agunet import AGUNet
from hooknet.models.refiners.dagunet import DAGUNet
from hooknet.models.refiners.doubleunet import DoubleUNet
from hooknet.models.refiners.unet import UNetRefiner
from hooknet.shapes.refiner import RefinerShape

REFINERS: Final[dict[str, Callable[[RefinerShape], nn.Module]]] = {
    "unet": UNetRefiner,
    "agunet": AGUNet,
    "dagunet": DAGUNet,
    "doubleunet": DoubleUNet,
}


def build_refiner(shape: RefinerShape) -> nn.Module:
    """The network of a shape, weights drawn by torch's generator.

    Images (B, 3 + heat maps, N, N) of 0..1 -> a list of logits (B, K, n, n), in training and in inference;
    the first, of n = N px, is the one to use.  ``shape.output_strides`` tells N / n of each.
    """
    return REFINERS[shape.network](shape)
