"""Slices of volumes: what is written comes back, and a slide's reader reads them, bands, fill and all."""

import json
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from hooknet.coordinates import Spacing, Window
from hooknet.errors import SlideError
from hooknet.io.blocks import BlockCache
from hooknet.io.slice_file import SliceInfo, read_slice, write_slice
from hooknet.io.slides import Slide, as_rgb
from hooknet.io.supertiles import SuperTiles

SPACING = Spacing(1562.5, 1367.2000169754028)
FILLS = {1: (7,), 3: (7, 8, 9), 4: (102, 3, 255, 0)}


def info(bands, spacing=SPACING):
    return SliceInfo(
        spacing, FILLS[bands], tuple(f"b{one}" for one in range(bands)), "patient001_frame01", 3, 9.5
    )


def pixels(bands, height=37, width=53, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)


@pytest.fixture(params=[1, 3, 4])
def made(request, tmp_path):
    path = tmp_path / "v_z003.slice.tif"
    values = pixels(request.param)
    write_slice(path, values, info(request.param))
    return path, values


def test_what_is_written_comes_back_to_the_bit_and_the_last_digit(made):
    path, values = made
    found, told = read_slice(path)
    np.testing.assert_array_equal(found, values)
    assert told == info(values.shape[2])


def test_the_spacing_stands_in_the_tags_too_and_tiles_are_of_256_px(made):
    path, _ = made
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        assert page.tags["ResolutionUnit"].value.name == "CENTIMETER"
        assert (page.tilewidth, page.tilelength) == (256, 256)
        assert page.compression.name == "ADOBE_DEFLATE"
    assert 1e4 * x[1] / x[0] == pytest.approx(SPACING.x, rel=1e-6)
    assert 1e4 * y[1] / y[0] == pytest.approx(SPACING.y, rel=1e-6)


def test_a_slide_of_it_has_its_size_spacing_bands_and_fill(made):
    path, values = made
    with Slide(path) as slide:
        assert slide.size == (53, 37)
        assert slide.spacing == SPACING
        assert slide.channels == values.shape[2]
        assert slide.fill == FILLS[values.shape[2]]
        assert slide.is_slice
        assert len(slide.levels) == 1


@pytest.mark.parametrize("blocks", [None, BlockCache(1 << 20)])
def test_windows_are_the_files_pixels_inside_and_fill_outside(made, blocks):
    path, values = made
    slide = Slide(path, blocks=blocks)
    bands = values.shape[2]
    wanted = np.empty((60, 80, bands), np.uint8)
    wanted[:] = FILLS[bands]
    wanted[10:47, 12:65] = values
    np.testing.assert_array_equal(slide.read(Window(-12, -10, 80, 60), (80, 60)), wanted)
    np.testing.assert_array_equal(slide.read(Window(60, 5, 4, 4), (4, 4))[..., -1], FILLS[bands][-1])
    np.testing.assert_array_equal(slide.read(Window(3, 5, 20, 11), (20, 11)), values[5:16, 3:23])


def test_two_by_two_means_are_those_of_each_band(made):
    path, values = made
    found = Slide(path).read(Window(2, 4, 20, 12), (10, 6))
    wanted = values[4:16, 2:22].reshape(6, 2, 10, 2, -1).mean((1, 3))
    np.testing.assert_array_equal(found, np.rint(wanted))


def test_a_finer_spacing_is_interpolated_up_to_twice_as_fine(tmp_path):
    path = tmp_path / "v.slice.tif"
    ramp = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], 8, axis=0)
    write_slice(path, ramp, info(1, Spacing(1000.0, 1000.0)))
    slide = Slide(path)
    assert slide.require(500.0)
    with pytest.raises(SlideError, match="more than 100% coarser than the wanted 499; the finest possible"):
        slide.require(499.0)
    grid = slide.grid(500.0)
    found = slide.read(grid.window(4, 4, 6, 2), (6, 2))[0, :, 0]
    # Centres at 2.25, 2.75, ... px, where px i has its centre at i + 0.5.
    np.testing.assert_array_equal(found, np.rint([17.5, 22.5, 27.5, 32.5, 37.5, 42.5]))


def test_super_tiles_are_read_as_single_views_are(made):
    path, values = made
    slide = Slide(path, Spacing(1000.0, 1000.0))
    squares = [((-5, -5, 30), (-4, -4, 16)), ((20, 3, 30), (8, 2, 16))]
    with ThreadPoolExecutor(2) as decoders:
        tiles = SuperTiles(slide, (1000.0, 2000.0), squares, decoders)
        for number, wanted in enumerate(squares):
            for view, (column, row, side), spacing in zip(
                tiles.read(number), wanted, (1000.0, 2000.0), strict=True
            ):
                window = slide.grid(spacing).window(column, row, side, side)
                np.testing.assert_array_equal(view, slide.read(window, (side, side)))
                assert view.shape[-1] == values.shape[2]


def test_pictures_have_three_bands(made):
    path, values = made
    found = Slide(path).read_rgb(Window(0, 0, 53, 37), (53, 37))
    wanted = values if values.shape[2] == 3 else np.repeat(values[..., :1], 3, axis=2)
    np.testing.assert_array_equal(found, wanted)
    assert as_rgb(values[None]).shape == (1, 37, 53, 3)


def test_two_slices_that_follow_each_other_in_one_file_are_told_apart(tmp_path):
    path = tmp_path / "v.slice.tif"
    for seed in range(3):
        write_slice(path, pixels(1, seed=seed), info(1))
        np.testing.assert_array_equal(Slide(path).read(Window(0, 0, 53, 37), (53, 37)), pixels(1, seed=seed))


def first_row(slide):
    return slide.read(Window(0, 0, 53, 1), (53, 1))


def test_threads_forks_and_pickles_read_the_same(made):
    path, values = made
    slide = Slide(path)
    first_row(slide)  # something is kept when the process forks
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(first_row, [slide] * 16):
            np.testing.assert_array_equal(found, values[:1])
    with multiprocessing.get_context("fork").Pool(2) as children:
        for found in children.map(first_row, [slide] * 4):
            np.testing.assert_array_equal(found, values[:1])
    np.testing.assert_array_equal(first_row(pickle.loads(pickle.dumps(slide))), values[:1])


def test_a_read_may_be_changed_without_changing_the_next(made):
    path, values = made
    slide = Slide(path)
    first_row(slide)[:] = 0
    np.testing.assert_array_equal(first_row(slide), values[:1])


@pytest.mark.parametrize(
    ("spacing", "plausible"), [(19.9, False), (20.0, True), (20_000, True), (20_001, False)]
)
def test_spacings_of_slices_are_those_of_scans(tmp_path, spacing, plausible):
    path = tmp_path / "v.slice.tif"
    write_slice(path, pixels(1), info(1, Spacing(spacing, spacing)))
    if plausible:
        assert Slide(path).spacing.x == spacing
    else:
        with pytest.raises(SlideError, match=r"wanted 20\.\.20000; set the slide's `spacing`"):
            Slide(path)


def test_bands_that_the_dataset_does_not_have_are_told(made):
    path, values = made
    slide, bands = Slide(path), values.shape[2]
    slide.require_channels(bands)
    with pytest.raises(SlideError, match=rf"found {bands} band\(s\), wanted 2, the dataset's `channels`"):
        slide.require_channels(2)


def test_damage_is_told(made):
    path, _ = made
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SlideError, match=r"v_z003\.slice\.tif: .*make it again with import-volumes"):
        first_row(Slide(path))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(SlideError, match="is no slice of a volume"):
        Slide(path)
    path.unlink()
    with pytest.raises(SlideError, match="found no such file"):
        Slide(path)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", json.dumps({"hooknet": "slide"}), json.dumps({"hooknet": "slice", "spacing_um": [1]})],
)
def test_other_tiffs_of_that_name_are_refused(tmp_path, text):
    path = tmp_path / "v.slice.tif"
    tifffile.imwrite(path, pixels(3), description=text or None, metadata=None, photometric="rgb")
    with pytest.raises(SlideError, match="is no slice of a volume"):
        Slide(path)


def test_bands_and_fill_have_to_fit():
    with pytest.raises(ValueError, match="make no slice"):
        write_slice("v.slice.tif", pixels(3), info(4))
    with pytest.raises(ValueError, match="make no slice"):
        write_slice("v.tif", pixels(3), info(3))
