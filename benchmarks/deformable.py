"""Deformable convolutions beside a plain one of the same map, forward and with the gradient, at once and in rows.

One thread on a processor, which keeps the memory it frees as it does in training and inference; a GPU where there is
one.  Measures take turns, several calls each, as a network calls one layer after the other; ratios are medians over
rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.table import Cell, Table, in_turn, ratio
from hooknet.io.memory import keep_freed_memory
from hooknet.models.hdc.deformable import (
    DeformableAggregation,
    DeformableConv2d,
    aggregated,
    convolved,
    modulated_deformable_conv,
)
from hooknet.models.hdc.sampling import Taps, grid_samples
from hooknet.shapes.hdc_blocks import aggregation_groups

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Channels, px a side: streams of HDC-HRNet.  The last is beyond what is done at once by default.
SIZES = ((48, 64), (96, 32), (16, 64), (48, 256))
ROUNDS, CALLS = 15, 5
PARTS = 4  # of the rows of a map, on the lean path
COLUMNS = ("", "forward, ms", "x plain", "with gradient, ms", "x plain")

Way = Callable[[], Tensor]


def ways(channels: int, size: int) -> dict[str, Way]:
    """The rows of a table: what makes a map of a map."""
    torch.manual_seed(0)
    groups, some = aggregation_groups(channels), size // PARTS

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, device=DEVICE).requires_grad_()

    x, offsets, masks = (drawn(1, count, size, size) for count in (channels, 18, 9))
    weight, bias = drawn(channels, channels, 3, 3), drawn(channels)
    taps = Taps(offsets, masks, 1)
    apart = x.view(groups, -1, size, size)
    grouped = Taps(drawn(groups, 18, size, size), drawn(groups, 9, size, size), 1)

    def by_grid() -> Tensor:
        return functional.conv2d(
            grid_samples(x, taps).flatten(1, 2), weight.flatten(1)[:, :, None, None], bias
        )

    def layer(one: nn.Module) -> Way:
        placed = one.to(DEVICE)
        return lambda: placed(x)

    return {
        "plain 3x3 convolution": lambda: functional.conv2d(x, weight, bias, padding=1),
        "version 2, default": lambda: modulated_deformable_conv(x, offsets, masks, weight, bias, 1),
        "version 2, all rows at once": lambda: convolved(x, taps, weight, bias, size),
        "version 2, a quarter of the rows at a time": lambda: convolved(x, taps, weight, bias, some),
        "version 2 by grid_sample, all rows": by_grid,
        "version 3 without its 1x1, all rows at once": lambda: aggregated(apart, grouped, size),
        "version 3 without its 1x1, a quarter": lambda: aggregated(apart, grouped, some),
        "layer of version 2, telling offsets": layer(DeformableConv2d(channels, channels)),
        "layer of version 3, telling offsets": layer(DeformableAggregation(channels)),
    }


def _milliseconds(way: Way, gradient: bool, calls: int) -> float:
    """Of one call."""
    with torch.set_grad_enabled(gradient):
        _wait()
        start = time.perf_counter()
        for _ in range(calls):
            found = way()
            if gradient:
                found.sum().backward()
        _wait()
    return 1000 * (time.perf_counter() - start) / calls


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def compared(channels: int, size: int) -> Table:
    """All ways at one size."""
    found = ways(channels, size)
    rounds, calls = (ROUNDS, CALLS) if size < 100 else (3, 1)
    rows: list[list[Cell]] = [[name] for name in found]
    for gradient in (False, True):
        measures = [lambda way=way: _milliseconds(way, gradient, calls) for way in found.values()]  # noqa: B023
        in_turn(1, *measures)
        times = in_turn(rounds, *measures)
        for row, own in zip(rows, times, strict=True):
            row += [median(own), ratio(own, times[0])]
    return Table(f"{channels} channels, {size} x {size} px, batch 1, {DEVICE.type}", COLUMNS, rows)


def main() -> None:
    """Print a table for each size."""
    torch.set_num_threads(1)
    keep_freed_memory()
    for channels, size in SIZES:
        print(compared(channels, size), flush=True)
