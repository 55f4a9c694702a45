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
    places = [(c, r) for r in range(-stride // 2, 37, stride) for c in range(-stride // 2, 50, stride)]
    sheet.expect(places, stride)
    for column, row in places:
        piece = padded[:, 100 + row : 100 + row + stride, 100 + column : 100 + column + stride]
        sheet.paste(column, row, piece)
        assert len({one[1] for one in sheet._open}) <= max(1, -(-stride // 8)) + 1
    assert not sheet._open
    sheet.finish()
    np.testing.assert_array_equal(paper.pixels, picture)
    assert len(paper.places) == len(set(paper.places)) == 5 * 7


def test_zeros_leave_what_is_there():
    paper = Paper(8, 8)
    sheet = Canvas(8, 8, 1, paper.write)
    sheet.expect([(0, 0), (2, 2)], 4)
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


def test_a_block_is_handed_out_with_the_last_piece_that_touches_it():
    paper = Paper(16, 24)
    sheet = Canvas(16, 24, 1, paper.write)
    places = [(0, 0), (10, 0), (0, 10), (10, 10)]
    sheet.expect(places, 10)
    one = np.ones((1, 10, 10), np.uint8)
    sheet.paste(0, 0, one)
    assert paper.places == [(0, 0)]  # 8 px a side: the piece alone touches it
    sheet.paste(10, 0, one)
    assert paper.places == [(0, 0), (0, 8)]
    sheet.paste(10, 10, one)
    sheet.paste(0, 10, one)
    assert set(paper.places[2:]) == {(8, 8), (8, 0), (16, 8), (16, 0)}
    assert paper.pixels.sum() == 16 * 20


def test_what_was_expected_and_did_not_come_is_written_at_the_end():
    paper = Paper(16, 8)
    sheet = Canvas(16, 8, 1, paper.write)
    sheet.expect([(0, 0), (4, 0)], 4)
    sheet.paste(0, 0, np.ones((1, 4, 4), np.uint8))
    assert paper.places == []
    sheet.finish()
    assert paper.pixels.sum() == 16
