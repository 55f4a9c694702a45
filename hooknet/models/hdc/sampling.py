"""Bilinear samples at the nine taps of a deformable 3x3 kernel, in plain torch.

Two ways that give the same numbers.  On a processor each sample is a weighted sum of rows of a table (one row a px,
one column a channel): a bag of an embedding, for which torch has fast code.  Elsewhere, and in graphs that are
exported, ``grid_sample`` does it, which every runtime has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

TAPS: Final = 9
CORNERS: Final = 4

# A map is framed by zeros, one px before and two after: wherever a sample lies, its four corners have rows.
_BEFORE: Final = 1
_FRAME: Final = 3

# Numbers that fit into the second level of a processor's cache.
_IN_CACHE: Final = 2**17


@dataclass(frozen=True)
class Taps:
    """Where a kernel looks: about px (row, column) of ``rows`` of a map, whose first is row ``first``.

    ``offsets``: (B, 18, rows, W) px, (dy, dx) of each tap, taps row by row, added to those of a kernel of this
    ``dilation``.  ``masks``: (B, 9, rows, W), the factors of the samples.
    """

    offsets: Tensor
    masks: Tensor
    dilation: int
    first: int = 0

    def some(self, first: int, count: int) -> Taps:
        """Those of at most ``count`` rows from ``first`` on."""
        offsets, masks = (one[:, :, first : first + count] for one in (self.offsets, self.masks))
        return Taps(offsets, masks, self.dilation, self.first + first)

    def positions(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rows and columns of the map, fractions of px, each (9, B, rows, W)."""
        offsets = self.offsets.to(dtype)
        batch, _, rows, width = offsets.shape
        offsets = offsets.view(batch, TAPS, 2, rows, width).transpose(0, 1)
        device = offsets.device
        steps = self.dilation * torch.arange(-1, 2, device=device)
        down = steps.repeat_interleave(3).view(TAPS, 1, 1, 1) + torch.arange(
            self.first, self.first + rows, device=device
        ).view(rows, 1)
        along = steps.repeat(3).view(TAPS, 1, 1, 1) + torch.arange(width, device=device)
        return offsets[:, :, 0] + down.to(dtype), offsets[:, :, 1] + along.to(dtype)


def precise(dtype: torch.dtype) -> torch.dtype:
    """What positions are computed in: half precision would be px off."""
    return torch.promote_types(dtype, torch.float32)


def uses_rows(x: Tensor) -> bool:
    """Whether samples are taken from a table of rows: not on a GPU, not in a graph for another runtime."""
    traced = torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    return x.device.type == "cpu" and not traced


def table_of(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B (H + 3) (W + 3), C): a row for each px of the framed maps."""
    after = _FRAME - _BEFORE
    framed = functional.pad(x, (_BEFORE, after, _BEFORE, after))
    return turned(framed.flatten(2)).flatten(0, 1)


def turned(x: Tensor) -> Tensor:
    """(B, P, Q) -> (B, Q, P), contiguous; one by one, for which torch has faster code than for all at once."""
    each = [one.t().contiguous() for one in x]
    return torch.stack(each) if len(each) > 1 else each[0][None]


def corners(taps: Taps, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows of the table, and their factors, of all samples at each px: both (B rows W, 9, 4).

    Of positions from -1 to the size of the map; what lies further out is zero like the frame.
    """
    down, along = taps.positions(dtype)
    down, along = down.clamp(-1, height), along.clamp(-1, width)
    # No number is no row; it stays in the factors, so that a loss that is none is told.
    top, left = (one.detach().floor().nan_to_num(-1) for one in (down, along))
    below, right = down - top, along - left  # shares of the lower and of the right corners
    masks = taps.masks.to(dtype).transpose(0, 1)
    lower = below * masks
    upper = masks - lower
    upper_right, lower_right = upper * right, lower * right
    factors = (upper - upper_right, upper_right, lower - lower_right, lower_right)

    stride = width + _FRAME
    row = (top.int() + _BEFORE) * stride + (left.int() + _BEFORE)
    batch = row.shape[1]
    if batch > 1:
        each = (height + _FRAME) * stride
        row = row + (each * torch.arange(batch, dtype=torch.int32, device=row.device)).view(batch, 1, 1)
    rows = (row, row + 1, row + stride, row + (stride + 1))
    return _by_px(rows), _by_px(factors)


def _by_px(each: tuple[Tensor, ...]) -> Tensor:
    """Four of (9, B, rows, W) -> (B rows W, 9, 4), contiguous."""
    joined = torch.stack(each, dim=1).flatten(2).flatten(0, 1)
    return joined.t().contiguous().view(-1, TAPS, CORNERS)


def grid_samples(x: Tensor, taps: Taps) -> Tensor:
    """The same samples by ``grid_sample``: (B, C, H, W) -> (B, C, 9, rows, W)."""
    height, width = x.shape[2:]
    down, along = taps.positions(x.dtype)
    batch, rows = down.shape[1:3]
    # Px centres of a map lie at (2 i + 1) / size - 1.
    grid = torch.stack([(2 * along + 1) / width - 1, (2 * down + 1) / height - 1], dim=-1)
    grid = grid.transpose(0, 1).reshape(batch, TAPS * rows, width, 2)
    found = functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return found.view(batch, -1, TAPS, rows, width) * taps.masks.to(x.dtype)[:, None]


class WeightedRows(torch.autograd.Function):
    """Sums of rows of a table: (N, D), rows' numbers (M, J), their factors (M, J) -> (M, D).

    What ``embedding_bag`` computes; its own gradient with respect to a table of floats takes five times as long.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, factors: Tensor) -> Tensor:
        """The sums."""
        ctx.save_for_backward(table, rows, factors)
        return weighted_rows(table, rows, factors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        """Gradients with respect to the table and the factors."""
        table, rows, factors = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        to_table = _to_table(gradient, rows, factors, len(table)) if ctx.needs_input_grad[0] else None
        to_factors = _to_factors(gradient, rows, table) if ctx.needs_input_grad[2] else None
        return to_table, None, to_factors


def weighted_rows(table: Tensor, rows: Tensor, factors: Tensor) -> Tensor:
    """See ``WeightedRows``."""
    return functional.embedding_bag(rows, table, per_sample_weights=factors, mode="sum")


def _to_table(gradient: Tensor, rows: Tensor, factors: Tensor, length: int) -> Tensor:
    """The same sums the other way round: each row of the table gathers from the sums that it is part of."""
    sorted_rows, order = rows.flatten().sort()
    ends = torch.arange(length + 1, dtype=rows.dtype, device=rows.device)
    starts = torch.searchsorted(sorted_rows, ends)
    return functional.embedding_bag(
        order // rows.shape[1],
        gradient,
        starts,
        per_sample_weights=factors.flatten()[order],
        mode="sum",
        include_last_offset=True,
    )


def _to_factors(gradient: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Products of each sum's gradient with the rows that it is made of; a part at a time, which stays in cache."""
    several, width = rows.shape[1], table.shape[1]
    found = []
    some_sums = _at_once(several * width)
    for some, numbers in zip(torch.split(gradient, some_sums), torch.split(rows, some_sums), strict=True):
        seen = table.index_select(0, numbers.flatten()).view(-1, several, width)
        found.append((seen * some[:, None]).sum(dim=-1))
    return torch.cat(found)


def _at_once(values: int) -> int:
    """How many sums of so many values are looked at together."""
    return max(1, _IN_CACHE // values)
