import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from hooknet.demo.cohort import DOWNSAMPLES, PhantomSettings, make_slide, writing_style
from hooknet.errors import ConfigError

LUMINANCE = np.array([0.299, 0.587, 0.114])
SMALL = PhantomSettings(size_um=512.0)


def make(folder, slide_id, settings, suffix=".png"):
    paths = folder / f"{slide_id}.tif", folder / f"{slide_id}.xml", folder / f"{slide_id}_truth{suffix}"
    make_slide(slide_id, settings, *paths)
    return paths


def read(slide, level):
    return np.asarray(
        slide.read_region((0, 0), level, slide.level_dimensions[level]).convert("RGB"), dtype=float
    )


def digests(paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("phantom"), "slide_0", SMALL)


@pytest.fixture
def slide(made):
    with openslide.OpenSlide(made[0]) as opened:
        yield opened


def test_the_same_seed_and_id_give_the_same_files_and_no_others_do(made, tmp_path):
    again = make(tmp_path / "again", "slide_0", SMALL)
    other = make(tmp_path / "other", "slide_3", SMALL)
    reseeded = make(tmp_path / "reseeded", "slide_0", replace(SMALL, seed=2))
    assert digests(again) == digests(made)
    for different in (other, reseeded):
        assert not set(digests(different)) & set(digests(made))


def test_nothing_but_the_three_files_is_left_behind(made):
    assert sorted(made[0].parent.iterdir()) == sorted(made)


def test_openslide_reads_the_spacing_and_all_levels(slide):
    assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5, rel=1e-6)
    assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.5, rel=1e-6)
    assert slide.level_downsamples == (1.0, *map(float, DOWNSAMPLES))
    assert slide.dimensions == (1024, 1024)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_pixel_of_a_level_is_the_mean_of_its_block_at_level_zero(slide, level):
    # Luminance: JPEG keeps colour at half the resolution of each level.
    factor, found = 2**level, read(slide, level) @ LUMINANCE
    side = 1024 // factor
    wanted = (read(slide, 0) @ LUMINANCE).reshape(side, factor, side, factor).mean(axis=(1, 3))
    assert np.abs(found - wanted).mean() < 3.0
    assert abs((found - wanted).mean()) < 0.5
    inner = (slice(1, -1), slice(1, -1))
    here = ((found - wanted)[inner] ** 2).mean()
    for axis in (0, 1):
        for step in (-1, 1):
            assert ((np.roll(found, step, axis) - wanted)[inner] ** 2).mean() > 5 * here


def test_the_truth_has_the_size_of_the_slide_and_every_class(made):
    truth = np.asarray(Image.open(made[2]))
    assert truth.shape == (1024, 1024)
    assert truth.dtype == np.uint8
    assert np.unique(truth).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_truth_lies_on_the_pixels_it_speaks_of(slide, made):
    truth, rgb = np.asarray(Image.open(made[2])), read(slide, 0)
    green = {value: rgb[truth == value][:, 1].mean() for value in range(6)}
    # Glass and fat are pale, stroma is pink, the three sheets are alike and darker in red.
    assert green[0] > 225
    assert green[2] > 200
    red = {value: rgb[truth == value][:, 0].mean() for value in range(6)}
    assert max(red[3], red[4], red[5]) < red[1] - 15
    assert max(red[3], red[4], red[5]) - min(red[3], red[4], red[5]) < 6


def test_a_truth_written_as_tiff_says_the_same_and_knows_its_spacing(made, tmp_path):
    tiff = make(tmp_path, "slide_0", SMALL, suffix=".tif")[2]
    with pytest.warns(NotGeoreferencedWarning):
        opened = rasterio.open(tiff)
    with opened:
        np.testing.assert_array_equal(opened.read(1), np.asarray(Image.open(made[2])))
        assert opened.block_shapes == [(256, 256)]
        assert float(opened.tags()["TIFFTAG_XRESOLUTION"]) == pytest.approx(20_000)


def test_a_slide_at_another_spacing_shows_the_same_world(made, tmp_path):
    fine = make(tmp_path, "slide_0", replace(SMALL, spacing=0.25))
    with openslide.OpenSlide(fine[0]) as opened, openslide.OpenSlide(made[0]) as coarse:
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-6)
        assert opened.dimensions == (2048, 2048)
        assert np.abs(read(opened, 3) - read(coarse, 2)).mean() < 3
    truth = np.asarray(Image.open(fine[2]))[::2, ::2]
    assert (truth == np.asarray(Image.open(made[2]))).mean() > 0.99


def test_three_slides_in_a_row_are_annotated_in_three_styles():
    assert [writing_style(f"phantom_{k:02d}") for k in (7, 8, 9)] == ["comma", "shuffled", "plain"]
    assert writing_style("named") == writing_style("named")


def test_a_spacing_no_scanner_has_is_refused_in_one_line():
    with pytest.raises(
        ConfigError, match=r"^phantom settings: spacing 20 µm/px found, 0.05 to 2 wanted"
    ) as caught:
        PhantomSettings(spacing=20.0)
    assert "\n" not in str(caught.value)


def test_a_failed_slide_leaves_no_files(tmp_path):
    with pytest.raises(ConfigError):
        make(tmp_path, "slide_0", PhantomSettings(size_um=100.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.5, 0.999])
def test_disk_that_fills_up_leaves_no_slide_cut_short(tmp_path, share):
    """A limit on the size of files stands for the disk; GDAL writes the end of a file as it closes it."""
    slide, *_ = make(tmp_path, "a1", replace(SMALL, size_um=400.0))
    limit = int(slide.stat().st_size * share)
    folder = tmp_path / "full"
    folder.mkdir()
    script = f"""
import resource, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_cohort
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
test_cohort.make(Path({str(folder)!r}), "a1", replace(test_cohort.SMALL, size_um=400.0))
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "File too large" in found.stderr.splitlines()[-1]
    assert list(folder.iterdir()) == []
