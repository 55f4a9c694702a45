"""quantify, detect-objects, match-objects and export through their front doors."""

import json

import made_config
import numpy as np
import pytest
import tifffile
from made_cohort import EXPERIMENTS, FILES, RUN, SLIDES, hooknet, refuse, settings

from hooknet.io.masks import Mask
from hooknet.objects.matching import ObjectCounts, read_matches
from hooknet.objects.quantities import read_quantities

MAP = RUN / "maps" / "c.tif"
TRUTH = SLIDES / "c" / "truth.tif"
OBJECTS = RUN / "objects" / "c.geojson"
ABOUT = ("--dataset", "colon", "--slide", "c")


@pytest.fixture
def declared(cohort):
    """The cohort with glands declared as objects."""
    classes = {
        **made_config.CLASSES,
        "gland": {**made_config.CLASSES["gland"], "objects": {"min_area_um2": 50}},
    }
    made_config.write(cohort, {"colon": {**settings(), "classes": classes}}, EXPERIMENTS)
    return cohort


def test_quantities_are_those_of_the_truth_where_that_is_the_map(cohort):
    tissue = SLIDES / "c" / "tissue.tif"
    outcome = hooknet("quantify", "--slide", "c", "--map", TRUTH, "--tissue", tissue, "--output", "q.csv")
    assert outcome.status == 0, outcome
    found = read_quantities("q.csv")["c"]
    # two rectangles of 80 x 140 px of 1 µm
    assert (found["stroma"].area_mm2, found["stroma"].regions) == (pytest.approx(0.0112), 1)
    assert (found["gland"].largest_region_mm2, found["gland"].regions) == (pytest.approx(0.0112), 1)
    with Mask.open(tissue) as mask:
        area = (
            np.count_nonzero(mask.read(0, 0, mask.grid.width, mask.grid.height)) * mask.grid.spacing**2 / 1e6
        )
    assert found["(tissue)"].area_mm2 == pytest.approx(area)


def test_the_objects_of_a_truth_match_themselves(declared):
    assert (
        hooknet("detect-objects", *ABOUT, "--map", TRUTH, "--labels", "--output", OBJECTS, *FILES).status == 0
    )
    (feature,) = json.loads(OBJECTS.read_text())["features"]
    assert feature["properties"]["classification"]["name"] == "gland"
    arguments = ("match-objects", *ABOUT, "--truth", TRUTH, "--objects", OBJECTS, "--output", "m.csv", *FILES)
    assert hooknet(*arguments).status == 0
    assert read_matches("m.csv") == {"c": {"gland": ObjectCounts(1, 0, 0, 0)}}


def test_without_classes_of_objects_there_is_nothing_to_detect(cohort):
    told = refuse("detect-objects", *ABOUT, "--map", MAP, "--output", OBJECTS, *FILES)
    assert "no class of the dataset has an `objects` section" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("quantify", "--slide", "c", "--map", "no.tif", "--output", "q.csv"), "no.tif: no such file"),
        (("export", "--input", "no.tif", "--format", "geojson", "--output", "e.geojson"), "no.tif: no such file"),
        (("export", "--input", "c.png", "--format", "asap", "--output", "e.xml"), "c.png: "),
        (("export", "--input", MAP, "--format", "geojson", "--output", "e.geojson", "--origin", "bounds"),
         "--origin bounds: found no slide"),
        (("export", "--input", MAP, "--format", "geojson", "--output", "e.geojson", "--against", "a.tif"), "a.tif: "),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(cohort, arguments, told):
    assert told in refuse(*arguments)


@pytest.mark.parametrize(
    ("format_", "name"),
    [("geojson", "e.geojson"), ("asap", "e.xml"), ("ome-tiff", "e.ome.tif"), ("colours", "c.tif")],
)
def test_every_format_is_written_whole_and_the_same_every_time(cohort, format_, name):
    texts = []
    for folder in ("first", "second"):
        (cohort / folder).mkdir()
        outcome = hooknet("export", "--input", TRUTH, "--format", format_, "--output", f"{folder}/{name}")
        assert outcome.status == 0, outcome
        texts.append((cohort / folder / name).read_bytes())
        assert [path.name for path in (cohort / folder).iterdir()] == [name]
    assert texts[0] == texts[1]


def test_where_a_map_differs_from_the_truth_is_exported(cohort):
    arguments = ("--input", TRUTH, "--against", TRUTH, "--format", "geojson", "--output", "same.geojson")
    assert hooknet("export", *arguments).status == 0
    features = json.loads((cohort / "same.geojson").read_text())["features"]
    assert {one["properties"]["classification"]["name"] for one in features} == {"agrees"}
    assert not list(cohort.glob(".agreement*"))


def test_colours_are_those_of_the_classes(cohort):
    assert hooknet("export", "--input", TRUTH, "--format", "colours", "--output", "colours.tif").status == 0
    pixels = tifffile.imread("colours.tif")
    assert pixels[50, 50, :3].tolist() == [0xE5, 0x98, 0x9B]
    assert pixels[50, 150, :3].tolist() == [0x1B, 0x6F, 0x66]
