"""Maps of one resolution brought to another, with every pixel where it belongs.

A 3x3 convolution of stride s looks around input px 0, s, 2s ...: px k of its map stands at px s k, not in the middle of
s px, as ``interpolate`` would have it.  The description stretches maps so that their corner px meet
(``align_corners``), which puts the last px of a map up to a px aside; here nothing moves.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def upsampled(x: Tensor, factor: int) -> Tensor:
    """(B, C, h, w) -> (B, C, factor h, factor w), bilinear: px k of ``x`` stands at px factor k.

    Beyond the last px of ``x`` its values go on.
    """
    if factor == 1:
        return x
    height, width = x.shape[-2:]
    padded = functional.pad(x, (0, 1, 0, 1), mode="replicate")
    size = (factor * height + 1, factor * width + 1)
    # With corners aligned, n + 1 px to factor n + 1 are factor steps from each px to the next, exactly.
    found = functional.interpolate(padded, size, mode="bilinear", align_corners=True)
    return found[..., : factor * height, : factor * width]


def centred(x: Tensor, stride: int) -> Tensor:
    """(B, C, h, w) whose px k stands at input px stride k -> the same moved to the middle of its ``stride`` px.

    Linear between neighbours, (stride - 1) / (2 stride) px on; at the last px its values go on.
    """
    share = (stride - 1) / (2 * stride)
    if share == 0:
        return x
    right = functional.pad(x[..., :, 1:], (0, 1, 0, 0), mode="replicate") if x.shape[-1] > 1 else x
    x = torch.lerp(x, right, share)
    below = functional.pad(x[..., 1:, :], (0, 0, 0, 1), mode="replicate") if x.shape[-2] > 1 else x
    return torch.lerp(x, below, share)
