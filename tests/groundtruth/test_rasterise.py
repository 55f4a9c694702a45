import json
import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shapely.geometry import Polygon

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.groundtruth import rasterise as rasterise_module
from hooknet.groundtruth.geometries import clean, from_geojson, to_geojson
from hooknet.groundtruth.rasterise import rasterise, rasterise_raster
from hooknet.groundtruth.scanlines import Scanlines
from hooknet.io.annotations import read_annotations
from hooknet.io.drawings import Shape
from hooknet.io.masks import Mask
from hooknet.labels import LabelClass, LabelMap

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CLASSES = (
    LabelClass("stroma", 1, "#112233", ("stroma",), 0),
    LabelClass("tumour", 2, "#ff0000", ("tumour",), 1),
)
LABELS = LabelMap(CLASSES, hole_groups=("hole",), hole_order=2, region_groups=("roi",))


def polygon(group, *points, holes=()):
    return Shape(group, "polygon", (group,), tuple((float(x), float(y)) for x, y in points), holes)


def box(group, left, top, right, bottom):
    return polygon(group, (left, top), (right, top), (right, bottom), (left, bottom))


def numbered(shapes):
    return [Shape(s.name, s.kind, s.groups, s.points, s.holes, i) for i, s in enumerate(shapes)]


def painted(tmp_path, shapes, size=(10, 10), label_map=LABELS, spacing=1.0, block=2048):
    """The mask of shapes over a slide of 1 µm px, as an array."""
    grid = RasterGrid.over(size, Spacing(1.0, 1.0), spacing)
    cleaned = clean(numbered(shapes), label_map, size)
    pixels = rasterise(cleaned, grid, label_map, tmp_path / "mask.tif", block)
    with Mask.open(tmp_path / "mask.tif") as mask:
        labels = mask.read(0, 0, grid.width, grid.height)
    assert pixels == {1: np.count_nonzero(labels == 1), 2: np.count_nonzero(labels == 2)}
    return labels


def drawn(text):
    return [[int(one) if one != "." else 0 for one in line] for line in text.split()]


def test_hole_island_in_hole_and_hole_in_island(tmp_path):
    found = painted(
        tmp_path,
        [
            box("hole", 4, 4, 6, 6),
            box("stroma", 3, 3, 7, 7),
            box("hole", 2, 2, 8, 8),
            box("tumour", 1, 1, 9, 9),
        ],
    )
    np.testing.assert_array_equal(
        found,
        drawn("""
        ..........
        .22222222.
        .2......2.
        .2.1111.2.
        .2.1..1.2.
        .2.1..1.2.
        .2.1111.2.
        .2......2.
        .22222222.
        .........."""),
    )


def test_overlaps_go_by_the_order_of_the_classes(tmp_path):
    shapes = [box("hole", 6, 0, 10, 4), box("tumour", 2, 2, 8, 8), box("stroma", 0, 0, 5, 5)]
    found = painted(tmp_path, shapes)
    np.testing.assert_array_equal(
        found,
        drawn("""
        11111.....
        11111.....
        112222....
        112222....
        11222222..
        ..222222..
        ..222222..
        ..222222..
        ..........
        .........."""),
    )


def test_a_nested_shape_shows_though_its_class_comes_first(tmp_path):
    found = painted(tmp_path, [box("stroma", 3, 3, 5, 5), box("tumour", 0, 0, 10, 10)])
    assert (found[3:5, 3:5] == 1).all()
    assert np.count_nonzero(found == 2) == 96


def test_outside_regions_of_interest_is_0_and_nothing_drawn_inside_is_the_default(tmp_path):
    shapes = [
        box("tumour", 0, 0, 6, 6),
        box("hole", 3, 3, 5, 5),
        box("roi", 2, 2, 8, 6),
        box("roi", 9, 9, 10, 10),
    ]
    label_map = LabelMap(
        CLASSES, hole_groups=("hole",), hole_order=2, region_groups=("roi",), region_default=1
    )
    np.testing.assert_array_equal(
        painted(tmp_path, shapes, label_map=label_map),
        drawn("""
        ..........
        ..........
        ..222211..
        ..2..211..
        ..2..211..
        ..222211..
        ..........
        ..........
        ..........
        .........1"""),
    )
    assert np.count_nonzero(painted(tmp_path, shapes)) == 12
    # Without any region of interest there is no default.
    assert np.count_nonzero(painted(tmp_path, shapes[:1], label_map=label_map)) == 36


def test_a_bow_tie_is_filled_in_both_wings(tmp_path):
    found = painted(tmp_path, [polygon("tumour", (0, 0), (10, 10), (10, 0), (0, 10))])
    x, y = np.meshgrid(np.arange(10) + 0.5, np.arange(10) + 0.5)
    strictly = np.abs(x - 5) > np.abs(y - 5)
    assert (found[strictly] == 2).all()
    assert (found[np.abs(x - 5) < np.abs(y - 5)] == 0).all()


def test_a_pentagram_is_filled_in_its_middle(tmp_path):
    angles = -np.pi / 2 + np.arange(5) * 4 * np.pi / 5
    star = polygon("tumour", *np.stack([50 + 45 * np.cos(angles), 50 + 45 * np.sin(angles)], axis=1))
    found = painted(tmp_path, [star], (100, 100))
    assert (found[40:60, 40:60] == 2).all()
    inner = 45 * np.sin(np.pi / 10) / np.sin(3 * np.pi / 10)
    assert np.count_nonzero(found) == pytest.approx(10 * 0.5 * 45 * inner * np.sin(np.pi / 5), rel=0.02)


def test_a_centre_on_an_edge_belongs_to_the_right_and_below(tmp_path):
    found = painted(tmp_path, [box("tumour", 1.5, 2.5, 3.5, 4.5)], (6, 6))
    np.testing.assert_array_equal(found, drawn("...... ...... .22... .22... ...... ......"))


def test_shapes_that_share_an_edge_share_no_pixel_and_leave_no_gap(tmp_path):
    # The diagonal of integer px passes through pixel centres.
    shapes = [polygon("stroma", (0, 0), (10, 10), (0, 10)), polygon("tumour", (10, 10), (0, 0), (10, 0))]
    both = painted(tmp_path, shapes)
    assert (both > 0).all()
    one, other = (np.count_nonzero(painted(tmp_path, [shape])) for shape in shapes)
    assert one + other == 100


def test_the_direction_and_the_first_point_of_a_drawing_do_not_matter(tmp_path):
    points = [(0.5, 0.5), (7.5, 0.5), (7.5, 3.5), (4.5, 3.5), (4.5, 8.5), (0.5, 8.5)]
    wanted = painted(tmp_path, [polygon("tumour", *points)])
    assert np.count_nonzero(wanted) == 7 * 3 + 4 * 5
    for turn in range(6):
        turned = points[turn:] + points[:turn]
        for ring in (turned, turned[::-1]):
            np.testing.assert_array_equal(painted(tmp_path, [polygon("tumour", *ring)]), wanted)


def test_interior_rings_show_what_lies_beneath(tmp_path):
    ring = ((2.0, 2.0), (8.0, 2.0), (8.0, 8.0), (2.0, 8.0))
    tumour = polygon("tumour", (1, 1), (9, 1), (9, 9), (1, 9), holes=(ring,))
    found = painted(tmp_path, [box("stroma", 0, 4, 10, 6), tumour])
    assert (found[4:6, 2:8] == 1).all()
    assert (found[2:4, 2:8] == 0).all()
    assert np.count_nonzero(found == 2) == 64 - 36


def test_pixels_take_the_class_under_their_centre_at_a_coarser_spacing(tmp_path):
    found = painted(tmp_path, [box("tumour", 2.1, 1.9, 6.1, 9.0)], spacing=4.0)
    # Centres at 2, 6, 10 (the last beyond the slide).
    np.testing.assert_array_equal(found, [[0, 2, 0], [0, 2, 0], [0, 0, 0]])


coordinate = st.integers(0, 240).map(lambda one: one / 4)
rings = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9)
groups = st.sampled_from(["stroma", "tumour", "hole", "roi"])
drawings = st.lists(st.tuples(groups, rings), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(drawings, st.sampled_from([1.0, 2.0, 0.5, 1.7, 0.3331]), st.sampled_from([7, 13, 64]))
def test_the_mask_does_not_depend_on_the_blocks(tmp_path_factory, shapes, spacing, block):
    folder = tmp_path_factory.mktemp("block")
    shapes = [polygon(group, *ring) for group, ring in shapes]
    once = painted(folder, shapes, (60, 60), spacing=spacing)
    np.testing.assert_array_equal(painted(folder, shapes, (60, 60), spacing=spacing, block=block), once)


@settings(max_examples=80, deadline=None)
@given(rings, st.sampled_from([1.0, 2.0, 0.5, 1.7, 0.3331]))
def test_pixels_agree_with_shapely_and_gdal_at_their_centres(ring, spacing):
    drawn_shape = shapely.make_valid(Polygon(ring), method="structure", keep_collapsed=False)
    geometry = shapely.transform(drawn_shape, lambda points: points / spacing)
    side = int(60 / spacing) + 3
    found = np.zeros((side, side), dtype=np.intp)
    runs = Scanlines([geometry]).runs(-1, side).within(-1, side)
    runs.fill(found, 1)
    assert runs.pixels == found.sum()
    x, y = np.meshgrid(np.arange(side) - 0.5, np.arange(side) - 0.5)
    inside = shapely.contains_xy(geometry, x, y)
    tie = shapely.dwithin(shapely.boundary(geometry), shapely.points(x, y), 1e-9)
    np.testing.assert_array_equal(found[~tie] == 1, inside[~tie])
    if not geometry.is_empty:
        moved = shapely.transform(geometry, lambda points: points + 1)
        gdal = rasterio.features.rasterize([moved], out_shape=(side, side), dtype="uint8")
        np.testing.assert_array_equal(found[~tie], gdal[~tie])


def asap_of(shapes):
    text = ""
    for shape in shapes:
        points = "".join(
            f'<Coordinate Order="{i}" X="{x!r}" Y="{y!r}"/>' for i, (x, y) in enumerate(shape.points)
        )
        text += f'<Annotation Name="a" Type="Polygon" PartOfGroup="{shape.groups[0]}"><Coordinates>{points}'
        text += "</Coordinates></Annotation>"
    return f"<ASAP_Annotations><Annotations>{text}</Annotations></ASAP_Annotations>"


def geojson_of(shapes):
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*shape.points, shape.points[0]]]},
            "properties": {"objectType": "annotation", "classification": {"name": shape.groups[0]}},
        }
        for shape in shapes
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(groups, rings.filter(lambda one: one[0] != one[-1])), min_size=1, max_size=6))
def test_the_same_drawing_in_asap_and_in_qupath_gives_the_same_bytes(tmp_path_factory, shapes):
    folder = tmp_path_factory.mktemp("same")
    shapes = [polygon(group, *ring) for group, ring in shapes]
    (folder / "a.xml").write_text(asap_of(shapes))
    (folder / "a.geojson").write_text(geojson_of(shapes))
    written = []
    for name in ("a.xml", "a.geojson"):
        painted(folder, read_annotations(folder / name), (60, 60), spacing=0.7)
        written.append((folder / "mask.tif").read_bytes())
    assert written[0] == written[1]


def test_cleaned_annotations_read_back_from_geojson_give_the_same_bytes(tmp_path):
    shapes = [
        polygon("tumour", (0, 0), (9.3, 10), (10, 0.1), (0, 10)),
        box("hole", 1, 3, 3, 6),
        box("roi", 0, 1, 9, 9),
    ]
    cleaned = clean(numbered(shapes), LABELS, (10, 10))
    to_geojson(cleaned, tmp_path / "c.geojson", LABELS)
    grid = RasterGrid.over((10, 10), Spacing(1, 1), 0.3)
    pixels = rasterise(cleaned, grid, LABELS, tmp_path / "a.tif")
    assert rasterise(from_geojson(tmp_path / "c.geojson"), grid, LABELS, tmp_path / "b.tif") == pixels
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_counts_are_logged_and_lost_shapes_are_warned_of(tmp_path, caplog):
    shapes = [box("stroma", 1, 1, 3, 3), box("stroma", 5.6, 5.6, 5.9, 5.9), box("tumour", 1, 1, 3, 3)]
    with caplog.at_level(logging.INFO):
        painted(tmp_path, shapes)
    assert "annotated pixels: stroma 0, tumour 4" in caplog.text
    (warning,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert "2 of 3 class shapes have no pixel left: 1 cover no pixel centre" in warning
    assert "1 are painted over" in warning
    assert "shape 1 (group 'stroma')" in warning


def test_no_annotations_give_an_empty_mask_and_a_warning(tmp_path, caplog):
    assert not painted(tmp_path, []).any()
    assert "no pixel of any class is annotated" in caplog.text


@pytest.mark.parametrize(
    ("name", "size"), [("tumor_044", (97_792, 221_184)), ("tumor_076", (110_000, 110_000))]
)
def test_a_real_lesion_file_has_the_pixels_of_its_area(tmp_path, name, size):
    path = SHARED / "data" / "annotations" / "camelyon" / f"{name}.xml"
    if not path.is_file():
        pytest.skip(f"no real annotations {path.name}")
    label_map = LabelMap((LabelClass("metastasis", 1, "#ff0000", ("metastasis",), 0),))
    cleaned = clean(read_annotations(path), label_map, size)
    grid = RasterGrid.over(size, Spacing(0.243, 0.243), 8.0)
    pixels = rasterise(cleaned, grid, label_map, tmp_path / "mask.tif")
    area = shapely.union_all([one.geometry for one in cleaned.painted]).area
    assert pixels[1] * grid.step_x * grid.step_y == pytest.approx(area, rel=2e-3)


def test_an_own_raster_is_taken_under_the_pixel_centres(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (6, 10), dtype=np.uint8)
    Image.fromarray(labels).save(tmp_path / "truth.png")
    grid = RasterGrid.over((40, 24), Spacing(0.5, 0.5), 1.0)
    pixels = rasterise_raster(tmp_path / "truth.png", (40, 24), grid, LABELS, tmp_path / "mask.tif")
    with Mask.open(tmp_path / "mask.tif") as mask:
        assert mask.names == ("stroma", "tumour")
        np.testing.assert_array_equal(mask.read(0, 0, 20, 12), labels.repeat(2, axis=0).repeat(2, axis=1))
    assert pixels == {1: 4 * np.count_nonzero(labels == 1), 2: 4 * np.count_nonzero(labels == 2)}


def test_values_without_a_class_are_refused_and_nothing_is_written(tmp_path):
    Image.fromarray(np.array([[0, 1], [7, 18]], dtype=np.uint8)).save(tmp_path / "truth.png")
    grid = RasterGrid.over((2, 2), Spacing(1, 1), 1.0)
    with pytest.raises(MaskError) as error:
        rasterise_raster(tmp_path / "truth.png", (2, 2), grid, LABELS, tmp_path / "mask.tif")
    assert str(error.value) == (
        f"{tmp_path / 'truth.png'}: found values 0, 1, 7, 18, wanted 0 (not annotated), 1 stroma, 2 tumour; "
        "list all values that mean a class in its raster_values"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["truth.png"]


def test_counts_are_the_same_however_many_there_are_to_count(monkeypatch):
    owner = np.random.default_rng(0).integers(0, 40, (30, 50), dtype=np.uint8)
    wanted = [(owner == number).sum() for number in range(41)]
    assert rasterise_module._count(owner, 41).tolist() == wanted
    monkeypatch.setattr(rasterise_module, "MANY", 100)
    assert rasterise_module._count(owner, 41).tolist() == wanted
