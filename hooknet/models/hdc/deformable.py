"""Deformable 3x3 convolutions in plain torch: modulated (version 2), and as an aggregation (version 3).

Both keep the size of the map.  What lies outside it reads zero, bilinear towards the border, so that offsets of
zero give what a zero-padded convolution gives.  Offsets are (dy, dx) in px of the map, taps row by row.  Positions
and samples are computed in single precision at least.

The nine samples of each px are nine times the map.  They are held at once only while they are few; beyond
``LARGEST`` numbers, some rows of the map are done at a time, and once more for the gradient.

On a GPU the gradient of ``grid_sample`` adds up in no fixed order: results differ in the last digits from run to run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hooknet.errors import ShapeError
from hooknet.models.hdc.norm import ChannelNorm
from hooknet.models.hdc.sampling import (
    CORNERS,
    TAPS,
    Taps,
    WeightedRows,
    corners,
    grid_samples,
    precise,
    table_of,
    turned,
    uses_rows,
)
from hooknet.shapes.hdc_blocks import aggregation_groups

#: Numbers in the samples of all taps up to which they are held at once (16 MiB in single precision).
LARGEST: Final = 2**22

#: How far, px of the map, an offset of version 2 may reach, and the mask's share before training: sigmoid(-2).
REACH: Final = 3.0
MASK_BIAS: Final = -2.0


def modulated_deformable_conv(
    x: Tensor, offsets: Tensor, masks: Tensor, weight: Tensor, bias: Tensor, dilation: int
) -> Tensor:
    """Deformable convolution, version 2 (Zhu et al. 2019): (B, C, H, W) -> (B, O, H, W), of the dtype of ``x``.

    Args:
        x: The map.
        offsets: (B, 18, H, W), px: (dy, dx) of each tap, taps row by row.
        masks: (B, 9, H, W): the factor of each sample.
        weight: (O, C, 3, 3).
        bias: (O,).
        dilation: Px between taps without offset.

    Raises:
        ShapeError: Offsets or masks that do not fit the map.
    """
    taps = Taps(offsets, masks, dilation)
    return convolved(x, taps, weight, bias, rows_at_once(x, TAPS * x.shape[1]))


def rows_at_once(x: Tensor, values: int) -> int:
    """How many rows of (B, C, H, W) are done at a time where each px takes so many ``values``."""
    return max(1, LARGEST // max(1, x.shape[0] * x.shape[3] * values))


def convolved(x: Tensor, taps: Taps, weight: Tensor, bias: Tensor, rows: int) -> Tensor:
    """``modulated_deformable_conv``, so many ``rows`` at a time; the numbers do not depend on them."""
    _check(x, taps)
    fine = x.to(precise(x.dtype))
    if uses_rows(x):
        matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (9 C, O)
        part = partial(_convolved_rows, table_of(fine), (x.shape[2], x.shape[3]), matrix, bias)
    else:
        part = partial(_convolved_grid, fine, weight, bias)
    return _in_parts(part, taps, rows).to(x.dtype)


def aggregated(x: Tensor, taps: Taps, rows: int) -> Tensor:
    """Each map's masked samples of all taps, summed channel by channel: (B, C, H, W) -> the same, in ``x``'s dtype.

    The core of version 3 (Wang et al. 2023), whose groups are maps of their own here.
    """
    _check(x, taps)
    fine = x.to(precise(x.dtype))
    if uses_rows(x):
        part = partial(_aggregated_rows, table_of(fine), (x.shape[2], x.shape[3]))
    else:
        part = partial(_aggregated_grid, fine)
    return _in_parts(part, taps, rows).to(x.dtype)


def _check(x: Tensor, taps: Taps) -> None:
    batch, _, height, width = x.shape
    wanted = [(batch, count, height, width) for count in (2 * TAPS, TAPS)]
    found = [tuple(one.shape) for one in (taps.offsets, taps.masks)]
    if found != wanted:
        raise ShapeError(
            f"deformable convolution of a map {tuple(x.shape)}: offsets and masks are {found[0]} and {found[1]}; "
            f"make them {wanted[0]} and {wanted[1]}"
        )


def _in_parts(part: Callable[[Taps], Tensor], taps: Taps, rows: int) -> Tensor:
    """What ``part`` makes of the taps' rows, so many at a time; then only inputs are kept for the gradient."""
    height = taps.offsets.shape[2]
    if rows >= height:
        return part(taps)
    some = [taps.some(first, rows) for first in range(0, height, rows)]
    if not torch.is_grad_enabled():
        return torch.cat([part(one) for one in some], dim=2)
    return torch.cat([checkpoint(part, one, use_reentrant=False) for one in some], dim=2)


def _convolved_rows(table: Tensor, size: tuple[int, int], matrix: Tensor, bias: Tensor, taps: Taps) -> Tensor:
    rows, factors = corners(taps, *size, table.dtype)
    samples: Tensor = WeightedRows.apply(  # type: ignore[no-untyped-call]
        table, rows.view(-1, CORNERS), factors.view(-1, CORNERS)
    )
    found = torch.addmm(bias, samples.view(-1, len(matrix)).to(matrix.dtype), matrix)
    return _as_map(found, taps)


def _convolved_grid(x: Tensor, weight: Tensor, bias: Tensor, taps: Taps) -> Tensor:
    samples = grid_samples(x, taps).flatten(1, 2).to(weight.dtype)  # (B, C 9, rows, W)
    return functional.conv2d(samples, weight.flatten(1)[:, :, None, None], bias)


def _aggregated_rows(table: Tensor, size: tuple[int, int], taps: Taps) -> Tensor:
    rows, factors = corners(taps, *size, table.dtype)
    found: Tensor = WeightedRows.apply(table, rows.flatten(1), factors.flatten(1))  # type: ignore[no-untyped-call]
    return _as_map(found, taps)


def _aggregated_grid(x: Tensor, taps: Taps) -> Tensor:
    return grid_samples(x, taps).sum(dim=2)


def _as_map(found: Tensor, taps: Taps) -> Tensor:
    """(B rows W, C) -> (B, C, rows, W)."""
    batch, _, rows, width = taps.masks.shape
    return turned(found.view(batch, rows * width, -1)).view(batch, -1, rows, width)


class DeformableConv2d(nn.Module):
    """Version 2: offsets, up to 3 px, and masks are told by 3x3 convolutions of the same dilation.

    At first no tap is moved, and every mask is sigmoid(-2) = 0.12: a tenth of a plain convolution.
    9 C O + O + 243 C + 27 parameters.  Source: HDC-HRNet description, where it is called version 3.
    """

    def __init__(self, incoming: int, outgoing: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.offset = _quiet(nn.Conv2d(incoming, 2 * TAPS, 3, padding=dilation, dilation=dilation))
        self.mask = _quiet(nn.Conv2d(incoming, TAPS, 3, padding=dilation, dilation=dilation), MASK_BIAS)
        self.kernel = nn.Conv2d(incoming, outgoing, 3)  # never called: it holds weight and bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H, W)."""
        offsets = REACH * self.offset(x).tanh()
        masks = self.mask(x).sigmoid()
        bias = self.kernel.bias
        assert bias is not None
        return modulated_deformable_conv(x, offsets, masks, self.kernel.weight, bias, self.dilation)


class DeformableAggregation(nn.Module):
    """Version 3 (InternImage, Wang et al. 2023): what groups of channels read where they look, weighed and mixed.

    No weight belongs to a tap: a softmax over the nine taps weighs each group's samples at each px, and 1x1
    convolutions mix channels before and after.  At first no tap is moved and all weigh 1/9.  Offsets are px.
    """

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.groups = aggregation_groups(channels)
        self.value = nn.Conv2d(channels, channels, 1)
        self.around = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), ChannelNorm(channels), nn.GELU()
        )
        self.offset = _quiet(nn.Conv2d(channels, 2 * TAPS * self.groups, 1))
        self.mask = _quiet(nn.Conv2d(channels, TAPS * self.groups, 1))
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, _, height, width = x.shape
        each = (batch * self.groups, -1, height, width)  # a map for each group
        value, around = self.value(x).reshape(each), self.around(x)
        masks = self.mask(around).reshape(each).softmax(dim=1)
        taps = Taps(self.offset(around).reshape(each), masks, self.dilation)
        rows = rows_at_once(value, TAPS * max(CORNERS, value.shape[1]))
        mixed: Tensor = self.out(aggregated(value, taps, rows).reshape(batch, -1, height, width))
        return mixed


def _quiet(convolution: nn.Conv2d, bias: float = 0.0) -> nn.Conv2d:
    """The same convolution, which says the same everywhere before training."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.constant_(convolution.bias, bias)
    return convolution
