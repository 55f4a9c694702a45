"""Annotation files that are malformed, hostile, of another slide, or too much."""

import json
import re
from functools import partial
from pathlib import Path

import made_cohort
import numpy as np
import pytest
from hostile_cases import Case, refused
from made_cohort import GLAND, SLIDES, STROMA, annotation, asap, hooknet, polygon, step

from hooknet.config.project import load_project
from hooknet.groundtruth.geometries import clean
from hooknet.io.annotations import read_annotations

READ, PAINT = step("read-annotations"), step("rasterise")
READ_JSON = ["c.geojson" if one == "c.xml" else one for one in READ]
GOOD = polygon("stroma", STROMA)
UNSAFE = "c.xml: found a document type or entities, wanted plain ASAP XML: refused as unsafe"
FIRST = "c.xml: annotation 'a' (1 of 1): "
NOTHING = (
    "found no region of any class, wanted one at least; annotate slide 'c', or leave its annotation empty"
)
SQUARE = [[20, 20], [100, 20], [100, 160], [20, 160], [20, 20]]
OWN = SLIDES / "c" / "labels.geojson"
NOT_OURS = f"{OWN}: lacks {{}}; wanted GeoJSON of cleaned annotations as this package writes it"
LAUGHS = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
FAR = "wanted level-0 px, at most 2147483648; correct the point or draw the shape again"


def xml(content, encoding="utf-8"):
    Path("c.xml").write_bytes(content if isinstance(content, bytes) else content.encode(encoding))


def ring(points, kind="Polygon"):
    xml(asap(annotation("stroma", points, kind=kind)))


def declared(encoding, name="a"):
    xml(asap(polygon("stroma", STROMA, name)).replace("?>", f' encoding="{encoding}"?>', 1))


def geojson(content):
    Path("c.geojson").write_text(content if isinstance(content, str) else json.dumps(content))


def feature(points=SQUARE, **properties):
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [points]},
        "properties": {"classification": {"name": "stroma"}, **properties},
    }


def own(change):
    """Change what read-annotations wrote."""
    content = json.loads(OWN.read_text())
    change(content)
    OWN.write_text(json.dumps(content))


def own_first(**changes):
    own(lambda content: content["features"][0]["properties"]["hooknet"].update(changes))


def tangle(count):
    """A ring of random points: every side crosses about a quarter of the others."""
    ring((np.random.default_rng(0).random((count, 2)) * 150).tolist())


def grouped(*groups):
    rows = "".join(f'<Group Name="{name}" PartOfGroup="{of}"/>' for name, of in groups)
    xml(asap(GOOD).replace("<AnnotationGroups/>", f"<AnnotationGroups>{rows}</AnnotationGroups>"))


CASES = [
    Case("no such file", lambda: Path("c.xml").unlink(), READ, "c.xml: no such file, wanted ASAP XML or QuPath GeoJSON"),
    Case("no bytes", partial(xml, b""), READ, "c.xml: the file is empty, wanted ASAP XML or QuPath GeoJSON"),
    Case("bytes that are no text", partial(xml, b"\x8f\x00\xff<"), READ, re.compile(r"c\.xml: .+")),
    Case("cut short", lambda: xml(asap(GOOD)[:200]), READ, re.compile(r"c\.xml: malformed XML \(.+\)")),
    Case("another XML", partial(xml, "<html/>"), READ,
         "c.xml: found root <html>, wanted <ASAP_Annotations>: not an ASAP file"),
    Case("an external entity",
         partial(xml, '<!DOCTYPE l [<!ENTITY e SYSTEM "file:///etc/passwd">]><ASAP_Annotations>&e;</ASAP_Annotations>'),
         READ, UNSAFE),
    Case("a document type elsewhere", partial(xml, '<!DOCTYPE l SYSTEM "http://127.0.0.1/x.dtd"><ASAP_Annotations/>'),
         READ, UNSAFE),
    Case("billion laughs", partial(xml, f'<!DOCTYPE l [<!ENTITY a0 "ha">{LAUGHS}]><ASAP_Annotations>&a9;</ASAP_Annotations>'),
         READ, UNSAFE),
    Case("200,000 elements deep", lambda: xml("<ASAP_Annotations>" + "<a>" * 200_000 + "</a>" * 200_000 + "</ASAP_Annotations>"),
         READ, f"c.xml: {NOTHING}"),
    Case("Latin-1 that says nothing", lambda: xml(asap(GOOD).replace("stroma", "strö"), "latin-1"), READ,
         re.compile(r"c\.xml: not text in utf-8 \(.+\)")),
    Case("an unknown encoding", partial(declared, "klingon"), READ, re.compile(r"c\.xml: not text in klingon \(.+\)")),
    Case("an encoding that is none", partial(declared, "undefined"), READ, re.compile(r"c\.xml: not text in undefined \(.+\)")),
    Case("punycode", partial(declared, "punycode"), READ, re.compile(r"c\.xml: not text in punycode \(.+\)")),
    Case("half a character", partial(declared, "unicode_escape", "\\ud800"), READ,
         re.compile(r"c\.xml: not text in unicode_escape \(.+\)")),
    Case("a packed encoding", partial(declared, "zip"), READ, re.compile(r"c\.xml: not text in zip \(.+\)")),
    Case("a NUL in a name", lambda: xml(asap(GOOD).replace("stroma", "str\0ma")), READ, re.compile(r"c\.xml: malformed XML \(.+\)")),
    Case("coordinate nan", partial(ring, [("nan", 0), (5, 5), (5, 0)]), READ,
         f"{FIRST}found X 'nan' at Order 0, wanted a finite number"),
    Case("coordinate 1e999", partial(ring, [(0, "1e999"), (5, 5), (5, 0)]), READ,
         f"{FIRST}found Y '1e999' at Order 0, wanted a finite number"),
    Case("coordinate 1e19, of which no px would be left", partial(ring, [(10, 10), (1e19, 10), (10, 100)]), READ,
         f"{FIRST}found X 1e+19, Y 10 at Order 1, {FAR}"),
    Case("coordinates 1e308", partial(ring, [(1e308, 0), (-1e308, 5), (5, 1e308)]), READ,
         f"{FIRST}found X 1e+308, Y 0 at Order 0, {FAR}"),
    Case("two points", partial(ring, [(0, 0), (9, 9)]), READ, f"{FIRST}found 2 points, wanted at least 3 for a Polygon"),
    Case("a line back and forth", partial(ring, [(0, 0), (9, 9), (0, 0), (9, 9)]), READ, f"c.xml: {NOTHING}"),
    Case("50,000 times one point", partial(ring, [(5, 5)] * 50_000), READ, f"c.xml: {NOTHING}"),
    Case("a ring of 4,000 random points", partial(tangle, 4_000), READ,
         re.compile(r"c\.xml: shape 1 'a' crosses itself about \de\+06 times, wanted at most 200000; draw it again")),
    Case("a ring of 50,000 random points", partial(tangle, 50_000), READ,
         re.compile(r"c\.xml: shape 1 'a' crosses itself about \de\+08 times, wanted at most 200000; draw it again")),
    Case("an unknown type", lambda: xml(asap(GOOD).replace('"Polygon"', '"Blob"')), READ,
         f"{FIRST}found Type 'Blob', wanted one of Polygon, Spline, Rectangle, Dot, PointSet, Measurement, None"),
    Case("a point missing", lambda: xml(asap(GOOD).replace('Order="1"', 'Order="7"')), READ,
         f"{FIRST}found Order 0 and then 2, wanted 1: a point is missing"),
    Case("a point twice", lambda: xml(asap(GOOD).replace('Order="1"', 'Order="0"')), READ,
         f"{FIRST}found Order 0 twice, wanted every point to have its own"),
    Case("an Order of 5,000 digits is told in a line that can be read",
         lambda: xml(asap(GOOD).replace('Order="1"', f'Order="{"9" * 5000}"')), READ,
         re.compile(r"c\.xml: annotation 'a' \(1 of 1\): found Order '9{900,} … 9+', wanted a whole number")),
    Case("groups in a circle", partial(grouped, ("stroma", "b"), ("b", "stroma")), READ,
         "c.xml: groups contain themselves: 'stroma' in 'b' in 'stroma'; wanted a tree"),
    Case("a group twice", partial(grouped, ("stroma", "a"), ("stroma", "b")), READ,
         "c.xml: group 'stroma' is part of 'a' and of 'b'"),
    Case("an unknown group", lambda: xml(asap(GOOD.replace("stroma", "Stroma "))), READ,
         "c.xml: unknown annotation groups 'Stroma ' (1 shape, perhaps 'stroma'); the label map knows 'stroma', 'gland'; "
         "give them to a class or list them in ignore_groups"),
    Case("a line break in a group", lambda: xml(asap(GOOD.replace("stroma", "a&#10;b"))), READ,
         "c.xml: unknown annotation groups 'a\\nb' (1 shape); the label map knows 'stroma', 'gland'; "
         "give them to a class or list them in ignore_groups"),
    Case("another slide's", partial(ring, [(5000, 5000), (6000, 5000), (6000, 6000)]), READ,
         "c.xml: shape 1 'a' spans x 5000 to 6000, y 5000 to 6000, wanted level-0 px of a slide of 220 x 180; "
         "another slide's annotations, or the wrong origin or units?"),
    Case("no shape at all", lambda: xml(asap()), READ, f"c.xml: {NOTHING}"),
    Case("GeoJSON cut short", lambda: geojson(json.dumps(feature())[:60]), READ_JSON,
         re.compile(r"c\.geojson: malformed JSON \(.+\)")),
    Case("100,000 lists deep", lambda: geojson("[" * 100_000), READ_JSON, re.compile(r"c\.geojson: malformed JSON \(.+\)")),
    Case("a number of 5,000 digits", lambda: geojson(json.dumps(feature()).replace("100", "1" * 5000)), READ_JSON,
         re.compile(r"c\.geojson: malformed JSON \(.+\)")),
    Case("GeoJSON nan", lambda: geojson(feature([[float("nan"), 1], *SQUARE])), READ_JSON,
         "c.geojson: feature 1: found coordinates [nan, 1], wanted two finite numbers"),
    Case("GeoJSON 1e300", lambda: geojson(feature([[1e300, 1], *SQUARE])), READ_JSON,
         f"c.geojson: feature 1: found coordinates 1e+300, 1, {FAR}"),
    Case("true for a coordinate", lambda: geojson(feature([[True, 1], *SQUARE])), READ_JSON,
         "c.geojson: feature 1: found coordinates [True, 1], wanted two finite numbers"),
    Case("names that are a number", lambda: geojson(feature(classification={"names": 5})), READ_JSON,
         "c.geojson: feature 1: found classification names '5', wanted a list of names"),
    Case("no geometry", lambda: geojson({**feature(), "geometry": None}), READ_JSON,
         "c.geojson: feature 1: found no geometry, wanted one for every feature"),
    Case("a mapping for the type of a geometry", lambda: geojson({**feature(), "geometry": {"type": {"a": 1}, "coordinates": []}}),
         READ_JSON, "c.geojson: feature 1: found geometry \"{'a': 1}\", wanted Polygon, MultiPolygon, points or lines"),
    Case("a number for a file", partial(geojson, "5"), READ_JSON,
         "c.geojson: starts with '5', wanted ASAP XML (<) or QuPath GeoJSON ({ or [)"),
    Case("cleaned: cut short", lambda: OWN.write_text(OWN.read_text()[:200]), PAINT,
         re.compile(rf"{re.escape(str(OWN))}: malformed JSON \(.+\)")),
    Case("cleaned: value 300", partial(own_first, value=300), PAINT, NOT_OURS.format("a class in value 300")),
    Case("cleaned: value -1", partial(own_first, value=-1), PAINT, NOT_OURS.format("a class in value -1")),
    Case("cleaned: a class that is not there", partial(own_first, value=7), PAINT,
         f"{SLIDES}/c/labels.tif: found value 7, wanted at most 2"),
    Case("cleaned: offset nan", lambda: own(lambda content: content["hooknet"].update(offset=[float("nan"), 0])), PAINT,
         NOT_OURS.format("a finite offset in (nan, 0.0)")),
    Case("cleaned: a line",
         lambda: own(lambda content: content["features"][0]["geometry"].update(type="LineString", coordinates=SQUARE)),
         PAINT, NOT_OURS.format("a polygon in every feature")),
    Case("cleaned: nobody's", lambda: OWN.write_text(json.dumps(feature())), PAINT, NOT_OURS.format("'offset'")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_annotations_are_refused(cohort, case):
    refused(case)


def painted():
    """Px of stroma and gland after both steps."""
    for command in (READ, PAINT):
        outcome = hooknet(*command)
        assert outcome.status == 0, outcome
    pixels = json.loads((SLIDES / "c" / "labels.json").read_text())["pixels"]
    return pixels["stroma"], pixels["gland"]


BOTH = GOOD + polygon("gland", GLAND)
CIRCLE = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
# What is odd, the annotations, and the px of stroma and gland that come of it; a box has 80 x 140.
LEGAL = [
    ("duplicate names", BOTH, (11_200, 11_200)),
    ("the same shape twice", BOTH + BOTH, (11_200, 11_200)),
    ("a point repeated", annotation("stroma", [(20, 20), (20, 20), (100, 20), (100, 160), (20, 160)]), (11_200, 0)),
    ("partly outside", polygon("stroma", (-100, -100, 20, 10)), (200, 0)),
    ("reaching 10^9 px far", polygon("stroma", (20, 20, 1_000_000_000, 160)), (28_000, 0)),
    ("a bow tie", annotation("stroma", [(0, 0), (100, 100), (100, 0), (0, 100)]), (5_000, 0)),
    ("50,000 vertices", annotation("stroma", [(110 + 50 * x, 90 + 50 * y) for x, y in zip(np.cos(CIRCLE), np.sin(CIRCLE), strict=True)]),
     (7_860, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "pixels"), [one[1:] for one in LEGAL], ids=[one[0] for one in LEGAL])
def test_odd_annotations_work(cohort, shapes, pixels):
    xml(asap(shapes))
    found = painted()
    assert abs(found[0] - pixels[0]) <= (20 if pixels[0] == 7_860 else 0)
    assert found[1] == pixels[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_any_utf_is_read(cohort, encoding):
    xml(asap(BOTH), encoding)
    assert painted() == (11_200, 11_200)


def test_hole_that_lies_outside_its_shape_is_no_region(cohort):
    """GEOS would make one of it."""
    one = feature()
    one["geometry"]["coordinates"].append([[150, 50], [160, 50], [160, 60], [150, 60]])
    geojson(one)
    label_map = load_project("datasets.yaml", "experiments.yaml").dataset("colon").label_map
    size = made_cohort.WIDTH, made_cohort.HEIGHT
    (region,) = clean(read_annotations("c.geojson"), label_map, size).regions
    assert region.geometry.area == 80 * 140
