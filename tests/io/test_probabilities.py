import json
import os

import numpy as np
import pytest
import rasterio
import tifffile

import hooknet
from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.io import probabilities as module
from hooknet.io.masks import create_mask
from hooknet.io.probabilities import Probabilities, create_probabilities
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
        assert told == {
            "format": "hooknet probabilities 1",
            "spacing": 0.2277,
            "step": [1.0, 1.0],
            "classes": ["a", "b c", "ß"],
            "made": {"by": f"hooknet {hooknet.__version__}"},
        }
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


SHARES = np.random.default_rng(1).integers(0, 256, (3, 600, 530), dtype=np.uint8)
SLIDE, SPACING = (1060, 1200), Spacing(0.25, 0.25)
NAMES = ("a", "b c", "ß")


def write(path, grid=None):
    grid = grid or RasterGrid.over(SLIDE, SPACING, 0.5)
    with create_probabilities(path, grid, NAMES) as writer:
        writer.write(0, 0, SHARES)
    return path


def test_names_and_exact_grid_come_back(tmp_path):
    grid = RasterGrid(530, 600, 0.1 + 0.2, 1 / 3, 1.7)
    with Probabilities.open(write(tmp_path / "p.tif", grid)) as found:
        assert (found.grid, found.names) == (grid, NAMES)


@pytest.mark.parametrize("strip", [1, 5000, 2**24])
@pytest.mark.parametrize("spacing", [0.5, 0.25, 1.0, 0.7, 4.0])
def test_values_are_those_under_the_centres_of_another_grid(tmp_path, monkeypatch, strip, spacing):
    monkeypatch.setattr(module, "STRIP_PIXELS", strip)
    grid = RasterGrid.over(SLIDE, SPACING, spacing)
    column, row, width, height = 10, 20, 40, 30
    across = ((np.arange(column, column + width) + 0.5) * spacing / 0.5 + 1e-6).astype(int)
    down = ((np.arange(row, row + height) + 0.5) * spacing / 0.5 + 1e-6).astype(int)
    with Probabilities.open(write(tmp_path / "p.tif")) as found:
        seen = found.read_as(grid, column, row, width, height)
    np.testing.assert_array_equal(seen, SHARES[:, down][:, :, across])


def test_outside_reads_0(tmp_path):
    grid = RasterGrid.over(SLIDE, SPACING, 0.5)
    with Probabilities.open(write(tmp_path / "p.tif")) as found:
        seen = found.read_as(grid, -3, 590, 10, 20)
        np.testing.assert_array_equal(seen[:, :10, 3:], SHARES[:, 590:, :7])
        assert not seen[:, 10:].any()
        assert not seen[:, :, :3].any()
        assert not found.read_as(grid, 530, 0, 5, 5).any()


def test_what_is_no_file_of_probabilities_is_refused(tmp_path):
    path = tmp_path / "p.tif"
    with pytest.raises(MaskError, match=r"p\.tif: no such file, wanted probabilities"):
        Probabilities.open(path)
    path.write_text("no raster")
    with pytest.raises(MaskError, match=r"p\.tif: not a readable raster \("):
        Probabilities.open(path)
    with create_mask(path, RasterGrid(10, 10, 0.5, 1.0, 1.0), ("a",), {1: (1, 2, 3)}):
        pass
    with pytest.raises(
        MaskError, match=r"p\.tif: the image description does not say 'hooknet probabilities 1'"
    ):
        Probabilities.open(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": None}, "does not say its step, .* infer again"),
        ({"step": [1.0]}, "the image description does not say"),
        ({"classes": ["a", "b"]}, "the image description does not say"),
        ({"spacing": "wide"}, "the image description does not say"),
        ({"format": "hooknet probabilities 9"}, "the image description does not say"),
    ],
)
def test_a_description_that_does_not_tell_all_is_refused(tmp_path, change, message):
    told = {"format": "hooknet probabilities 1", "spacing": 0.5, "step": [1.0, 1.0], "classes": list(NAMES)}
    told = {key: value for key, value in (told | change).items() if value is not None}
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, SHARES, photometric="minisblack", planarconfig="separate", description=json.dumps(told),
                     metadata=None)  # fmt: skip
    with pytest.raises(MaskError, match=message):
        Probabilities.open(path)


def test_a_description_that_is_no_object_is_refused(tmp_path):
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, SHARES[0], photometric="minisblack", description="[1]", metadata=None)
    with pytest.raises(MaskError, match="the image description does not say"):
        Probabilities.open(path)


def test_a_file_cut_short_is_refused_when_what_it_lacks_is_read(tmp_path):
    path = write(tmp_path / "p.tif")
    path.write_bytes(path.read_bytes()[:-200_000])
    grid = RasterGrid.over(SLIDE, SPACING, 0.5)
    with (
        pytest.raises(MaskError, match=r"p\.tif: (cannot read|not a readable)"),
        Probabilities.open(path) as found,
    ):
        found.read_as(grid, 0, 0, 530, 600)
