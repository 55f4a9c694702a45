import json
import os

import numpy as np
import pytest
import rasterio
import tifffile

from hooknet.coordinates import RasterGrid
from hooknet.io.probabilities import create_probabilities
from hooknet.io.rasters import quiet


def test_every_class_has_a_band_with_its_name_and_exact_values(tmp_path):
    shares = np.random.default_rng(0).integers(0, 256, (3, 600, 530), dtype=np.uint8)
    grid = RasterGrid(530, 600, 0.2277, 1.0, 1.0)
    with create_probabilities(tmp_path / "p.tif", grid, ("a", "b c", "ß")) as writer:
        writer.write(512, 512, shares[:, 512:, 512:])  # in any order
        writer.write(0, 0, shares[:, :512])
        writer.write(0, 512, shares[:, 512:, :512])
    with quiet(), rasterio.open(tmp_path / "p.tif") as file:
        np.testing.assert_array_equal(file.read(), shares)
        assert file.descriptions == ("a", "b c", "ß")
        told = json.loads(file.tags()["TIFFTAG_IMAGEDESCRIPTION"])
        assert told == {"format": "hooknet probabilities 1", "spacing": 0.2277, "classes": ["a", "b c", "ß"]}
        assert float(file.tags()["TIFFTAG_XRESOLUTION"]) == pytest.approx(1e4 / 0.2277)


def test_what_was_not_predicted_takes_no_room_and_reads_0(tmp_path):
    grid = RasterGrid(20_000, 20_000, 0.5, 1.0, 1.0)
    with create_probabilities(tmp_path / "p.tif", grid, ("a", "b")) as writer:
        writer.write(10_240, 10_240, np.full((2, 512, 512), 128, np.uint8))
    assert (tmp_path / "p.tif").stat().st_size < 200_000
    with quiet(), rasterio.open(tmp_path / "p.tif") as file:
        window = rasterio.windows.Window(10_000, 10_000, 1000, 1000)
        assert file.read(2, window=window).sum() == 128 * 512 * 512


def test_a_failure_leaves_no_file(tmp_path):
    def fail():
        with create_probabilities(tmp_path / "p.tif", RasterGrid(10, 10, 0.5, 1.0, 1.0), ("a",)):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []


def test_bands_are_planes_of_differences(tmp_path):
    shares = np.random.default_rng(0).integers(0, 256, (3, 600, 530), dtype=np.uint8)
    with create_probabilities(
        tmp_path / "p.tif", RasterGrid(530, 600, 0.5, 1.0, 1.0), ("a", "b", "c")
    ) as writer:
        writer.write(0, 0, shares)
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        (page,) = file.pages
        assert (page.planarconfig.name, page.predictor, page.compression) == ("SEPARATE", 2, 8)
        assert page.photometric.name == "MINISBLACK"
        assert page.tags["ExtraSamples"].value == (0, 0)
        np.testing.assert_array_equal(page.asarray(), shares)


@pytest.mark.parametrize("names", [("only",), ("a", "b")])
@pytest.mark.parametrize("size", [10, 600])
def test_where_nothing_was_predicted_every_band_reads_0(tmp_path, names, size):
    with create_probabilities(tmp_path / "p.tif", RasterGrid(size, size, 0.5, 1.0, 1.0), names):
        pass
    with quiet(), rasterio.open(tmp_path / "p.tif") as file:
        assert (file.shape, file.descriptions) == ((size, size), names)
        assert file.read().shape == (len(names), size, size)
        assert not file.read().any()


def test_the_same_writes_give_the_same_bytes(tmp_path):
    shares = np.random.default_rng(0).integers(0, 256, (2, 600, 530), dtype=np.uint8)
    for name in ("a.tif", "b.tif"):
        with create_probabilities(tmp_path / name, RasterGrid(600, 700, 0.5, 1.0, 1.0), ("a", "b")) as writer:
            writer.write(3, 5, shares)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
