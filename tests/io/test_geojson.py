import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon, box

from hooknet.errors import AnnotationError
from hooknet.io.geojson import polygon_feature, read_features, read_geojson, write_geojson

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
RING = [[1, 2], [5, 2], [3, 7], [1, 2]]
HOLE = [[2, 3], [3, 3], [3, 4], [2, 3]]
OPEN = ((1.0, 2.0), (5.0, 2.0), (3.0, 7.0))
OPEN_HOLE = ((2.0, 3.0), (3.0, 3.0), (3.0, 4.0))
POLYGON = {"type": "Polygon", "coordinates": [RING, HOLE]}


def feature(geometry=POLYGON, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def read(tmp_path, content):
    path = tmp_path / "a.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_geojson(path)


def refused(tmp_path, content, part):
    with pytest.raises(AnnotationError) as error:
        read(tmp_path, content)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'a.geojson'}: ")
    assert "\n" not in message
    assert part in message, message


@pytest.mark.parametrize(
    "content",
    [
        [feature()],
        {"type": "FeatureCollection", "features": [feature()]},
        feature(),
        POLYGON,
        [POLYGON],
        {"type": "GeometryCollection", "geometries": [POLYGON]},
        [{"type": "FeatureCollection", "features": [feature()]}],
        {"type": "Feature", "geometry": POLYGON, "properties": None},
        {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [POLYGON]}},
    ],
)
def test_every_form_at_the_top_gives_the_same_shape(tmp_path, content):
    (shape,) = read(tmp_path, content)
    assert (shape.kind, shape.points, shape.holes, shape.groups) == ("polygon", OPEN, (OPEN_HOLE,), ("None",))
    assert shape.index == 0


@pytest.mark.parametrize(
    ("classification", "groups"),
    [
        ({"name": "Tumor", "colorRGB": -1}, ("Tumor",)),
        ({"names": ["Tumor"], "color": [1, 2, 3]}, ("Tumor",)),
        ({"names": ["Tumor", "Positive", "3+"]}, ("Tumor: Positive: 3+", "Tumor: Positive", "Tumor")),
        ({"name": "Tumor: Positive"}, ("Tumor: Positive", "Tumor")),
        ("Tumor", ("Tumor",)),
        ({}, ("None",)),
        (None, ("None",)),
    ],
)
def test_the_group_is_the_class_and_what_it_is_derived_from(tmp_path, classification, groups):
    assert read(tmp_path, feature(classification=classification, name="n"))[0].groups == groups


def test_parts_of_a_multipolygon_are_shapes_of_one_feature(tmp_path):
    parts = {"type": "MultiPolygon", "coordinates": [[RING, HOLE], [[[9, 9], [12, 9], [9, 12], [9, 9]]]]}
    shapes = read(tmp_path, [feature(), feature(parts, name="two"), feature()])
    assert [(one.index, one.name, len(one.holes)) for one in shapes] == [
        (0, "", 1), (1, "two", 1), (1, "two", 0), (2, "", 1),
    ]  # fmt: skip
    assert shapes[2].points == ((9.0, 9.0), (12.0, 9.0), (9.0, 12.0))


def test_points_and_lines_are_no_polygons(tmp_path):
    shapes = read(
        tmp_path,
        [
            {"type": "Point", "coordinates": [1, 2, 0]},
            {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
            {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
            {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
        ],
    )
    assert [(one.kind, one.index, len(one.points)) for one in shapes] == [
        ("point", 0, 1), ("point", 1, 2), ("line", 2, 2), ("line", 3, 2), ("line", 3, 2),
    ]  # fmt: skip


def polygon(*ring):
    return feature({"type": "Polygon", "coordinates": [list(ring)]}, name="N")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"type": "Feature", ', "malformed JSON"),
        ("[" * 100_000, "malformed JSON"),
        ("9" * 5000, "malformed JSON"),
        ("3", "found 'int', wanted GeoJSON features or geometries"),
        ('{"type": "Topology"}', "found 'Topology', wanted GeoJSON"),
        ({"type": "FeatureCollection"}, "without a list of features"),
        ([feature(), feature(None)], "feature 2: found no geometry"),
        (feature({"type": "Circle", "coordinates": []}), "found geometry 'Circle'"),
        (feature({"type": "Polygon"}), "found NoneType in the place of coordinates"),
        (feature({"type": "Polygon", "coordinates": []}), "a Polygon without rings"),
        (
            polygon([1, 2], [3, 4], [1, 2]),
            "feature 1 'N': found a ring of 2 different points, wanted at least 3",
        ),
        (polygon([1, 2], [3, 4], [5, float("nan")]), "found coordinates [5, nan], wanted two finite numbers"),
        (polygon([1, 2], [3, 4], [float("inf"), 4]), "found coordinates [inf, 4]"),
        (polygon([1, 2], [3, 4], [10**400, 4]), "wanted two finite numbers"),
        (polygon([1, 2], [3, 4], [5]), "found coordinates [5]"),
        (polygon([1, 2], [3, 4], ["5", 6]), "found coordinates ['5', 6]"),
        (polygon([1, 2], [3, 4], [True, 6]), "found coordinates [True, 6]"),
        (polygon([1, 2], [3, 4], 5), "found int in the place of coordinates"),
        (feature(classification=5), "found classification 5, wanted a name"),
        ({"type": "Feature", "geometry": POLYGON, "properties": [1]}, "properties that are no object"),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path, content, problem):
    refused(tmp_path, content, problem)


@pytest.mark.parametrize("content", ["[]", '{"type": "FeatureCollection", "features": []}'])
def test_a_file_without_features_is_an_empty_list(tmp_path, content):
    assert read(tmp_path, content) == ()


def test_what_is_written_is_what_qupath_expects(tmp_path):
    geometries = [
        Polygon(OPEN, [OPEN_HOLE]),
        MultiPolygon([box(0, 0, 1, 1)]),
        MultiPolygon([box(0, 0, 1, 1), box(2, 2, 3, 3)]),
    ]
    features = (polygon_feature(one, "tumour", (255, 0, 16), {"order": 3}) for one in geometries)
    assert write_geojson(tmp_path / "out.geojson", features, own={"a": 1}) == 3
    written = json.loads((tmp_path / "out.geojson").read_text())
    assert (written["type"], written["hooknet"]) == ("FeatureCollection", {"a": 1})
    assert [one["geometry"]["type"] for one in written["features"]] == ["Polygon", "Polygon", "MultiPolygon"]
    first = written["features"][0]
    assert first["geometry"]["coordinates"] == [RING, HOLE]
    assert first["properties"] == {
        "objectType": "annotation",
        "isLocked": False,
        "classification": {"name": "tumour", "color": [255, 0, 16]},
        "hooknet": {"order": 3},
    }
    features, own = read_features(tmp_path / "out.geojson")
    assert own == {"a": 1}
    assert [(len(one.shapes), one.own) for one in features] == [
        (1, {"order": 3}),
        (1, {"order": 3}),
        (2, {"order": 3}),
    ]
    assert features[0].shapes[0].holes == (OPEN_HOLE,)


def test_no_features_are_a_file_too(tmp_path):
    assert write_geojson(tmp_path / "out.geojson", []) == 0
    assert read_geojson(tmp_path / "out.geojson") == ()


finite = st.floats(-(2**31), 2**31)  # further away nothing is on a slide, and refused


@given(st.lists(st.tuples(finite, finite), min_size=3, max_size=6, unique=True))
def test_coordinates_come_back_to_the_last_bit(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("g") / "a.geojson"
    write_geojson(path, [polygon_feature(Polygon(points), "x", (0, 0, 0))])
    assert read_geojson(path)[0].points == tuple(points)


def test_a_failure_while_writing_leaves_nothing(tmp_path):
    def features():
        yield polygon_feature(box(0, 0, 1, 1), "x", (0, 0, 0))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_geojson(tmp_path / "a.geojson", features())
    assert not list(tmp_path.iterdir())


def test_real_files_are_read():
    folder = SHARED / "data" / "annotations" / "other"
    if not folder.is_dir():
        pytest.skip(f"no real annotations at {folder.name}")
    found = {path.name: read_geojson(path) for path in folder.iterdir()}
    assert {name: (len(shapes), sum(len(one.holes) for one in shapes)) for name, shapes in found.items()} == {
        "holed.geojson": (1, 1),
        "qupath-brush.json": (1, 0),
        "qupath-polygon-cell-classified.json": (4, 0),
        "qupath-rectangle.json": (1, 0),
        "qupath05.geojson": (3, 0),
    }
    cells = found["qupath-polygon-cell-classified.json"]
    assert [one.groups[0] for one in cells].count("Nucleus") == 2
