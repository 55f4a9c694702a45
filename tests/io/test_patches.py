import pickle

import made_slides
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from hooknet.coordinates import PatchSpec, RasterGrid, Spacing
from hooknet.groundtruth.geometries import CleanedAnnotations, Region
from hooknet.groundtruth.rasterise import rasterise
from hooknet.io.masks import Mask
from hooknet.io.patches import labels_around, read_views
from hooknet.io.slides import Slide
from hooknet.labels import LabelClass, LabelMap

HALF = 60


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory):
    image = made_slides.coordinates_image(1203, 1003, HALF)
    levels = tuple(made_slides.reduced(image, factor) for factor in (4, 16))
    path = made_slides.write_slide(tmp_path_factory.mktemp("views") / "slide.tif", image, levels, 0.25)
    return Slide(path, made_slides.square(0.25)), image


@settings(max_examples=10)
@given(x=st.floats(0, 1203), y=st.floats(0, 1003), ratio=st.sampled_from([2.0, 4.0, 8.0]))
def test_every_view_lies_around_one_centre(pyramid, x, y, ratio):
    slide, image = pyramid
    spec = PatchSpec(32, 32, (0.3, 0.3 * ratio, 2.4 * ratio))
    for view, spacing in zip(read_views(slide, x, y, spec), spec.spacings, strict=True):
        step = spacing / 0.25
        edges = (np.arange(33) - 16) * step
        exact = made_slides.area_image(image, x + edges, y + edges)
        low = slide.levels[slide._level_for(step, step)].step_x
        # Where the slide ends a reduced level is a blend with white.
        border = [
            (at + edges[:-1] < 2 * low + 1) & (at + edges[1:] > -2 * low - 1)
            | (at + edges[1:] > length - 2 * low - 1) & (at + edges[:-1] < length + 2 * low + 1)
            for at, length in ((x, 1203), (y, 1003))
        ]
        inside = ~(border[0][None, :] | border[1][:, None])
        assert np.abs(view - exact)[inside].max(initial=0) <= 1.6 + 4 * low / 4


def test_the_middle_of_every_view_is_the_same_tissue(tmp_path):
    # A dot of 16 px in the middle of the slide is in the middle of every view.
    image = np.full((400, 400, 3), 255, np.uint8)
    image[192:208, 192:208] = 0
    slide = Slide(made_slides.write_slide(tmp_path / "dot.tif", image), made_slides.square(0.5))
    views = read_views(slide, 200.0, 200.0, PatchSpec(20, 20, (0.5, 1.0, 2.0, 4.0)))
    assert views.shape == (4, 20, 20, 3)
    for view, side in zip(views, (16, 8, 4, 2), strict=True):
        dark = np.zeros((20, 20), bool)
        dark[10 - side // 2 : 10 + side // 2, 10 - side // 2 : 10 + side // 2] = True
        np.testing.assert_array_equal(view[..., 0], np.where(dark, 0, 255))


def brute_labels(labels, grid, x, y, size, spacing):
    """The value under each patch pixel's centre, one by one, in level-0 px."""
    found = np.zeros((size, size), np.uint8)
    step_x, step_y = grid.step_x * spacing / grid.spacing, grid.step_y * spacing / grid.spacing
    for row in range(size):
        for column in range(size):
            at_x, at_y = x + (column + 0.5 - size / 2) * step_x, y + (row + 0.5 - size / 2) * step_y
            i, j = int(np.floor(at_y / grid.step_y + 1e-6)), int(np.floor(at_x / grid.step_x + 1e-6))
            if 0 <= i < grid.height and 0 <= j < grid.width:
                found[row, column] = labels[i, j]
    return found


@settings(max_examples=40)
@given(
    x=st.floats(-20, 110),
    y=st.floats(-20, 90),
    size=st.integers(1, 24),
    ratio=st.sampled_from([0.5, 0.93, 1.0, 1.5, 2.0, 2.7, 4.0, 16.0]),
    snapped=st.booleans(),
)
def test_labels_are_those_under_the_pixel_centres(tmp_path_factory, x, y, size, ratio, snapped):
    labels = np.random.default_rng(3).integers(0, 3, (60, 70), dtype=np.uint8)
    grid = RasterGrid.over((100, 84), Spacing(0.5, 0.5), 0.7)  # 1.4 level-0 px a mask px
    assert (grid.width, grid.height) == (72, 60)
    labels = np.pad(labels, ((0, 0), (0, 2)))
    if snapped:
        x, y = round(x / 1.4) * 1.4, round(y / 1.4) * 1.4
    with made_mask(tmp_path_factory, labels, grid) as mask:
        found = labels_around(mask, x, y, size, 0.7 * ratio)
    np.testing.assert_array_equal(found, brute_labels(labels, grid, x, y, size, 0.7 * ratio))


def made_mask(factory, labels, grid):
    path = factory.mktemp("mask") / "mask.tif"
    made_slides.write_mask(path, labels, grid.step_x, grid.spacing)
    return Mask.open(path)


def test_a_patch_on_the_masks_own_grid_is_a_piece_of_it(tmp_path):
    labels = made_slides.random_bits(50, 60, 1) + made_slides.random_bits(50, 60, 2)
    with Mask.open(made_slides.write_mask(tmp_path / "mask.tif", labels)) as mask:
        np.testing.assert_array_equal(labels_around(mask, 20.0, 30.0, 10, 0.5), labels[25:35, 15:25])
        # At twice the spacing: of each 2 x 2 px the lower right, on whose corner the centre lies.
        np.testing.assert_array_equal(labels_around(mask, 20.0, 30.0, 10, 1.0), labels[21:41:2, 11:31:2])


def test_labels_beyond_the_mask_are_not_annotated(tmp_path):
    labels = np.ones((10, 10), np.uint8)
    with Mask.open(made_slides.write_mask(tmp_path / "mask.tif", labels)) as mask:
        found = labels_around(mask, 0.0, 10.0, 4, 0.5)
        assert found.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
        assert not labels_around(mask, 500.0, -500.0, 4, 0.5).any()


@pytest.mark.parametrize(
    ("slide_spacing", "mask_spacing", "patch_spacing"),
    [
        (0.5, 0.5, 0.5),
        (0.25, 0.5, 0.5),
        (0.25, 0.5, 2.0),
        (0.2277, 0.5, 0.5),
        (0.499, 0.5, 1.0),
        (0.25, 0.33, 0.66),
    ],
)
def test_labels_lie_on_the_tissue_they_were_drawn_on(tmp_path, slide_spacing, mask_spacing, patch_spacing):
    # The same shapes are painted into the slide (by their pixels) and into the mask (by the rasteriser).
    shapes = [box(40, 30, 140, 90), Polygon([(200, 20), (300, 160), (180, 200)]), box(61, 120, 64, 260)]
    image = np.zeros((301, 341, 3), np.uint8)
    regions = [Region(shape, 1, "class", "one", 0, number) for number, shape in enumerate(shapes)]
    label_map = LabelMap((LabelClass("one", 1, "#ff0000", ("one",), 0),))
    cleaned = CleanedAnnotations(tuple(regions))
    own = RasterGrid.over((341, 301), made_slides.square(slide_spacing), slide_spacing)
    rasterise(cleaned, own, label_map, tmp_path / "own.tif")
    with Mask.open(tmp_path / "own.tif") as painted:
        image[:] = 255 * (1 - painted.read(0, 0, 341, 301)[..., None])
    slide = Slide(made_slides.write_slide(tmp_path / "s.tif", image), made_slides.square(slide_spacing))
    rasterise(cleaned, slide.grid(mask_spacing), label_map, tmp_path / "mask.tif")
    seen = 0
    with Mask.open(tmp_path / "mask.tif") as mask:
        for x, y in ((90.0, 60.0), (140.0, 90.0), (240.5, 110.25), (62.0, 130.0), (190.3, 198.7)):
            size = 40
            view = read_views(slide, x, y, PatchSpec(size, size, (patch_spacing,)))[0, ..., 0]
            labels = labels_around(mask, x, y, size, patch_spacing)
            # A patch px sees a mask px at most half a mask px off its own centre: pure ones cannot differ.
            pure_near = pure(view, 1)
            np.testing.assert_array_equal(labels[pure_near], (view < 128)[pure_near])
            seen += int(labels.any() and not labels.all())
    assert seen >= 4


def pure(view, radius):
    """Pixels whose neighbours up to ``radius`` are all black or all white."""
    around = [
        np.roll(view, (i, j), (0, 1)) for i in range(-radius, radius + 1) for j in range(-radius, radius + 1)
    ]
    same = (np.stack(around) == 0).all(axis=0) | (np.stack(around) == 255).all(axis=0)
    same[:radius] = same[-radius:] = False
    same[:, :radius] = same[:, -radius:] = False
    return same


def test_where_all_spacings_are_equal_label_and_image_agree_pixel_by_pixel(tmp_path):
    bits = made_slides.random_bits(90, 110, seed=4)
    path = made_slides.write_slide(tmp_path / "noise.tif", made_slides.grey(bits * 255))
    slide = Slide(path, made_slides.square(0.5))
    with Mask.open(made_slides.write_mask(tmp_path / "mask.tif", bits + 1)) as mask:
        for x, y in ((50.0, 40.0), (13.0, 77.0), (100.0, 3.0)):
            view = read_views(slide, x, y, PatchSpec(24, 24, (0.5,)))[0, ..., 0]
            labels = labels_around(mask, x, y, 24, 0.5)
            annotated = labels > 0
            np.testing.assert_array_equal((view > 127)[annotated], labels[annotated] == 2)
            assert (view[~annotated] == 255).all()  # outside: white, not annotated


def test_a_mask_can_be_pickled_and_reads_on(tmp_path):
    labels = made_slides.random_bits(50, 60)
    with Mask.open(made_slides.write_mask(tmp_path / "mask.tif", labels)) as mask:
        mask.read(0, 0, 5, 5)
        copy = pickle.loads(pickle.dumps(mask))
        np.testing.assert_array_equal(copy.read(0, 0, 60, 50), labels)
        copy.close()
