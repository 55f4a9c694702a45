"""The pixels of a slide's layers, tile by tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hooknet.io.slide_file import ground
from hooknet.io.slides import Slide, as_rgb
from hooknet.labels import LabelClass
from hooknet.viewer import pictures
from hooknet.viewer.catalogue import Layer, ViewedSlide
from hooknet.viewer.overviews import PyramidMask
from hooknet.viewer.pictures import Palette, Pixels
from hooknet.viewer.pyramid import TILE, Pyramid, Tile

# Of H&E levels this long or shorter all tiles are kept (4 MiB): each is made of the finer ones' and not of the slide,
# where a glance at the whole would mean to decode its coarsest level again and again.
KEPT_SIDE = 1024


class SlideReader:
    """One slide opened, with the masks asked for so far; not for several threads at once.

    Never reads the slide's associated images: a photograph of the glass slide's label may name a patient.
    """

    def __init__(self, viewed: ViewedSlide, classes: tuple[LabelClass, ...]) -> None:
        """SlideError where the slide cannot be opened."""
        self.viewed = viewed
        self.slide = Slide(viewed.path, viewed.spacing)
        self.pyramid = Pyramid(*self.slide.size)
        self._classes: Palette = {one.value: one.rgb for one in classes}
        self._masks: dict[Path, PyramidMask] = {}
        self._kept: dict[tuple[int, int, int], Pixels] = {}

    def close(self) -> None:
        """Let go of all files."""
        self.slide.close()
        for mask in self._masks.values():
            mask.close()

    def encoded(self, layer: Layer, level: int, column: int, row: int) -> bytes | None:
        """A tile of a layer as JPEG (H&E) or PNG, by its place in the pyramid; None where there is no such tile.

        SlideError or MaskError where a file cannot be read.
        """
        tile = self.pyramid.tile(level, column, row)
        if tile is None:
            return None
        if layer.path is None:
            return pictures.jpeg(self._overview(level, column, row, tile))
        return pictures.png(self.labels(layer, tile), self.palette(layer), layer.path)

    def image(self, tile: Tile) -> Pixels:
        """The H&E (height, width, 3) of a tile: the mean of what each px covers, the slide's fill (white) outside."""
        return self.slide.read_rgb(tile.window, (tile.width, tile.height))

    def _overview(self, level: int, column: int, row: int, tile: Tile) -> Pixels:
        """As :meth:`image`; short levels, but the finest of them, are averaged from the level below."""
        if max(self.pyramid.size(level)) > KEPT_SIDE:
            return self.image(tile)
        key = level, column, row
        if key not in self._kept:
            finest = level == self.pyramid.last or max(self.pyramid.size(level + 1)) > KEPT_SIDE
            self._kept[key] = self.image(tile) if finest else self._of_four(level + 1, column, row, tile)
        return self._kept[key]

    def _of_four(self, finer: int, column: int, row: int, tile: Tile) -> Pixels:
        found = as_rgb(ground(2 * tile.height, 2 * tile.width, self.slide.fill))
        for down, across in np.ndindex(2, 2):
            place = finer, 2 * column + across, 2 * row + down
            below = self.pyramid.tile(*place)
            if below is not None:
                part = self._overview(*place, below)
                y, x = down * TILE, across * TILE
                found[y : y + below.height, x : x + below.width] = part
        return pictures.halved(found)

    def labels(self, layer: Layer, tile: Tile) -> Pixels:
        """The values (height, width) of a tile of a label layer; of a layer of differences, where they are."""
        assert layer.path is not None
        values = self._mask(layer.path).read(tile)
        if layer.reference is None:
            return values
        return pictures.differences(values, self._mask(layer.reference).read(tile))

    def palette(self, layer: Layer) -> Palette:
        """The colours of a layer's values: the dataset's, but a tissue mask's own."""
        if layer.reference is not None:
            return pictures.DIFFERENCE_PALETTE
        if layer.key == "tissue" and layer.path is not None:
            return self._mask(layer.path).mask.palette
        return self._classes

    def _mask(self, path: Path) -> PyramidMask:
        if path not in self._masks:
            self._masks[path] = PyramidMask(path, self.slide.size, self.slide.spacing)
        return self._masks[path]
