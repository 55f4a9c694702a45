import json
import logging
import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon

from hooknet.errors import AnnotationError
from hooknet.groundtruth.geometries import clean, from_geojson, to_geojson
from hooknet.io.annotations import read_annotations
from hooknet.io.drawings import Shape
from hooknet.labels import LabelClass, LabelMap

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
STROMA = LabelClass("stroma", 1, "#112233", ("stroma",), 0)
TUMOUR = LabelClass("tumour", 2, "#ff0000", ("tumour", "in situ"), 1)
LABELS = LabelMap(
    (STROMA, TUMOUR), hole_groups=("hole",), hole_order=2, ignore_groups=("ink",), region_groups=("roi",)
)
SIZE = (100, 80)


def square(group, left, top, side, index=0, kind="polygon"):
    corners = ((left, top), (left + side, top), (left + side, top + side), (left, top + side))
    groups = (group,) if isinstance(group, str) else group
    return Shape(f"{group} {index}", kind, groups, corners, index=index)


def order_of(*shapes):
    shapes = [Shape(s.name, s.kind, s.groups, s.points, s.holes, i) for i, s in enumerate(shapes)]
    return [one.index for one in clean(shapes, LABELS, SIZE).painted]


def test_a_region_has_its_class_value_role_and_group():
    shapes = [square("tumour", 5, 5, 9, 0), square("hole", 6, 6, 2, 1), square("roi", 0, 0, 50, 2)]
    found = clean(shapes, LABELS, SIZE)
    assert [(one.role, one.value, one.group, one.index, one.order) for one in found.regions] == [
        ("roi", 0, "roi", 2, -1),
        ("class", 2, "tumour", 0, 0),
        ("hole", 0, "hole", 1, 1),
    ]
    assert found.regions[1].geometry == Polygon(shapes[0].points)
    assert found.counts == {"shapes": 3, "regions": 3}


def test_the_first_known_of_own_group_and_its_ancestors_decides():
    shapes = [
        square(("gland", "in situ", "stroma"), 0, 0, 5, 0),
        square(("x", "y", "ink", "tumour"), 0, 0, 5, 1),
        square(("tumour", "ink"), 0, 0, 5, 2),
    ]
    found = clean(shapes, LABELS, SIZE)
    assert [(one.group, one.value, one.index) for one in found.regions] == [
        ("in situ", 2, 0),
        ("tumour", 2, 2),
    ]
    assert found.counts == {"shapes": 3, "ignored:ink": 1, "regions": 2}


def test_unknown_groups_are_listed_with_their_numbers_and_what_is_known():
    shapes = [square("Tumour ", 0, 0, 5, i) for i in range(3)] + [square(("None",), 0, 0, 5, 3)]
    with pytest.raises(AnnotationError) as error:
        clean(shapes, LABELS, SIZE, source="a/b.xml")
    assert str(error.value) == (
        "a/b.xml: unknown annotation groups 'None' (1 shape), 'Tumour ' (3 shapes, perhaps 'tumour'); the label map "
        "knows 'stroma', 'tumour', 'in situ', 'hole', 'ink', 'roi'; give them to a class or list them in ignore_groups"
    )


def test_points_and_lines_are_counted_whatever_their_group():
    shapes = [
        square("never heard of", 900, 900, 5, i, kind) for i, kind in enumerate(("point", "point", "line"))
    ]
    found = clean(shapes, LABELS, SIZE)
    assert found.regions == ()
    assert found.counts == {"shapes": 3, "not_a_region:point": 2, "not_a_region:line": 1, "regions": 0}


def polygon(group, points, index=0):
    return Shape("drawn", "polygon", (group,), tuple(map(tuple, points)), index=index)


def test_a_bow_tie_keeps_both_wings():
    found = clean([polygon("tumour", [(0, 0), (10, 10), (10, 0), (0, 10)])], LABELS, SIZE)
    assert found.regions[0].geometry.area == pytest.approx(50)
    assert isinstance(found.regions[0].geometry, MultiPolygon)
    assert found.counts == {"shapes": 1, "repaired": 1, "regions": 1}


def test_a_pentagram_is_filled_to_its_middle():
    angles = np.pi / 2 + np.arange(5) * 4 * np.pi / 5
    points = np.stack([50 + 30 * np.cos(angles), 40 + 30 * np.sin(angles)], axis=1).tolist()
    geometry = clean([polygon("tumour", points)], LABELS, SIZE).regions[0].geometry
    assert geometry.contains(Polygon(points).centroid)
    # Outer radius R, inner R * sin 18° / sin 54°: ten triangles of half angle 36°.
    inner = 30 * np.sin(np.pi / 10) / np.sin(3 * np.pi / 10)
    assert geometry.area == pytest.approx(10 * 0.5 * 30 * inner * np.sin(np.pi / 5))


def test_a_shape_without_area_is_counted_and_dropped(caplog):
    shapes = [polygon("tumour", [(0, 0), (5, 5), (9, 9)]), polygon("tumour", [(1, 1), (1, 1), (1, 1)], 1)]
    with caplog.at_level(logging.WARNING):
        found = clean(shapes, LABELS, SIZE)
    assert found.regions == ()
    assert found.counts == {"shapes": 2, "without_area": 2, "regions": 0}
    assert "shape 2 'drawn': has no area" in caplog.text


@pytest.mark.parametrize(("left", "top"), [(100, 0), (-10, 5), (20, 80), (20, -10), (5000, 5000)])
def test_a_region_outside_the_slide_is_refused_with_where_it_is(left, top):
    with pytest.raises(
        AnnotationError, match=rf"f\.xml: shape 1 .* x {left} to {left + 10}, y {top} .* 100 x 80;"
    ):
        clean([square("tumour", left, top, 10)], LABELS, SIZE, source="f.xml")


def test_a_region_partly_outside_is_kept_whole_and_counted():
    found = clean([square("tumour", 95, 70, 20)], LABELS, SIZE)
    assert found.regions[0].geometry.area == 400
    assert found.counts == {"shapes": 1, "partly_outside": 1, "regions": 1}
    assert "partly_outside" not in clean([square("tumour", 0, 0, 80)], LABELS, SIZE).counts


def test_an_ignored_shape_may_lie_anywhere():
    assert clean([square("ink", 1000, 1000, 5)], LABELS, SIZE).counts["ignored:ink"] == 1


def test_the_offset_is_added_to_every_coordinate():
    found = clean([square("tumour", -30, -20, 10)], LABELS, SIZE, offset=(40.5, 20.25))
    assert found.regions[0].geometry.bounds == (10.5, 0.25, 20.5, 10.25)


def test_classes_paint_in_their_order_and_then_as_drawn():
    # Side by side or overlapping, none inside another.
    assert order_of(
        square("hole", 0, 0, 10),
        square("tumour", 5, 5, 10),
        square("stroma", 8, 8, 10),
        square("tumour", 9, 9, 11),
    ) == [2, 1, 3, 0]


def test_a_nested_shape_comes_after_its_container_whatever_its_class():
    assert order_of(square("stroma", 2, 2, 3), square("tumour", 0, 0, 10)) == [1, 0]


def test_island_in_hole_in_island_paints_from_the_outside_in():
    shapes = [
        square(group, i, i, 40 - 2 * i)
        for i, group in enumerate(("tumour", "hole", "stroma", "hole", "tumour"))
    ]
    assert order_of(*shapes) == [0, 1, 2, 3, 4]
    assert order_of(*shapes[::-1]) == [4, 3, 2, 1, 0]


def test_two_shapes_of_one_outline_paint_in_the_order_of_their_classes():
    assert order_of(square("tumour", 0, 0, 9), square("stroma", 0, 0, 9)) == [1, 0]


def boxes():
    side = st.integers(1, 12)
    return st.lists(
        st.tuples(st.sampled_from(["stroma", "tumour", "hole"]), side, side, side), min_size=1, max_size=14
    )


@settings(max_examples=150, deadline=None)
@given(boxes())
def test_every_container_is_painted_before_what_it_contains_and_nothing_is_lost(drawn):
    shapes = [square(*one, index=i) for i, one in enumerate(drawn)]
    regions = clean(shapes, LABELS, SIZE).painted
    assert sorted(one.index for one in regions) == list(range(len(drawn)))
    assert [one.order for one in regions] == list(range(len(drawn)))
    ranks = {"stroma": 0, "tumour": 1, "hole": 2}
    for early, one in enumerate(regions):
        for late in regions[early + 1 :]:
            assert not (late.geometry.covers(one.geometry) and late.geometry.area > one.geometry.area)
    free = [
        one for one in regions if not any(o.geometry.covers(one.geometry) and o is not one for o in regions)
    ]
    assert free == sorted(free, key=lambda one: (ranks[one.group], one.index))


def test_twenty_thousand_shapes_in_one_are_sorted_in_seconds():
    shapes = [square("stroma", 0, 0, 5000, 0)]
    for index in range(1, 20_001):
        shapes.append(square("tumour", index % 200 * 20 + 3, index // 200 * 20 + 3, 9, index))
    start = time.perf_counter()
    found = clean(shapes, LABELS, (5000, 5000))
    assert time.perf_counter() - start < 15
    assert [one.index for one in found.painted] == list(range(20_001))


def test_geojson_gives_everything_back_exactly(tmp_path):
    third = 1 / 3
    shapes = [
        Shape(
            "a",
            "polygon",
            ("tumour",),
            ((0.1, third), (30.7, 0.0), (30, 30)),
            (((20.0, 5.0), (25, 6), (24, 9)),),
            0,
        ),
        polygon("hole", [(1e-7, 0), (10, 10), (10, 0), (0, 10 + third)], 1),
        square("roi", 0.123456789012345, 0, 40, 2),
        square("ink", 3, 3, 3, 3),
    ]
    cleaned = clean(shapes, LABELS, SIZE)
    to_geojson(cleaned, tmp_path / "c.geojson", LABELS)
    assert from_geojson(tmp_path / "c.geojson") == cleaned
    written = json.loads((tmp_path / "c.geojson").read_text())
    assert [one["properties"]["classification"]["name"] for one in written["features"]] == [
        "roi",
        "tumour",
        "hole",
    ]
    assert written["features"][1]["properties"]["classification"]["color"] == [255, 0, 0]
    assert [one["geometry"]["type"] for one in written["features"]] == ["Polygon", "Polygon", "MultiPolygon"]


def test_no_regions_are_a_file_too(tmp_path):
    cleaned = clean([], LABELS, SIZE)
    to_geojson(cleaned, tmp_path / "c.geojson", LABELS)
    assert from_geojson(tmp_path / "c.geojson") == cleaned


def test_other_geojson_is_not_taken_for_cleaned_annotations(tmp_path):
    (tmp_path / "q.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(AnnotationError, match=r"q\.geojson: lacks 'offset'; wanted GeoJSON of cleaned"):
        from_geojson(tmp_path / "q.geojson")


def winding(ring, x, y):
    """How often a closed ring goes around each point."""
    (x1, y1), (x2, y2) = np.transpose(ring), np.transpose(np.roll(ring, -1, axis=0))
    x, y = x[:, None], y[:, None]
    left = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
    return ((y1 <= y) & (y2 > y) & (left > 0)).sum(1) - ((y1 > y) & (y2 <= y) & (left < 0)).sum(1)


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([(0, 1), (6, 1), (0, 1), (0, 0), (6, 1)], 3.0),
        ([(1, 1), (2, 1), (1, 1), (2, 2), (0, 0), (2, 1), (1, 1)], 0.5),
        ([(0, 0), (2, 1), (0, 0), (2, 1), (0, 0), (1, 1), (2, 1)], 0.5),
        ([(1, 1), (2, 2), (1, 1), (0, 1), (1, 0), (2, 2)], 1.0),
    ],
)
def test_a_shape_that_begins_there_and_back_keeps_its_area(points, area):
    # Of 28,000 small random shapes that intersect themselves GEOS gave these back empty.
    (found,) = clean([polygon("tumour", points)], LABELS, SIZE).regions
    assert found.geometry.area == area


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=12), st.integers(0, 99)
)
def test_a_repaired_shape_is_filled_wherever_its_outline_winds(points, seed):
    found = clean([polygon("tumour", points)], LABELS, SIZE).regions
    x, y = np.random.default_rng(seed).uniform(0, 60, (2, 300))
    inside = shapely.contains_xy(found[0].geometry, x, y) if found else np.zeros(300, dtype=bool)
    np.testing.assert_array_equal(inside, winding(np.array(points, dtype=float), x, y) != 0)


def test_real_lesions_are_repaired_to_non_zero_fill():
    folder = SHARED / "data" / "annotations" / "camelyon"
    if not folder.is_dir():
        pytest.skip(f"no real annotations at {folder.name}")
    labels = LabelMap((LabelClass("metastasis", 1, "#ff0000", ("metastasis",), 0),))
    shapes = read_annotations(folder / "tumor_044.xml")
    found = clean(shapes, labels, (97_792, 221_184))
    assert found.counts == {"shapes": 13, "repaired": 4, "regions": 13}
    with pytest.raises(AnnotationError, match=r"shape 1 '_0' spans x .* of a slide of 5000 x 5000"):
        clean(shapes, labels, (5000, 5000))
    random = np.random.default_rng(0)
    for one in found.regions:
        left, top, right, bottom = one.geometry.bounds
        x, y = random.uniform(left, right, 300), random.uniform(top, bottom, 300)
        winds = winding(np.array(shapes[one.index].points), x, y) != 0
        np.testing.assert_array_equal(shapely.contains_xy(one.geometry, x, y), winds)


def test_written_coordinates_count_from_where_those_of_the_file_did(tmp_path):
    """QuPath counts from the bounds of a slide: shown on it, the shapes must not be shifted by them."""
    map_ = LabelMap((LabelClass("a", 1, "#ff0000", ("a",), 0),))
    square = Shape("s", "polygon", ("a",), ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)), (), 0)
    cleaned = clean([square], map_, (100, 100), offset=(5.0, 7.0))
    to_geojson(cleaned, tmp_path / "a.geojson", map_)
    shown = json.loads((tmp_path / "a.geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
    assert sorted(map(tuple, shown))[0] == (0.0, 0.0)
    again = from_geojson(tmp_path / "a.geojson")
    assert again.offset == (5.0, 7.0)
    assert again.regions[0].geometry.bounds == cleaned.regions[0].geometry.bounds == (5.0, 7.0, 9.0, 11.0)
