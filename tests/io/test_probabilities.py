import json
import os

import numpy as np
import pytest
import rasterio

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
