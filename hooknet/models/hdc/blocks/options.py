"""What a block is told besides its width."""

from __future__ import annotations

from dataclasses import dataclass

from hooknet.shapes.hdc_blocks import Norm, Version


@dataclass(frozen=True)
class BlockOptions:
    """``index``: the block's number in its stage, from 0; ``version``: of the deformable convolution (``dcn``).

    ``dilation``: px between the taps of 3x3 convolutions of ``basic`` and ``dcn``; no other block heeds it.
    ``norm``: of the blocks that do not have a layer normalisation by definition.
    """

    index: int
    dilation: int = 1
    norm: Norm = "group"
    version: Version = 2
