import os
import tracemalloc
from pathlib import Path

import numpy as np
import openslide
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from hooknet.coordinates import RasterGrid
from hooknet.errors import DiskError, MaskError
from hooknet.io import tiles
from hooknet.io.masks import Mask, create_mask
from hooknet.io.rasters import quiet
from hooknet.io.spool import Spool
from hooknet.io.tiles import Plane, write_tiff


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (height, width), dtype=np.uint8)


def write_mask(path, labels):
    grid = RasterGrid(labels.shape[1], labels.shape[0], 0.5, 1.0, 1.0)
    with create_mask(path, grid, ("a", "b"), {1: (1, 1, 1), 2: (2, 2, 2)}) as writer:
        writer.write(0, 0, labels)
    return path


def levels(path):
    """The values of the raster and of each of its overviews, as GDAL reads them."""
    with quiet():
        with rasterio.open(path) as file:
            found, count = [file.read(1)], len(file.overviews(1))
        for level in range(count):
            with rasterio.open(path, OVERVIEW_LEVEL=level) as file:
                found.append(file.read(1))
    return found


@pytest.mark.parametrize("size", [(1024, 1024), (1025, 700), (530, 2047), (4099, 530), (1538, 3077)])
def test_overviews_are_those_that_gdal_makes(tmp_path, size):
    width, height = size
    labels = noise(height, width)
    labels[600:, :500] = 0
    labels[:512, 512:1024] = 2
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "uint8"}
    with quiet():
        with rasterio.open(tmp_path / "gdal.tif", "w", **profile) as file:
            file.write(labels, 1)
        factors = [2**k for k in range(1, 9) if max(size) / 2 ** (k - 1) >= 512]
        with rasterio.open(tmp_path / "gdal.tif", "r+") as file:
            file.build_overviews(factors, Resampling.nearest)
    ours, gdals = levels(write_mask(tmp_path / "ours.tif", labels)), levels(tmp_path / "gdal.tif")
    assert len(ours) == len(gdals) == len(factors) + 1
    for one, other in zip(ours, gdals, strict=True):
        np.testing.assert_array_equal(one, other)


boxes = st.tuples(
    st.integers(0, 1100), st.integers(0, 600), st.integers(1, 700), st.integers(1, 600), st.integers(0, 4)
)


@settings(max_examples=30, deadline=None)
@given(st.lists(boxes, max_size=8), st.booleans(), st.integers(1, 3))
def test_tiles_put_away_and_taken_up_again_lose_nothing(tmp_path_factory, writes, smooth, kept):
    path, wanted = tmp_path_factory.mktemp("plane") / "p.tif", np.zeros((700, 1200), np.uint8)
    with Spool(path) as spool:
        plane = Plane(spool, 1200, 700, smooth=smooth, open_tiles=kept)
        for column, row, width, height, value in writes:
            part = wanted[row : row + height, column : column + width]
            part[:] = value if value < 4 else np.arange(part.size).reshape(part.shape) % 251
            plane.write(column, row, part.copy())
        plane.flush()
        for key in np.ndindex(plane.counts.shape):
            inside = wanted[key[0] * 512 : key[0] * 512 + 512, key[1] * 512 : key[1] * 512 + 512]
            np.testing.assert_array_equal(plane.tile(key)[: inside.shape[0], : inside.shape[1]], inside)
            assert (plane.counts[key] > 0) == inside.any()
        write_tiff(path, path, [[plane]], 0.5, "plane")
    (found,) = levels(path)
    np.testing.assert_array_equal(found, wanted)


def test_a_file_that_outgrows_classic_offsets_is_a_big_tiff_with_the_same_values(tmp_path, monkeypatch):
    labels = noise(1300, 1100)
    classic = write_mask(tmp_path / "classic.tif", labels)
    monkeypatch.setattr(tiles, "CLASSIC_LIMIT", 1000)
    big = write_mask(tmp_path / "big.tif", labels)
    for path, is_big in ((classic, False), (big, True)):
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff == is_big
            np.testing.assert_array_equal(file.pages[0].asarray(), labels)
        with openslide.OpenSlide(path) as slide:
            assert slide.level_dimensions == ((1100, 1300), (550, 650), (275, 325))
            np.testing.assert_array_equal(
                np.asarray(slide.read_region((0, 0), 0, (1100, 1300)))[..., 0], labels
            )
    for one, other in zip(levels(classic), levels(big), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("spacing", [0.02, 0.2277, 0.5, 8.0, 50.0, 123_456.0])
def test_the_spacing_is_told_to_nine_digits(tmp_path, spacing):
    with create_mask(tmp_path / "m.tif", RasterGrid(5, 4, spacing, 1.0, 1.0), ("a",), {1: (1, 1, 1)}):
        pass
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        for name in ("XResolution", "YResolution"):
            above, below = file.pages[0].tags[name].value
            assert above / below == pytest.approx(1e4 / spacing, rel=1e-9)


def test_each_level_is_a_tiled_image_that_says_only_what_it_must(tmp_path):
    labels = np.zeros((1300, 2100), np.uint8)
    labels[520:600, 1100:1200] = 1
    path = write_mask(tmp_path / "mask.ome.tif", labels)
    with tifffile.TiffFile(path) as file:
        assert [page.shape for page in file.pages] == [(1300, 2100), (650, 1050), (325, 525), (163, 263)]
        assert [page.subfiletype for page in file.pages] == [0, 1, 1, 1]
        # The first and last tile, and the one with values; of the others no byte, and no place.
        stored = [np.flatnonzero(page.databytecounts).tolist() for page in file.pages]
        assert stored == [[0, 7, 14], [1], [0], [0]]
        for page in file.pages:
            assert [bool(one) for one in page.dataoffsets] == [bool(one) for one in page.databytecounts]
            assert (page.tile, page.compression, page.predictor) == ((512, 512), 8, 1)
            assert page.photometric.name == "MINISBLACK"
            assert not {"Software", "DateTime", "ExtraSamples"} & set(page.tags.keys())
        np.testing.assert_array_equal(file.pages[0].asarray(), labels)
        np.testing.assert_array_equal(file.pages[1].asarray(), labels[::2, ::2])
        first, *others = file.pages
        assert (first.tags["ResolutionUnit"].value.name, first.tags["XResolution"].value) == (
            "CENTIMETER",
            (20_000, 1),
        )
        assert {page.tags["ResolutionUnit"].value.name for page in others} == {"NONE"}
        assert not any("ImageDescription" in page.tags for page in others)


def test_the_only_tile_of_an_image_is_stored_though_it_is_empty(tmp_path):
    with tifffile.TiffFile(write_mask(tmp_path / "mask.tif", np.zeros((700, 700), np.uint8))) as file:
        (page,) = file.pages[1:]
        assert page.databytecounts[0] > 0
        assert page.asarray().shape == (350, 350)
        assert not page.asarray().any()


def test_what_is_being_written_cannot_be_found_by_others(tmp_path):
    with create_mask(
        tmp_path / "m.tif", RasterGrid(900, 900, 0.5, 1.0, 1.0), ("a",), {1: (1, 1, 1)}
    ) as writer:
        writer.write(0, 0, np.ones((900, 900), np.uint8))
        assert list(tmp_path.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["m.tif"]


def test_a_file_is_made_of_tiles_one_at_a_time(tmp_path):
    path = tmp_path / "p.tif"
    values = np.random.default_rng(0).integers(0, 256, (512, 512), dtype=np.uint8)
    with Spool(path) as spool:
        planes = [Plane(spool, 4096, 4096, smooth=True) for _ in range(2)]
        for plane in planes:
            for row, column in np.ndindex(8, 8):
                plane.write(column * 512, row * 512, values)
        tracemalloc.start()
        try:
            write_tiff(path, path, [planes], 0.5, "noise", ("a", "b"))
            highest = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert path.stat().st_size > 128 * 2**18
    assert highest < 8 * 2**18


FULL = "folder/mask.tif: cannot be written (No space left on device); free space or correct the path, then run again"


def test_a_full_disk_is_one_line_at_the_first_tile(monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "w+b", buffering=0))  # noqa: SIM115
    with Spool(Path("folder/mask.tif")) as spool, pytest.raises(DiskError) as error:
        Plane(spool, 600, 600).write(0, 0, np.ones((600, 600), np.uint8))
    assert str(error.value) == FULL


@pytest.mark.parametrize("labels", [noise(600, 600), np.zeros((600, 600), np.uint8)])
def test_a_disk_that_is_full_in_the_end_is_one_line_too(tmp_path, labels):
    with Spool(tmp_path / "mask.tif") as spool:
        plane = Plane(spool, 600, 600)
        plane.write(0, 0, labels)
        with pytest.raises(DiskError) as error:
            write_tiff(Path("/dev/full"), Path("folder/mask.tif"), [[plane]], 0.5, "full")
    assert str(error.value) == FULL


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path):
    with pytest.raises(DiskError, match=r"mask\.tif: cannot be written \(No such file or directory\)"):
        Spool(tmp_path / "none" / "mask.tif")


@pytest.mark.parametrize("labels", [noise(600, 600), np.ones((600, 600), np.uint8)])
def test_tiles_that_the_disk_lost_while_it_is_written_are_noticed(tmp_path, labels):
    grid = RasterGrid(2000, 2000, 0.5, 1.0, 1.0)

    def cut():
        with create_mask(tmp_path / "mask.tif", grid, ("a", "b"), {1: (1, 1, 1), 2: (2, 2, 2)}) as writer:
            writer.write(0, 0, labels)
            os.truncate(writer._plane.spool._file.fileno(), 40)

    with pytest.raises(DiskError, match=r"mask\.tif: found 40 bytes of .*, wanted \d+; .* run again"):
        cut()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(1300, 1100), (1, 1), (511, 300), (512, 512), (5000, 600)])
@pytest.mark.parametrize("values", [noise, lambda height, width: np.zeros((height, width), np.uint8)])
def test_a_mask_cut_short_by_a_copy_cannot_be_opened(tmp_path, size, values):
    path = write_mask(tmp_path / "mask.tif", values(*size))
    Mask.open(path)
    whole = path.stat().st_size
    for cut in (1, whole // 100 + 1, whole // 2, whole * 9 // 10):
        os.truncate(path, whole - cut)
        # What is left of its first bytes may not even be one of ours.
        with pytest.raises(MaskError, match=r"mask\.tif: cut short" if cut == 1 else r"mask\.tif: ") as error:
            Mask.open(path)
        assert "\n" not in str(error.value)
