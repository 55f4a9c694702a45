"""From weights and a slide to a map: grid, read, predict, paste."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hooknet.coordinates import PatchSpec, RasterGrid
from hooknet.inference.canvas import Canvas
from hooknet.inference.regions import Pixels, Wanted
from hooknet.io.patches import read_views
from hooknet.io.slides import Slide
from hooknet.models.network import Network

logger = logging.getLogger(__name__)

PREFETCH = 2


@dataclass(frozen=True)
class Tile:
    """A tile's kept square (column, row in map px, which may be negative) and which of its pixels are wanted."""

    column: int
    row: int
    wanted: Pixels


@dataclass(frozen=True)
class Tiling:
    """Tiles of ``size`` px in, of which the central ``stride`` px are kept, centred on multiples of the stride.

    Multiples of 2^D r_max / r_T: every branch pools on the same grid in every tile, so that no tile size and
    no neighbour shows in the map.  ``shuffle_context`` shows each tile contexts from elsewhere (see
    :func:`elsewhere`).
    """

    size: int
    stride: int
    shuffle_context: bool = False

    @classmethod
    def of(
        cls, network: Network, at_most: int, rim: int | None = None, shuffle_context: bool = False
    ) -> Tiling:
        """The longest stride that tiles of ``at_most`` px allow; ``rim`` px of an output are dropped."""
        return cls(*network.shape.tile(at_most, rim), shuffle_context)

    def rows(self, grid: RasterGrid) -> Iterator[list[tuple[int, int]]]:
        """Kept squares (column, row), one list a row of tiles, that cover the grid."""
        half = self.stride // 2
        for row in range(-half, grid.height, self.stride):
            yield [(column, row) for column in range(-half, grid.width, self.stride)]


@dataclass(frozen=True)
class Canvases:
    """Where predictions go: one band of labels, and a band per class of probabilities where they are kept."""

    labels: Canvas
    probabilities: Canvas | None = None

    def paste(self, tile: Tile, shares: Tensor) -> None:
        """Add a tile's class probabilities (K, stride, stride), where they are wanted."""
        labels = shares.argmax(dim=0).cpu().numpy().astype(np.uint8) + 1
        self.labels.paste(tile.column, tile.row, (labels * tile.wanted)[None])
        if self.probabilities is not None:
            rounded = (shares * 255).round().cpu().numpy().astype(np.uint8)
            self.probabilities.paste(tile.column, tile.row, rounded * tile.wanted)

    def flush_above(self, row: int) -> None:
        """Write what ends above a row of pixels."""
        for one in (self.labels, self.probabilities):
            if one is not None:
                one.flush_above(row)

    def finish(self) -> None:
        """Write what is left."""
        for one in (self.labels, self.probabilities):
            if one is not None:
                one.finish()


def segment(
    network: Network,
    slide: Slide,
    wanted: Wanted,
    tiling: Tiling,
    canvases: Canvases,
    progress: Callable[[int, int], None] = lambda done, rows: None,
) -> int:
    """Predict all wanted pixels onto the canvases and return how many there were.

    ``network`` on its device, in eval mode.  ``progress`` is told (rows of tiles done, rows of tiles).
    Memory: one row of blocks, and a few tiles.
    """
    grid = slide.grid(network.patch_spec.target_spacing)
    rows = list(tiling.rows(grid))
    pixels = 0
    with ThreadPoolExecutor(1) as reader:
        for number, row in enumerate(rows):
            tiles = (_tile(wanted, grid, *place, tiling.stride) for place in row)
            busy = (one for one in tiles if one.wanted.any())
            for tile, views in _read_ahead(reader, slide, network, tiling, busy):
                canvases.paste(tile, predict(network, views, tiling.stride))
                pixels += int(tile.wanted.sum())
            canvases.flush_above(row[0][1] + tiling.stride)
            progress(number + 1, len(rows))
    canvases.finish()
    return pixels


def elsewhere(place: float, length: float, kept: float) -> float:
    """The centre half a slide away along one axis, moved inwards where what is kept of a tile would leave the slide.

    For the control of a study: contexts of such a place have nothing to do with the target, and yet show
    tissue rather than what lies beside the slide.  All in level-0 px; ``kept`` is the side of what is kept.
    """
    if length <= kept:
        return length / 2
    return min(max((place + length / 2) % length, kept / 2), length - kept / 2)


def _shuffled_views(
    slide: Slide, x: float, y: float, kept: tuple[float, float], spec: PatchSpec
) -> NDArray[np.uint8]:
    """The target's view around level-0 (x, y), the contexts' around another place of the slide."""
    target, *contexts = spec.spacings
    here = read_views(slide, x, y, replace(spec, spacings=(target,)))
    (x, y) = (elsewhere(*one) for one in zip((x, y), slide.size, kept, strict=True))
    there = read_views(slide, x, y, replace(spec, spacings=tuple(contexts)))
    return np.concatenate([here, there])


@torch.inference_mode()
def predict(network: Network, views: NDArray[np.uint8], stride: int) -> Tensor:
    """Class probabilities (K, stride, stride) in the middle of a tile's views (branches, size, size, 3)."""
    device = next(network.parameters()).device
    patches = torch.from_numpy(views).to(device).permute(0, 3, 1, 2).float() / 255
    inputs = [one[None].contiguous(memory_format=torch.channels_last) for one in patches]
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = network(inputs)[0][0].float()  # (K, m, m)
    margin = (logits.shape[-1] - stride) // 2
    return torch.softmax(logits[:, margin : margin + stride, margin : margin + stride], dim=0)


def _tile(wanted: Wanted, grid: RasterGrid, column: int, row: int, stride: int) -> Tile:
    return Tile(column, row, wanted.pixels(grid, column, row, stride, stride))


def _read_ahead(
    reader: ThreadPoolExecutor, slide: Slide, network: Network, tiling: Tiling, tiles: Iterator[Tile]
) -> Iterator[tuple[Tile, NDArray[np.uint8]]]:
    """Tiles with their pixels, read in the background while the ones before are predicted."""
    spec = replace(network.patch_spec, size=tiling.size)
    grid = slide.grid(spec.target_spacing)
    kept = (tiling.stride * grid.step_x, tiling.stride * grid.step_y)
    waiting: list[tuple[Tile, Future[NDArray[np.uint8]]]] = []
    for tile in tiles:
        x = (tile.column + tiling.stride / 2) * grid.step_x
        y = (tile.row + tiling.stride / 2) * grid.step_y
        if tiling.shuffle_context:
            views = reader.submit(_shuffled_views, slide, x, y, kept, spec)
        else:
            views = reader.submit(read_views, slide, x, y, spec)
        waiting.append((tile, views))
        if len(waiting) > PREFETCH:
            first, pixels = waiting.pop(0)
            yield first, pixels.result()
    for first, pixels in waiting:
        yield first, pixels.result()
