import xml.etree.ElementTree as ET

import numpy as np
import pytest
from rasterio.features import rasterize
from shapely import Polygon, is_valid, make_valid

from hooknet.demo.annotations import GROUPS, draw, to_xml
from hooknet.demo.rendering import make_scene, paint
from hooknet.demo.tissue import FAT, IN_SITU, INVASIVE, LYMPHOID, STROMA, VALUES, make_world


@pytest.fixture(scope="module")
def world():
    return make_world(1024.0, "1/a")


@pytest.fixture(scope="module")
def shapes(world):
    return draw(world)


def parse(text):
    root = ET.fromstring(text)
    return root, [
        (
            one.get("Type"),
            one.get("PartOfGroup"),
            [(int(c.get("Order")), c.get("X"), c.get("Y")) for c in one.iter("Coordinate")],
        )
        for one in root.iter("Annotation")
    ]


def test_every_class_is_annotated_and_every_kind_of_shape_is_there(shapes):
    assert {shape.group for shape in shapes} == {*VALUES, "hole", "None"}
    assert {shape.kind for shape in shapes} == {"Polygon", "Spline", "Rectangle", "Dot", "Measurement"}
    assert [s.group for s in shapes if s.kind == "Spline"] == [IN_SITU]
    assert [s.group for s in shapes if s.kind == "Rectangle"] == [STROMA]
    assert {s.group for s in shapes if s.kind in ("Dot", "Measurement")} == {"None"}


def test_only_the_bow_tie_crosses_itself_and_it_keeps_both_lobes(shapes):
    closed = [shape for shape in shapes if len(shape.points) > 2]
    crossing = [shape for shape in closed if not is_valid(Polygon(shape.points))]
    assert [shape.group for shape in crossing] == [INVASIVE]
    lobes = make_valid(Polygon(crossing[0].points), method="structure").geoms
    areas = [lobe.area for lobe in lobes]
    assert len(areas) == 2
    assert areas[0] == pytest.approx(areas[1])


def test_the_hole_lies_inside_the_rectangle_of_stroma(shapes):
    rectangle = Polygon(next(shape.points for shape in shapes if shape.kind == "Rectangle"))
    hole = Polygon(next(shape.points for shape in shapes if shape.group == "hole"))
    assert rectangle.contains(hole)


@pytest.mark.parametrize("key", ["1/a", "1/b", "3/c"])
def test_what_is_annotated_agrees_with_the_dense_truth(key):
    world = make_world(1024.0, key)
    side, spacing = 512, 2.0
    truth = np.zeros((side, side), np.uint8)
    for column, row, _, classes in paint(make_scene(world), side, side, spacing):
        truth[row : row + classes.shape[0], column : column + classes.shape[1]] = classes
    painted = [
        (make_valid(Polygon(shape.points / spacing), method="structure"), VALUES.get(shape.group, 0))
        for shape in draw(world)
        if len(shape.points) > 2
    ]
    mask = rasterize(painted, out=np.zeros((side, side), np.uint8))
    for value in VALUES.values():
        assert (truth[mask == value] == value).mean() > 0.998
    assert 0.05 < (mask > 0).mean() < 0.6 * (truth > 0).mean()


def test_a_slide_of_full_size_leaves_a_third_of_its_regions_unannotated():
    shapes = draw(make_world(2048.0, "1/a"))
    polygons = [shape.group for shape in shapes if shape.kind in ("Polygon", "Spline")]
    assert {group: polygons.count(group) for group in (IN_SITU, INVASIVE, LYMPHOID, FAT)} == {
        IN_SITU: 2,
        INVASIVE: 2,
        LYMPHOID: 1,
        FAT: 1,
    }


def test_coordinates_are_level_zero_pixels(shapes):
    _, read = parse(to_xml(shapes, 0.5, "plain", np.random.default_rng(0)))
    for shape, (kind, group, points) in zip(shapes, read, strict=True):
        assert (kind, group) == (shape.kind, shape.group)
        found = np.array([[float(x), float(y)] for _, x, y in points])
        np.testing.assert_allclose(found, shape.points / 0.5, atol=1e-4)


def test_groups_are_nested_as_in_asap(shapes):
    root, _ = parse(to_xml(shapes, 0.5, "plain", np.random.default_rng(0)))
    parents = {group.get("Name"): group.get("PartOfGroup") for group in root.iter("Group")}
    assert parents == {name: parent for name, (parent, _) in GROUPS.items()}
    assert parents[IN_SITU] == parents[INVASIVE] == "tumour"
    assert parents[LYMPHOID] == parents["tumour"] == "None"


def test_shuffled_points_come_back_by_their_order(shapes):
    _, plain = parse(to_xml(shapes, 0.5, "plain", np.random.default_rng(0)))
    _, shuffled = parse(to_xml(shapes, 0.5, "shuffled", np.random.default_rng(0)))
    assert plain != shuffled
    assert plain == [(kind, group, sorted(points)) for kind, group, points in shuffled]


def test_decimal_commas_are_the_only_difference_of_their_style(shapes):
    plain = to_xml(shapes, 0.5, "plain", np.random.default_rng(0))
    comma = to_xml(shapes, 0.5, "comma", np.random.default_rng(0))
    assert comma != plain
    _, read = parse(comma)
    assert all("," in x and "." not in x for _, _, points in read for _, x, _ in points)
    assert parse(plain)[1] == [
        (kind, group, [(k, x.replace(",", "."), y.replace(",", ".")) for k, x, y in points])
        for kind, group, points in read
    ]
