import json
import uuid

import geopandas
import made_slides
import numpy as np
import openslide
import pytest
import rasterio
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hooknet.groundtruth.geometries import clean
from hooknet.groundtruth.rasterise import rasterise
from hooknet.io.agreement import write_agreement
from hooknet.io.asap import read_asap
from hooknet.io.masks import Mask
from hooknet.io.ome import write_colours, write_ome
from hooknet.io.rasters import quiet
from hooknet.labels import LabelClass, LabelMap
from hooknet.objects.export import Drawing, export_asap, export_geojson

MAPS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2))
LABEL_MAP = LabelMap(
    tuple(LabelClass(f"class{value}", value, "#000000", (f"class{value}",), value) for value in (1, 2)),
    hole_groups=("hole",),
    hole_order=3,
)


def back(folder, labels, drawing, step=2.0):
    """A map written as ASAP XML, read and painted again."""
    with Mask.open(made_slides.write_mask(folder / "m.tif", labels, step=step)) as mask:
        export_asap(mask, folder / "m.xml", drawing)
        size = int(labels.shape[1] * step), int(labels.shape[0] * step)
        cleaned = clean(read_asap(folder / "m.xml"), LABEL_MAP, size) if labels.any() else None
        if cleaned is None:
            return np.zeros_like(labels)
        rasterise(cleaned, mask.grid, LABEL_MAP, folder / "b.tif")
    with Mask.open(folder / "b.tif") as again:
        return again.read(0, 0, labels.shape[1], labels.shape[0])


@given(MAPS)
def test_asap_gives_the_same_mask_back(tmp_path_factory, labels):
    again = back(tmp_path_factory.mktemp("a"), labels, Drawing(tolerance_um=0.0))
    assert (again == labels).all()


def test_asap_islands_come_back_within_the_tolerance(tmp_path):
    y, x = np.mgrid[:80, :80]
    radius = np.hypot(y - 40, x - 40)
    labels = np.select([radius < 8, radius < 16, radius < 24, radius < 34], [2, 0, 1, 2], 0).astype(np.uint8)
    assert (back(tmp_path, labels, Drawing(tolerance_um=0.0)) == labels).all()
    again = back(tmp_path, labels, Drawing(tolerance_um=0.5))  # one px
    near = np.min([abs(radius - edge) for edge in (8, 16, 24, 34)], axis=0) < 2.5
    assert (again == labels)[~near].all()
    assert (again == labels).mean() > 0.97


def test_geojson_is_what_qupath_writes(tmp_path):
    labels = np.zeros((40, 50), np.uint8)
    labels[4:30, 5:40], labels[10:20, 10:20] = 1, 2
    with Mask.open(made_slides.write_mask(tmp_path / "m.tif", labels, step=2.0)) as mask:
        for name in ("a", "b"):
            assert export_geojson(mask, tmp_path / f"{name}.geojson", Drawing(offset=(4.0, 2.0))) == 2
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert len({uuid.UUID(one["id"]) for one in features}) == 2
    outer, inner = features  # of those that end in one band the first comes first
    assert list(outer) == ["type", "id", "geometry", "properties"]
    assert outer["properties"] == {
        "objectType": "annotation",
        "isLocked": False,
        "classification": {"name": "class1", "color": [1, 0, 0]},
    }
    assert [len(one["geometry"]["coordinates"]) for one in (inner, outer)] == [1, 2]
    assert all(ring[0] == ring[-1] for ring in outer["geometry"]["coordinates"])
    table = geopandas.read_file(tmp_path / "a.geojson")
    assert table.geometry.is_valid.all()
    assert table.total_bounds.tolist() == [6.0, 6.0, 76.0, 58.0]


@pytest.fixture
def mask(tmp_path):
    labels = np.zeros((700, 1300), np.uint8)
    labels[100:600, 200:900], labels[300:400, 300:400] = 1, 2
    with Mask.open(made_slides.write_mask(tmp_path / "m.tif", labels, spacing=0.5)) as mask:
        yield mask, labels


def test_maps_and_ome_keep_values_and_spacing_in_every_reader(mask, tmp_path):
    found, labels = mask
    write_ome(found, tmp_path / "m.ome.tif")
    for path in (found.path, tmp_path / "m.ome.tif"):
        assert (tifffile.imread(path, key=0) == labels).all()
        with quiet(), rasterio.open(path) as opened:
            assert (opened.read(1) == labels).all()
        with openslide.OpenSlide(path) as slide:
            assert slide.level_dimensions == ((1300, 700), (650, 350), (325, 175))
            assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
            assert (np.asarray(slide.read_region((0, 0), 0, (1300, 700)))[..., 0] == labels).all()
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as file:
        assert file.is_ome
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["SizeX"], pixels["SizeY"], pixels["PhysicalSizeX"]) == (1300, 700, 0.5)


def test_colours_are_those_of_the_classes(mask, tmp_path):
    found, labels = mask
    write_colours(found, tmp_path / "c.tif")
    table = np.array([(255, 255, 255), (1, 0, 0), (2, 0, 0)], np.uint8)
    assert (tifffile.imread(tmp_path / "c.tif", key=0) == table[labels]).all()
    with openslide.OpenSlide(tmp_path / "c.tif") as slide:
        assert slide.level_dimensions[-1] == (325, 175)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert slide.read_region((620, 620), 0, (1, 1)).getpixel((0, 0))[:3] == (255, 255, 255)
        assert slide.read_region((350, 350), 0, (1, 1)).getpixel((0, 0))[:3] == (2, 0, 0)


def test_agreement_is_judged_where_truth_is_annotated(tmp_path):
    truth = np.array([[0, 1, 1, 2], [0, 2, 2, 1]], np.uint8)
    made = np.array([[1, 1, 2, 2], [2, 0, 2, 1]], np.uint8)
    paths = [made_slides.write_mask(tmp_path / f"{n}.tif", one) for n, one in (("t", truth), ("p", made))]
    with Mask.open(paths[0]) as first, Mask.open(paths[1]) as second:
        write_agreement(first, second, tmp_path / "a.tif")
    with Mask.open(tmp_path / "a.tif") as found:
        assert found.names == ("agrees", "differs")
        assert found.read(0, 0, 4, 2).tolist() == [[0, 1, 2, 1], [0, 2, 1, 1]]
