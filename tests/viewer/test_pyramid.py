import numpy as np
import pytest

from hooknet.coordinates import Window
from hooknet.viewer.pyramid import Pyramid, Tile


@pytest.mark.parametrize(
    ("size", "first", "last"), [((1500, 1100), 8, 11), ((256, 256), 8, 8), ((257, 3), 8, 9), ((1, 1), 0, 0)]
)
def test_levels_go_from_one_tile_to_level_0(size, first, last):
    pyramid = Pyramid(*size)
    assert (pyramid.first, pyramid.last) == (first, last)
    assert pyramid.size(last) == size
    assert max(pyramid.size(first)) <= 256


@pytest.mark.parametrize("size", [(1500, 1100), (1025, 513), (300, 7)])
def test_tiles_cover_every_level_once(size):
    pyramid = Pyramid(*size)
    for level in range(pyramid.first, pyramid.last + 1):
        width, height = pyramid.size(level)
        seen = np.zeros((height, width), int)
        for row in range(height // 256 + 2):
            for column in range(width // 256 + 2):
                tile = pyramid.tile(level, column, row)
                if tile is not None:
                    assert (tile.column, tile.row) == (256 * column, 256 * row)
                    seen[tile.row : tile.row + tile.height, tile.column : tile.column + tile.width] += 1
        assert (seen == 1).all()


def test_a_level_has_a_px_for_whatever_is_left():
    assert [Pyramid(1500, 1100).size(level) for level in (8, 9, 10)] == [(188, 138), (375, 275), (750, 550)]


def test_a_tile_knows_its_window():
    assert Pyramid(1500, 1100).tile(10, 2, 1) == Tile(512, 256, 238, 256, 2)
    assert Pyramid(1500, 1100).tile(10, 2, 1).window == Window(1024, 512, 476, 512)


@pytest.mark.parametrize("place", [(7, 0, 0), (12, 0, 0), (11, 6, 0), (11, 0, 5), (11, -1, 0), (-1, 0, 0)])
def test_there_is_no_other_tile(place):
    assert Pyramid(1500, 1100).tile(*place) is None


@pytest.mark.parametrize(("side", "level"), [(4096, 11), (1500, 11), (1499, 10), (1, 0)])
def test_finest_level_within_a_side(side, level):
    assert Pyramid(1500, 1100).finest_within(side) == level
