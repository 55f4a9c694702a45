import json
from pathlib import Path

import pytest
from made_cohort import GLAND, SLIDES, STROMA, annotation, asap, hooknet, polygon, refuse, step

OUTPUT = SLIDES / "c" / "labels.geojson"
BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<ASAP_Annotations><Annotations><Annotation Name="&c;"/></Annotations></ASAP_Annotations>
"""


@pytest.fixture(autouse=True)
def unread(cohort):
    OUTPUT.unlink()


def test_annotations_become_geojson_in_painting_order():
    assert hooknet(*step("read-annotations")).status == 0
    features = json.loads(OUTPUT.read_text())["features"]
    assert [one["properties"]["classification"]["name"] for one in features] == ["stroma", "gland"]
    assert [one["geometry"]["type"] for one in features] == ["Polygon", "Polygon"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (asap(polygon("stroma", STROMA), polygon("tumor", GLAND)),
         "c.xml: unknown annotation groups 'tumor' (1 shape); the label map knows 'stroma', 'gland'; "
         "give them to a class or list them in ignore_groups"),
        (asap(polygon("Gland ", GLAND)),
         "c.xml: unknown annotation groups 'Gland ' (1 shape, perhaps 'gland'); the label map knows 'stroma', "
         "'gland'; give them to a class or list them in ignore_groups"),
        (asap(),
         "c.xml: found no region of any class, wanted one at least; annotate slide 'c', or leave its annotation empty"),
        (asap(annotation("gland", [(1, 1)], kind="Dot")),
         "c.xml: found no region of any class, wanted one at least; annotate slide 'c', or leave its annotation empty"),
        ("", "c.xml: the file is empty, wanted ASAP XML or QuPath GeoJSON"),
        ("hello", "c.xml: starts with 'h', wanted ASAP XML (<) or QuPath GeoJSON ({ or [)"),
        ("<html><body/></html>", "c.xml: found root <html>, wanted <ASAP_Annotations>: not an ASAP file"),
        ("<ASAP_Annotations><Annotations>",
         "c.xml: malformed XML (no element found: line 1, column 31)"),
        ("<ASAP_Annotations></Annotations>",
         "c.xml: malformed XML (mismatched tag: line 1, column 20)"),
        (BOMB, "c.xml: found a document type or entities, wanted plain ASAP XML: refused as unsafe"),
        (asap(polygon("gland", (300, 300, 400, 400), "far")),
         "c.xml: shape 1 'far' spans x 300 to 400, y 300 to 400, wanted level-0 px of a slide of 220 x 180; "
         "another slide's annotations, or the wrong origin or units?"),
        (asap(annotation("gland", [(1, 1), (50, 1)], "line")),
         "c.xml: annotation 'line' (1 of 1): found 2 points, wanted at least 3 for a Polygon"),
        (asap(annotation("gland", [], "void", "Spline")),
         "c.xml: annotation 'void' (1 of 1): found 0 points, wanted at least 3 for a Spline"),
        (asap(polygon("gland", GLAND)).replace('X="120"', 'X="twelve"'),
         "c.xml: annotation 'a' (1 of 1): found X 'twelve' at Order 0, wanted a finite number"),
    ],
)  # fmt: skip
def test_bad_annotations_are_one_exact_line(text, message):
    Path("c.xml").write_text(text)
    assert refuse(*step("read-annotations")) == message


def test_missing_annotations_are_one_exact_line():
    Path("c.xml").unlink()
    assert refuse(*step("read-annotations")) == "c.xml: no such file, wanted ASAP XML or QuPath GeoJSON"


def test_failure_keeps_the_annotations_that_were_there():
    OUTPUT.write_text("before")
    Path("c.xml").write_text("hello")
    refuse(*step("read-annotations"))
    assert OUTPUT.read_text() == "before"


def test_points_are_counted_in_the_log(caplog):
    caplog.set_level("INFO")
    dot = annotation("gland", [(30, 30)], kind="Dot")
    Path("c.xml").write_text(asap(polygon("gland", GLAND), dot))
    assert hooknet(*step("read-annotations")).status == 0
    assert "not_a_region:point 1" in caplog.text
