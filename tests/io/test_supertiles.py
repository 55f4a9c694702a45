"""Views from super-tiles are those that are read one by one, and no region is decoded twice for nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor

import made_slides
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooknet.coordinates import Window
from hooknet.io import supertiles
from hooknet.io.slides import Slide
from hooknet.io.supertiles import SuperTiles


@pytest.fixture(scope="module")
def image():
    """Two bands of noise; the third goes from white at the border, as outside, to dark: a grey level every 4 px."""
    image = np.random.default_rng(4).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:700, :900]
    depth = np.minimum.reduce([rows, 699 - rows, columns, 899 - columns])
    image[..., 2] = 255 - depth // 4
    return image


@pytest.fixture(scope="module")
def slides(image, tmp_path_factory):
    """A slide of one level, and one with a pyramid."""
    folder = tmp_path_factory.mktemp("slides")
    flat = made_slides.write_slide(folder / "flat.tif", image)
    levels = tuple(made_slides.reduced(image, factor) for factor in (4, 16))
    made_slides.write_slide(folder / "deep.tif", image, levels)
    return [Slide(path, made_slides.square(0.5)) for path in (flat, folder / "deep.tif")]


def alone(slide, spacing, square):
    column, row, side = square
    window = slide.grid(spacing).window(column, row, side, side)
    return slide.read(Window(window.x, window.y, window.width, window.height), (side, side))


def assert_as_read_at_once(view, slide, spacing, square):
    """A view is what one read gives, to the value; where OpenSlide interpolates in place, to half a px of the level.

    There what noise becomes depends on where a read starts, a slope does not.
    """
    at_once = alone(slide, spacing, square)
    if slide.is_whole(slide.level_of(spacing)):
        np.testing.assert_array_equal(view, at_once)
    else:
        np.testing.assert_allclose(view[..., 2].astype(int), at_once[..., 2].astype(int), rtol=0, atol=2)


@given(
    data=st.data(),
    spacings=st.sampled_from([(0.5,), (0.5, 2.0), (0.5, 8.0), (1.0, 2.0, 16.0), (0.7, 2.8)]),
    keep=st.sampled_from([0, 200_000, 1 << 30]),
    deep=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_views_are_those_read_one_by_one_whatever_is_kept(slides, data, spacings, keep, deep):
    slide = slides[deep]
    square = st.tuples(st.integers(-80, 500), st.integers(-80, 400), st.integers(1, 150))
    squares = data.draw(st.lists(st.tuples(*[square] * len(spacings)), min_size=1, max_size=6))
    with ThreadPoolExecutor(2) as decoders:
        tiles = SuperTiles(slide, spacings, squares, decoders, keep)
        for number, wanted in enumerate(squares):
            views = tiles.read(number)
            by_itself = SuperTiles(slide, spacings, [wanted], decoders).read(0)
            for view, same, one, spacing in zip(views, by_itself, wanted, spacings, strict=True):
                np.testing.assert_array_equal(view, same)
                assert_as_read_at_once(view, slide, spacing, one)
            assert tiles._bytes <= keep
        assert not tiles._kept
        assert not tiles._uses
        assert not tiles._begun
        assert not tiles._coming
        assert tiles._bytes == 0


def reads_of(slide, squares, spacings, monkeypatch, keep=1 << 30):
    """Level-0 windows that are read at each spacing for tiles."""
    found = []
    read = Slide.read

    def noted(self, window, size):
        found.append((round(window.width / size[0] * 0.5, 6), window))
        return read(self, window, size)

    monkeypatch.setattr(Slide, "read", noted)
    with ThreadPoolExecutor(1) as decoders:
        tiles = SuperTiles(slide, spacings, squares, decoders, keep)
        for number in range(len(squares)):
            tiles.read(number)
    return found


def test_overlapping_tiles_decode_nothing_twice(slides, monkeypatch):
    monkeypatch.setattr(supertiles, "SIDE", 64)
    squares = [
        [(column, row, 300), (column // 4 - 100, row // 4 - 100, 200)]
        for row in (0, 256)
        for column in (0, 256, 512)
    ]
    for spacing in (0.5, 2.0):
        seen = np.zeros((1200, 1600), int)
        for at, window in reads_of(slides[1], squares, (0.5, 2.0), monkeypatch):
            if at == spacing:
                x, y = int(window.x) + 500, int(window.y) + 500
                seen[y : y + int(window.height), x : x + int(window.width)] += 1
        monkeypatch.undo()
        monkeypatch.setattr(supertiles, "SIDE", 64)
        assert seen.max() == 1


def test_of_a_slide_of_one_level_all_spacings_are_read_of_the_same_windows_at_once(slides, monkeypatch):
    squares = [[(0, 0, 300), (-50, -50, 180)], [(256, 0, 300), (0, -50, 180)]]
    found = reads_of(slides[0], squares, (0.5, 2.0), monkeypatch)
    fine = [window for at, window in found if at == 0.5]
    coarse = [window for at, window in found if at == 2.0]
    assert len(fine) < len(coarse)  # the context reaches further
    for window in fine:
        assert found.index((0.5, window)) + 1 == found.index((2.0, window))


@pytest.mark.parametrize("spacings", [(0.5, 1.0), (0.5, 2.0), (0.5, 8.0)])
@pytest.mark.parametrize("deep", [False, True])
def test_what_is_begun_ahead_is_what_would_be_read_without(slides, monkeypatch, spacings, deep):
    monkeypatch.setattr(supertiles, "SIDE", 64)
    squares = [
        [(round(column / ratio) - 90, round(row / ratio) - 90, 240) for ratio in (1, spacings[1] / 0.5)]
        for row in range(0, 700, 128)
        for column in range(0, 900, 128)
    ]
    found = []
    for ahead in (0, supertiles.AHEAD):
        with monkeypatch.context() as patched:
            patched.setattr(supertiles, "AHEAD", ahead)
            found.append(reads_of(slides[deep], squares, spacings, patched))
    assert found[0] == found[1]


def test_the_tiles_that_follow_are_begun_before_the_first_is_there(slides, monkeypatch):
    read, first, begun = Slide.read, threading.Event(), []

    def waits(self, window, size):
        begun.append(window.x)
        if len(begun) > supertiles.AHEAD:
            first.set()
        if window.x == 0:
            assert first.wait(60)
        return read(self, window, size)

    monkeypatch.setattr(Slide, "read", waits)
    squares = [[(256 * number, 0, 256)] for number in range(supertiles.AHEAD + 3)]
    with ThreadPoolExecutor(2) as decoders:
        tiles = SuperTiles(slides[0], (0.5,), squares, decoders)
        tiles.read(0)
        assert sorted(begun) == [256.0 * number for number in range(supertiles.AHEAD + 1)]
        for number in range(1, len(squares)):
            tiles.read(number)
    assert sorted(begun) == [256.0 * number for number in range(len(squares))]


def test_a_read_that_fails_is_told(slides, monkeypatch):
    def broken(*_):
        raise OSError("bad tile")

    monkeypatch.setattr(Slide, "read", broken)
    with ThreadPoolExecutor(2) as decoders, pytest.raises(OSError, match="bad tile"):
        SuperTiles(slides[0], (0.5,), [[(0, 0, 10)]], decoders).read(0)


def test_a_read_ahead_that_fails_is_told_with_its_own_tile(slides, monkeypatch):
    read = Slide.read

    def broken(self, window, size):
        if window.x > 0:
            raise OSError("bad tile")
        return read(self, window, size)

    monkeypatch.setattr(Slide, "read", broken)
    with ThreadPoolExecutor(2) as decoders:
        tiles = SuperTiles(slides[0], (0.5,), [[(0, 0, 10)], [(256, 0, 10)]], decoders)
        assert tiles.read(0)[0].shape == (10, 10, 3)
        with pytest.raises(OSError, match="bad tile"):
            tiles.read(1)
