"""Annotation files, read and cleaned: whatever they hold is shapes, or an AnnotationError of one line."""

import json
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import quoteattr

from fuzzing import fuzz
from hypothesis import strategies as st
from made_cohort import GLAND, STROMA, annotation, asap, polygon
from mutations import EDITS, edited_bytes, edited_tree

from hooknet.errors import AnnotationError
from hooknet.groundtruth.geometries import clean
from hooknet.io.asap import read_asap
from hooknet.io.geojson import read_features, read_geojson
from hooknet.labels import LabelClass, LabelMap

SIZE = 220, 180
LABELS = LabelMap(
    (
        LabelClass("stroma", 1, "#e5989b", ("stroma",), 0, ()),
        LabelClass("gland", 2, "#1b6f66", ("gland", "Gland"), 1, ()),
    ),
    ("hole",), 2, ("None", "other"), (), 0,
)  # fmt: skip
BOW = [(0, 0), (100, 100), (100, 0), (0, 100)]
SHAPES = "".join(
    annotation(group, points, f"{kind} ü", kind)
    for group, points, kind in (
        ("gland", BOW, "Polygon"), ("hole", BOW[:3], "Spline"), ("stroma", [(5, 5), (90, 170)], "Rectangle"),
        ("None", [(3, 3)], "Dot"), ("other", BOW, "PointSet"), ("other", BOW[:2], "Measurement"),
        ("in", BOW, "Polygon"),
    )
)  # fmt: skip
GROUPS = "<AnnotationGroups>" + "".join(
    f'<Group Name="{name}" PartOfGroup="{of}" Color="#f00"><Attributes/></Group>'
    for name, of in (
        ("stroma", "None"),
        ("in", "stroma"),
        ("gland", "None"),
        ("hole", "None"),
        ("other", "None"),
    )
)
ASAP = (
    asap(polygon("stroma", STROMA), polygon("gland", GLAND)),
    asap(polygon("stroma", STROMA), SHAPES).replace("<AnnotationGroups/>", GROUPS + "</AnnotationGroups>"),
)
RING = [[20, 20], [100, 20], [100, 160], [20, 160], [20, 20]]
HOLE = [[30.5, 30], [40, 30], [40, 40], [30.5, 30]]


def feature(kind, coordinates, classification="stroma", **properties):
    named = {"name": classification, "color": [1, 2, 3]}
    return {
        "type": "Feature", "id": "PathAnnotationObject", "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", "name": "a", "classification": named, **properties},
    }  # fmt: skip


GEOJSON = (
    {
        "type": "FeatureCollection",
        "hooknet": {"offset": [0.0, 0.0]},
        "features": [
            feature("Polygon", [RING, HOLE], hooknet={"value": 1}),
            feature("MultiPolygon", [[RING], [HOLE]], "Gland: Positive"),
            feature("MultiPoint", [[1, 2], [3, 4]], "other"),
            feature("LineString", RING, "None"),
            {**feature("Point", [3, 3]), "properties": {"classification": {"names": ["gland", "x"]}}},
        ],
    },
    [
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [RING]}]},
        feature("Polygon", [RING]),
    ],
)  # fmt: skip


def told(element):
    return {"tag": element.tag, "attrib": dict(element.attrib), "below": [told(one) for one in element]}


def markup(tree):
    """A tree of tags as text, whatever became of it."""
    if not isinstance(tree, dict):
        return str(tree)[:6000]
    below, attributes = tree.get("below"), tree.get("attrib")
    named = attributes.items() if isinstance(attributes, dict) else ()
    cells = "".join(f" {key}={quoteattr(str(value))}" for key, value in named)
    if not isinstance(below, list):
        below = [] if below is None else [below]
    inner = "".join(map(markup, below))
    return f"<{tree.get('tag')}{cells}>{inner}</{tree.get('tag')}>"


def packed(text):
    return text.encode("utf-8", "surrogatepass")


TREES = [told(fromstring(one)) for one in ASAP]
WHICH = st.integers(0, 1)
CODES = st.sampled_from(["utf-8", "utf-16", "latin-1", "utf-7", "utf-32", "cp037"])


def xml_of_bytes(which, edits):
    return edited_bytes(packed(ASAP[which]), edits, packed(ASAP[1 - which]))


def xml_of_tree(which, edits):
    return packed(markup(edited_tree(TREES[which], edits, TREES[1 - which])))


def xml_of_code(which, edits, code):
    text = ASAP[which].replace("?>", f' encoding="{code}"?>', 1)
    return edited_bytes(text.encode(code, "replace"), edits)


def json_of_bytes(which, edits):
    return edited_bytes(TEXTS[which], edits, TEXTS[1 - which])


def json_of_tree(which, edits):
    return packed(json.dumps(edited_tree(GEOJSON[which], edits, GEOJSON[1 - which])))


XML = st.one_of(
    st.builds(xml_of_bytes, WHICH, EDITS),
    st.builds(xml_of_tree, WHICH, EDITS),
    st.builds(xml_of_code, WHICH, EDITS, CODES),
)
TEXTS = [packed(json.dumps(one)) for one in GEOJSON]
JSON = st.one_of(st.builds(json_of_bytes, WHICH, EDITS), st.builds(json_of_tree, WHICH, EDITS))


def test_asap(tmp_path):
    path = tmp_path / "a.xml"

    def read(content):
        path.write_bytes(content)
        clean(read_asap(path), LABELS, SIZE)

    fuzz("ASAP", XML, 1000, read, AnnotationError)


def test_geojson(tmp_path):
    path = tmp_path / "a.geojson"

    def read(content):
        path.write_bytes(content)
        read_features(path)
        clean(read_geojson(path), LABELS, SIZE)

    fuzz("GeoJSON", JSON, 1000, read, AnnotationError)
