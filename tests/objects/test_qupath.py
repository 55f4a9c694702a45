"""What is exported has the structure of files that QuPath wrote."""

import json
import uuid
from pathlib import Path

import geopandas
import made_slides
import numpy as np
import pytest
import shapely

from hooknet.io.masks import Mask
from hooknet.objects.export import Drawing, export_geojson

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
REAL = SHARED / "data" / "annotations" / "other"
FILES = ("qupath05.geojson", "holed.geojson", "qupath-polygon-cell-classified.json", "qupath-rectangle.json")
# QuPath 0.2 wrote the colour of a class as one number; from 0.3 on it reads and writes red, green and blue.
NEWER = {"classification.color": list}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qupath")
    labels = np.zeros((60, 80), np.uint8)
    labels[5:40, 5:40] = 1
    labels[10:20, 10:20] = 0
    labels[12:18, 12:18] = 2
    labels[45:50, 60:80] = 2
    with Mask.open(made_slides.write_mask(folder / "map.tif", labels, step=2.0)) as mask:
        assert export_geojson(mask, folder / "map.geojson", Drawing(tolerance_um=0)) == 3
    frame = geopandas.read_file(folder / "map.geojson")
    assert sorted(shapely.area(frame.geometry.to_numpy())) == [
        36 * 4,
        100 * 4,
        1125 * 4,
    ]  # level-0 px: two a px of the map
    return json.loads((folder / "map.geojson").read_text())["features"]


def real_features():
    if not REAL.is_dir():
        pytest.skip(f"needs {REAL}")
    for name in FILES:
        content = json.loads((REAL / name).read_text(encoding="utf-8"))
        members = content.get("features", [content]) if isinstance(content, dict) else content
        yield from members


def kinds(value, place=""):
    """Place of every value -> its type."""
    found = {}
    for key, one in value.items():
        here = f"{place}{key}"
        found |= kinds(one, f"{here}.") if isinstance(one, dict) else {here: type(one)}
    return found


def test_every_key_and_type_is_one_that_qupath_writes(features):
    real = {}
    for one in real_features():
        real |= kinds({**one, **one.pop("properties")})
    real |= NEWER
    for one in features:
        assert one["properties"].keys() >= {"objectType", "classification"}
        for key, kind in kinds({**one, **one["properties"]}).items():
            if not key.startswith("properties"):
                assert real[key] is kind, key


def test_geometries_are_valid_closed_and_single_polygons_are_not_wrapped(features):
    for one in features:
        assert one["geometry"]["type"] == "Polygon"
        for ring in one["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
        assert shapely.geometry.shape(one["geometry"]).is_valid
        assert one["properties"]["objectType"] == "annotation"
        assert len(one["properties"]["classification"]["color"]) == 3
    assert len({uuid.UUID(one["id"]) for one in features}) == 3
