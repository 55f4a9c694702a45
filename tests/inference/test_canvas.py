import numpy as np
import pytest

from hooknet.inference import canvas
from hooknet.inference.canvas import Canvas


class Paper:
    def __init__(self, width, height, bands=1):
        self.pixels = np.zeros((bands, height, width), np.uint8)
        self.places = []

    def write(self, column, row, block):
        self.places.append((row, column))
        _, height, width = block.shape
        assert not self.pixels[:, row : row + height, column : column + width].any(), "a block came twice"
        self.pixels[:, row : row + height, column : column + width] = block


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(canvas, "BLOCK", 8)


@pytest.mark.parametrize("stride", [3, 8, 10, 29, 100])
@pytest.mark.parametrize("bands", [1, 3])
def test_pieces_of_any_size_become_the_picture_and_every_block_comes_once(stride, bands):
    picture = np.random.default_rng(0).integers(1, 9, (bands, 37, 50), dtype=np.uint8)
    padded = np.pad(picture, ((0, 0), (100, 100), (100, 100)), constant_values=9)
    paper = Paper(50, 37, bands)
    sheet = Canvas(50, 37, bands, paper.write)
    for row in range(-stride // 2, 37, stride):
        for column in range(-stride // 2, 50, stride):
            piece = padded[:, 100 + row : 100 + row + stride, 100 + column : 100 + column + stride]
            sheet.paste(column, row, piece)
        sheet.flush_above(row + stride)
        assert len({one[0] for one in sheet._open}) <= stride // 8 + 2
    sheet.finish()
    np.testing.assert_array_equal(paper.pixels, picture)
    assert len(paper.places) == len(set(paper.places)) == 5 * 7
    assert paper.places == sorted(paper.places)


def test_zeros_leave_what_is_there():
    paper = Paper(8, 8)
    sheet = Canvas(8, 8, 1, paper.write)
    sheet.paste(0, 0, np.full((1, 4, 4), 2, np.uint8))
    over = np.zeros((1, 4, 4), np.uint8)
    over[0, 0, 0] = 3
    sheet.paste(2, 2, over)
    sheet.finish()
    assert paper.pixels[0, :4, :4].tolist() == [[2, 2, 2, 2], [2, 2, 2, 2], [2, 2, 3, 2], [2, 2, 2, 2]]


def test_blocks_without_a_value_are_not_written():
    paper = Paper(64, 64)
    sheet = Canvas(64, 64, 1, paper.write)
    sheet.paste(0, 0, np.zeros((1, 64, 64), np.uint8))
    sheet.paste(40, 24, np.ones((1, 2, 2), np.uint8))
    sheet.finish()
    assert paper.places == [(24, 40)]


@pytest.mark.parametrize("place", [(-5, 0), (0, -5), (20, 0), (0, 20), (25, 30), (-30, 3)])
def test_pieces_outside_are_dropped(place):
    paper = Paper(20, 20)
    sheet = Canvas(20, 20, 1, paper.write)
    sheet.paste(*place, np.ones((1, 5, 5), np.uint8))
    sheet.finish()
    assert not paper.pixels.any()


def test_a_block_is_handed_out_as_soon_as_nothing_can_reach_it():
    paper = Paper(16, 24)
    sheet = Canvas(16, 24, 1, paper.write)
    sheet.paste(0, 0, np.ones((1, 12, 16), np.uint8))
    sheet.flush_above(7)
    assert paper.places == []
    sheet.flush_above(8)
    assert paper.places == [(0, 0), (0, 8)]
    sheet.finish()
    assert paper.pixels.sum() == 12 * 16
