import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from hooknet.coordinates import RasterGrid
from hooknet.objects.connected import Region, regions
from hooknet.objects.outlines import Tracing, outlines

MAPS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))
ROWS = st.sampled_from([1, 2, 3, 7, 50])


class Raster:
    def __init__(self, labels, step=1.0):
        self.labels = labels
        self.grid = RasterGrid(labels.shape[1], labels.shape[0], 1.0, step, step)

    def read(self, column, row, width, height):
        return self.labels[row : row + height, column : column + width]

    def is_empty(self, column, row, width, height):
        return not self.read(column, row, width, height).any()


def expected(labels):
    found = []
    for value in np.unique(labels[labels > 0]):
        numbers, count = ndimage.label(labels == value)
        for number in range(1, count + 1):
            y, x = np.nonzero(numbers == number)
            box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
            found.append(Region(int(value), len(x), box, (x.mean() + 0.5, y.mean() + 0.5)))
    return found


def told(found):
    return sorted((one.value, one.pixels, one.box, np.round(one.centroid, 6).tolist()) for one in found)


def smooth(seed, side=60):
    fields = np.random.default_rng(seed).standard_normal((4, side, side))
    return np.argmax(ndimage.gaussian_filter(fields, (0, 2.5, 2.5)), 0).astype(np.uint8)


@given(MAPS, ROWS)
def test_regions_are_those_of_the_whole_array(labels, rows):
    assert told(regions(Raster(labels), rows=rows)) == told(expected(labels))


def test_regions_carry_their_weights():
    labels = np.array([[1, 1, 0], [0, 0, 1]], np.uint8)
    weights = Raster(np.array([[10, 250, 7], [7, 7, 30]], np.uint8))
    assert sorted((one.total, one.highest) for one in regions(Raster(labels), weights, rows=1)) == [
        (30, 30),
        (260, 250),
    ]


@given(MAPS, ROWS)
def test_exact_outlines_hold_their_pixels_and_no_others(labels, rows):
    found = list(outlines(Raster(labels, step=2.0), rows=rows))
    painted = np.zeros_like(labels)
    for one in found:
        assert one.polygon.is_valid
        assert one.polygon.area == 4 * one.region.pixels
        inside = rasterio.features.rasterize([shapely.transform(one.polygon, lambda p: p / 2)], labels.shape)
        painted[inside > 0] = one.region.value
    assert (painted == labels).all()
    at_once = outlines(Raster(labels, step=2.0), rows=50)
    assert {shapely.normalize(one.polygon).wkt for one in found} == {
        shapely.normalize(one.polygon).wkt for one in at_once
    }


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("rows", [7, 64])
def test_simplified_outlines_keep_to_the_tolerance_and_to_their_places(tolerance, rows):
    labels = smooth(int(tolerance * 10))
    exact = {(one.region.box, one.region.centroid): one.polygon for one in outlines(Raster(labels))}
    found = list(outlines(Raster(labels), Tracing(tolerance), rows=rows))
    polygons = np.array([one.polygon for one in found])
    assert len(found) == len(exact) > 20
    assert shapely.is_valid(polygons).all()
    for one in found:
        true = exact[one.region.box, one.region.centroid]
        assert len(true.interiors) == len(one.polygon.interiors)
        assert one.polygon.area > 0
        assert shapely.hausdorff_distance(true.boundary, one.polygon.boundary) <= tolerance + 1e-9
    left, right = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    apart = left < right
    assert shapely.area(shapely.intersection(polygons[left[apart]], polygons[right[apart]])).max() < 1e-9
    points = shapely.get_num_coordinates(list(exact.values())).sum()
    if rows == 64:  # one band: no extra points at seams
        assert shapely.get_num_coordinates(polygons).sum() < (0.95 if tolerance < 1 else 0.8) * points


def test_an_island_stays_in_its_hole():
    labels = np.ones((30, 30), np.uint8)
    labels[10:20, 10:20] = 0
    labels[13:17, 13:17] = 1
    outer, inner = sorted(outlines(Raster(labels), Tracing(3.0)), key=lambda one: -one.region.pixels)
    (hole,) = outer.polygon.interiors
    assert shapely.Polygon(hole).covers(inner.polygon)


def test_small_regions_are_left_out():
    labels = np.array([[1, 0, 1, 1, 1]], np.uint8)
    assert [one.region.pixels for one in outlines(Raster(labels), Tracing(smallest=3))] == [3]
