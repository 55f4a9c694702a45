"""The blocks that a stage can be made of, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import nn

from hooknet.errors import ShapeError
from hooknet.models.hdc.blocks.basic import Basic
from hooknet.models.hdc.blocks.convnext import ConvNeXt
from hooknet.models.hdc.blocks.dcn import Deformable
from hooknet.models.hdc.blocks.fno import Fourier
from hooknet.models.hdc.blocks.inverted_residual import InvertedResidual
from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.rwkv import RWKV
from hooknet.models.hdc.blocks.swin import Swin
from hooknet.models.hdc.blocks.wavelet import Wavelet

BLOCKS: Final[dict[str, Callable[[int, BlockOptions], nn.Module]]] = {
    "basic": Basic,
    "convnext": ConvNeXt,
    "dcn": Deformable,
    "inverted_residual": InvertedResidual,
    "swin": Swin,
    "fno": Fourier,
    "wavelet": Wavelet,
    "rwkv": RWKV,
}


def build_block(name: str, width: int, options: BlockOptions) -> nn.Module:
    """A block of ``width`` channels: (B, C, H, W) -> (B, C, H, W), any H and W.

    Raises:
        ShapeError: A name that is not in the table.
    """
    try:
        block = BLOCKS[name]
    except KeyError:
        raise ShapeError(f"block {name!r}; use one of {', '.join(BLOCKS)}") from None
    return block(width, options)
