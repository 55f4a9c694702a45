import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon

from hooknet.groundtruth.scanlines import Scanlines


def listed(runs):
    columns = (runs.polygon, runs.row, runs.start, runs.end)
    return [tuple(map(int, one)) for one in zip(*columns, strict=True)]


SQUARE = Polygon([(1, 1), (5, 1), (5, 3), (1, 3)])
RING = Polygon([(0, 0), (6, 0), (6, 3), (0, 3)], [[(2, 1), (4, 1), (4, 2), (2, 2)]])


def test_runs_are_told_by_polygon_row_and_column():
    lines = Scanlines([SQUARE, RING])
    wanted = [(0, 1, 1, 5), (0, 2, 1, 5), (1, 0, 0, 6), (1, 1, 0, 2), (1, 1, 4, 6), (1, 2, 0, 6)]
    assert listed(lines.runs(0, 10)) == wanted
    # Rows count from the first that is asked for, columns too.
    assert listed(lines.runs(1, 1)) == [(0, 0, 1, 5), (1, 0, 0, 2), (1, 0, 4, 6)]
    assert listed(lines.runs(1, 1).within(4, 9)) == [(0, 0, 0, 1), (1, 0, 0, 2)]
    assert listed(lines.runs(1, 1).within(2, 2)) == [(0, 0, 0, 2)]
    assert listed(lines.runs(3, 5)) == listed(Scanlines([]).runs(0, 9)) == []
    found = [(number, runs.pixels) for number, runs in lines.runs(0, 10).by_polygon()]
    assert found == [(0, 8), (1, 16)]
    assert list(Scanlines([]).runs(0, 9).by_polygon()) == []


def test_a_multipolygon_is_one_polygon_and_slivers_between_centres_have_no_run():
    far = MultiPolygon([SQUARE, shapely.transform(SQUARE, lambda points: points + np.array([10, 0]))])
    sliver = Polygon([(0.6, 0), (1.4, 0), (1.4, 9), (0.6, 9)])
    assert listed(Scanlines([sliver, far]).runs(1, 1)) == [(1, 0, 1, 5), (1, 0, 11, 15)]


def test_filling_raises_and_never_lowers():
    into = np.array([[1, 4, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 9, 1], [0, 0, 0, 0, 0, 0, 0]], np.uint8)
    Scanlines([RING]).runs(0, 3).fill(into, 3)
    np.testing.assert_array_equal(into, [[3, 4, 3, 3, 3, 3, 1], [3, 3, 1, 1, 3, 9, 1], [3, 3, 3, 3, 3, 3, 0]])


coordinate = st.integers(0, 160).map(lambda one: one / 4)
rings = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(rings, min_size=1, max_size=5), st.integers(1, 17), st.integers(1, 17))
def test_pieces_make_up_the_whole_and_neighbours_do_not_matter(drawn, high, wide):
    shapes = [shapely.make_valid(Polygon(ring), method="structure", keep_collapsed=False) for ring in drawn]
    whole = np.zeros((len(shapes), 40, 40), np.uint8)
    for number, shape in enumerate(shapes):
        Scanlines([shape]).runs(0, 40).within(0, 40).fill(whole[number], 1)
    pieces, counted = np.zeros_like(whole), np.zeros(len(shapes), int)
    lines = Scanlines(shapes)
    for row in range(0, 40, high):
        for column in range(0, 40, wide):
            part = pieces[:, row : row + high, column : column + wide]
            for number, runs in lines.runs(row, part.shape[1]).within(column, part.shape[2]).by_polygon():
                runs.fill(part[number], 1)
                counted[number] += runs.pixels
    np.testing.assert_array_equal(pieces, whole)
    assert counted.tolist() == whole.sum(axis=(1, 2)).tolist()
