from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.errors import AnnotationError
from hooknet.io.asap import read_asap

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
TRIANGLE = ((1, 2), (5, 2), (3, 7))


def coordinates(points):
    return "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(points))


def annotation(points=TRIANGLE, kind="Polygon", group="tumour", name="A", inner=None):
    inner = coordinates(points) if inner is None else inner
    return (
        f'<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}" Color="#fff">'
        f"<Coordinates>{inner}</Coordinates></Annotation>"
    )


def document(*annotations, groups="<AnnotationGroups/>"):
    return f"<ASAP_Annotations><Annotations>{''.join(annotations)}</Annotations>{groups}</ASAP_Annotations>"


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "a.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_asap(path)


def refused(tmp_path, text, *parts):
    with pytest.raises(AnnotationError) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{tmp_path / 'a.xml'}: ")
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("Polygon", "polygon"),
        ("Spline", "polygon"),
        ("Dot", "point"),
        ("PointSet", "point"),
        ("Measurement", "line"),
        ("None", "none"),
    ],
)
def test_each_type_of_asap_has_its_kind(tmp_path, kind, found):
    (shape,) = read(tmp_path, document(annotation(kind=kind)))
    assert (shape.kind, shape.points, shape.name, shape.groups, shape.index) == (
        found, ((1.0, 2.0), (5.0, 2.0), (3.0, 7.0)), "A", ("tumour",), 0,
    )  # fmt: skip
    assert shape.holes == ()


def test_a_rectangle_has_four_corners_or_two_opposite_ones(tmp_path):
    corners = ((1, 2), (5, 2), (5, 9), (1, 9))
    four, two = read(
        tmp_path, document(annotation(corners, "Rectangle"), annotation(((1, 2), (5, 9)), "Rectangle"))
    )
    assert four.points == two.points == corners
    refused(
        tmp_path,
        document(annotation(TRIANGLE, "Rectangle")),
        "annotation 'A' (1 of 1): found 3 points, wanted the 4",
    )


def test_points_stand_where_their_order_says(tmp_path):
    inner = '<Coordinate Order="2" X="3" Y="7"/><Coordinate X="1" Y="2" Order="0"/><Coordinate Order="1" X="5" Y="2"/>'
    assert read(tmp_path, document(annotation(inner=inner)))[0].points == TRIANGLE


@given(st.permutations(range(12)))
def test_shuffled_orders_change_nothing(tmp_path_factory, permutation):
    points = [(i * 1.25, i * i / 7) for i in range(12)]
    inner = "".join(
        f'<Coordinate Order="{i}" X="{points[i][0]!r}" Y="{points[i][1]!r}"/>' for i in permutation
    )
    (shape,) = read(tmp_path_factory.mktemp("order"), document(annotation(inner=inner)))
    assert shape.points == tuple(points)


def test_the_last_point_may_repeat_the_first(tmp_path):
    assert read(tmp_path, document(annotation((*TRIANGLE, TRIANGLE[0]))))[0].points == TRIANGLE


def test_groups_are_followed_up_to_the_top(tmp_path):
    groups = (
        '<AnnotationGroups><Group Name="gland" PartOfGroup="epithelium"/>'
        '<Group Name="epithelium" PartOfGroup="tissue"/>'
        '<Group Name="tissue" PartOfGroup="None"/></AnnotationGroups>'
    )
    shapes = read(
        tmp_path,
        document(
            annotation(group="gland"), annotation(group="None"), annotation(group="other"), groups=groups
        ),
    )
    assert [one.groups for one in shapes] == [("gland", "epithelium", "tissue"), ("None",), ("other",)]
    assert [one.index for one in shapes] == [0, 1, 2]
    no_group = document(annotation().replace(' PartOfGroup="tumour"', ""))
    assert read(tmp_path, no_group)[0].groups == ("None",)


def test_groups_that_contain_themselves_are_refused(tmp_path):
    groups = '<AnnotationGroups><Group Name="a" PartOfGroup="b"/><Group Name="b" PartOfGroup="a"/></AnnotationGroups>'
    refused(tmp_path, document(groups=groups), "groups contain themselves: 'a' in 'b' in 'a'")
    groups = '<AnnotationGroups><Group Name="a" PartOfGroup="a"/></AnnotationGroups>'
    refused(tmp_path, document(groups=groups), "'a' in 'a'")
    groups = '<AnnotationGroups><Group Name="a" PartOfGroup="b"/><Group Name="a" PartOfGroup="c"/></AnnotationGroups>'
    refused(tmp_path, document(groups=groups), "group 'a' is part of 'b' and of 'c'")
    refused(
        tmp_path, document(groups="<AnnotationGroups><Group/></AnnotationGroups>"), "a group without Name"
    )


HEADER = '<?xml version="1.0" encoding="{}"?>\n'


@pytest.mark.parametrize(
    "content",
    [
        document(annotation(name="é")).encode(),
        b"\xef\xbb\xbf" + (HEADER.format("utf-8") + document(annotation(name="é"))).encode(),
        (HEADER.format("UTF-16") + document(annotation(name="é"))).encode("utf-16"),
        (HEADER.format("UTF-16") + document(annotation(name="é"))).encode("utf-16-be"),
        (HEADER.format("UTF-16") + document(annotation(name="é"))).encode("utf-16-le"),
        (HEADER.format("ISO-8859-1") + document(annotation(name="é"))).encode("latin-1"),
        f"<Annotations>{annotation(name='é')}</Annotations>".encode(),
        (
            HEADER.format("utf-8") + f"<Annotations>{annotation(name='é')}</Annotations><AnnotationGroups/>"
        ).encode(),
        f"{annotation(name='é')}{annotation(name='b')}".encode(),
    ],
)
def test_encodings_and_missing_roots_are_understood(tmp_path, content):
    shape = read(tmp_path, content)[0]
    assert (shape.name, shape.points) == ("é", TRIANGLE)


def test_commas_are_decimal_points(tmp_path):
    points = (("1,5", "2,25"), ("5", "-2"), ("1e1", "7.5"))
    assert read(tmp_path, document(annotation(points)))[0].points == ((1.5, 2.25), (5.0, -2.0), (10.0, 7.5))


@pytest.mark.parametrize(
    "text", [document(), "<ASAP_Annotations/>", "<Annotations/>", "<a><Annotations/></a>"]
)
def test_a_file_without_annotations_is_an_empty_list(tmp_path, text):
    assert read(tmp_path, text) == ()


def test_other_files_are_refused(tmp_path):
    refused(tmp_path, "<html/>", "found root <html>, wanted <ASAP_Annotations>")
    refused(tmp_path, "<ASAP_Annotations><Annotations>", "malformed XML")
    refused(tmp_path, "  \n", "the file is empty")
    refused(
        tmp_path,
        "<Annotations><Annotation Id='1'><Regions/></Annotation></Annotations>",
        "found no Type, wanted",
    )
    refused(tmp_path, b"<Annotations Name='\xff'/>", "not text in utf-8")
    refused(tmp_path, HEADER.format("klingon") + "<Annotations/>", "not text in klingon")
    with pytest.raises(AnnotationError, match=r"none\.xml: no such file"):
        read_asap(tmp_path / "none.xml")


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        (coordinates(TRIANGLE[:2]), "found 2 points, wanted at least 3 for a Polygon"),
        (coordinates((*TRIANGLE[:2], TRIANGLE[0])), "found 2 points"),
        ("", "found 0 points"),
        ('<Coordinate Order="0" X="1" Y="1"/>' * 2, "found Order 0 twice"),
        ('<Coordinate X="1" Y="1"/>', "found a point without Order"),
        ('<Coordinate Order="0" Y="1"/>', "found a point without X"),
        ('<Coordinate Order="one" X="1" Y="1"/>', "found Order 'one', wanted a whole number"),
        (
            '<Coordinate Order="0" X="1" Y="1"/><Coordinate Order="2" X="1" Y="1"/>',
            "found Order 0 and then 2, wanted 1",
        ),
        ('<Coordinate Order="0" X="nan" Y="1"/>', "found X 'nan' at Order 0, wanted a finite number"),
        ('<Coordinate Order="0" X="1" Y="-inf"/>', "found Y '-inf'"),
        ('<Coordinate Order="0" X="1e999" Y="1"/>', "found X '1e999'"),
        ('<Coordinate Order="0" X="1.234,5" Y="1"/>', "found X '1.234,5'"),
        ('<Coordinate Order="0" X="1_0" Y="1"/>', "found X '1_0'"),
        ('<Coordinate Order="0" X="" Y="1"/>', "found X ''"),
    ],
)
def test_broken_points_are_refused_with_their_annotation(tmp_path, inner, problem):
    text = document(annotation(), annotation(inner=inner, name="B 2"))
    refused(tmp_path, text, "annotation 'B 2' (2 of 2): " + problem)


def test_unknown_types_and_empty_dots_are_refused(tmp_path):
    refused(
        tmp_path, document(annotation(kind="Ellipse")), "found Type 'Ellipse', wanted one of Polygon, Spline"
    )
    refused(tmp_path, document(annotation((), "Dot")), "found no point, wanted at least 1 for a Dot")


def test_xml_bombs_and_outside_entities_are_refused(tmp_path):
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY l0 "lol">{laughs}]><Annotations>&l9;</Annotations>'
    refused(tmp_path, bomb, "found a document type or entities", "unsafe")
    (tmp_path / "secret").write_text("secret")
    outside = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><Annotations>&x;</Annotations>'
    refused(tmp_path, outside, "found a document type or entities")
    refused(tmp_path, outside + "<AnnotationGroups/>", "found a document type or entities")


def test_real_files_are_read(tmp_path):
    folder = SHARED / "data" / "annotations"
    if not folder.is_dir():
        pytest.skip(f"no real annotations at {folder.name}")
    found = {
        path.name: read_asap(path) for path in [*folder.glob("asap/*.xml"), *folder.glob("camelyon/*.xml")]
    }
    assert {name: len(shapes) for name, shapes in found.items()} == {
        "CMU-1-Small-Region.xml": 12,
        "CMU-1_classification.xml": 5,
        "CMU-1_segmentation.xml": 4,
        "asap-dot.xml": 1,
        "asap-pointset.xml": 1,
        "asap-polygon.xml": 1,
        "asap_healthy_glands.xml": 1,
        "tumor_044.xml": 13,
        "tumor_076.xml": 39,
    }
    small = found["CMU-1-Small-Region.xml"]
    assert [one.groups for one in small if one.kind == "point"] == [("None",), ("None",)]
    assert sum(one.groups == ("epithelium", "tissue") for one in small) == 5
    assert found["tumor_044.xml"][0].points[0] == (68915.6016, 134960.0)
