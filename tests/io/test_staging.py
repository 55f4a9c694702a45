import logging
import os
import re
import shutil

import numpy as np
import openslide
import pytest

from hooknet.coordinates import Window
from hooknet.errors import ConfigError
from hooknet.io import slide_file, staging
from hooknet.io.slides import Slide
from hooknet.io.staging import read_from, staged


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKNET_STAGE", str(tmp_path / "scratch"))
    return tmp_path / "scratch" / f"hooknet-{os.getuid()}"


@pytest.fixture
def opened(monkeypatch):
    """The paths that OpenSlide is given to open."""
    paths, really = [], openslide.OpenSlide

    def watched(path):
        paths.append(path)
        return really(path)

    watched.detect_format = really.detect_format
    monkeypatch.setattr(slide_file.openslide, "OpenSlide", watched)
    return paths


def pixels(path):
    with Slide(path) as slide:
        return slide.read(Window(-5, -5, 250, 200), (250, 200))


def test_without_the_variable_nothing_is_copied(noise_slide, opened, monkeypatch, caplog):
    monkeypatch.delenv("HOOKNET_STAGE", raising=False)
    caplog.set_level(logging.INFO)
    path, _ = noise_slide
    with staged([path]):
        pixels(path)
    assert opened == [path]
    assert caplog.text == ""


def test_a_slide_is_read_from_its_copy_inside_the_block_and_keeps_its_name(
    noise_slide, scratch, opened, caplog
):
    caplog.set_level(logging.INFO)
    path, _ = noise_slide
    before = pixels(path)
    with staged([str(path)]):
        assert np.array_equal(pixels(path), before)
        with Slide(path) as slide:
            assert slide.path == path
    assert np.array_equal(pixels(path), before)
    (copy,) = scratch.glob("*/noise.tif")
    assert opened == [path, copy, copy, path]
    assert re.search(
        rf"{path}: copied to {copy.parent}: [\d.e-]+ GB in \d+\.\d s \(\d+ MB/s, with both checksums\)",
        caplog.text,
    )
    caplog.clear()
    with staged([path]):
        pass
    assert re.search(
        rf"1 slide\(s\) of [\d.e-]+ GB read from copies that were in {scratch}$", caplog.text, re.MULTILINE
    )


def test_a_variable_in_the_name_of_the_folder_is_that_of_the_job(noise_slide, tmp_path, monkeypatch, caplog):
    path, _ = noise_slide
    monkeypatch.setenv("HOOKNET_STAGE", "$JOB_DISK/slides")
    monkeypatch.setenv("JOB_DISK", str(tmp_path / "job"))
    with staged([path]):
        assert read_from(path).is_relative_to(tmp_path / "job" / "slides")
    monkeypatch.delenv("JOB_DISK")
    monkeypatch.chdir(tmp_path)
    with staged([path]):
        assert read_from(path) == path
    assert (
        "HOOKNET_STAGE=$JOB_DISK/slides: the variable is not set here; slides are read where they are"
        in caplog.text
    )
    assert not list(tmp_path.glob("$*"))


def test_a_folder_that_cannot_be_made_is_a_warning(noise_slide, tmp_path, monkeypatch, caplog):
    path, _ = noise_slide
    monkeypatch.setenv("HOOKNET_STAGE", str(path))
    with staged([path]):
        assert read_from(path) == path
    assert f"HOOKNET_STAGE={path}: Not a directory; slides are read where they are" in caplog.text


@pytest.mark.parametrize("text", ["much", "0", "-3", "nan", "inf"])
def test_a_bound_that_is_no_size_is_one_line(noise_slide, scratch, monkeypatch, text):
    monkeypatch.setenv("HOOKNET_STAGE_GB", text)
    with pytest.raises(ConfigError) as caught, staged([noise_slide[0]]):
        pass
    assert str(caught.value) == (
        f"HOOKNET_STAGE_GB: found {text!r}, wanted how many GB copies of slides may take in all; set it so"
    )


def test_slides_for_which_there_is_no_room_are_read_where_they_are_with_one_warning(
    noise_slide, scratch, tmp_path, monkeypatch, caplog
):
    path, _ = noise_slide
    others = [shutil.copy(path, tmp_path / f"{name}.tif") for name in "abc"]
    monkeypatch.setenv("HOOKNET_STAGE_GB", str(2.5 * path.stat().st_size / 1e9))
    with staged([path, *others]):
        assert [read_from(one) == one for one in (path, *others)] == [False, False, True, True]
        assert np.array_equal(pixels(others[2]), pixels(path))
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{others[1]} (and 1 more slides): not copied: ")
    assert warnings[0].endswith("; read where it is")


@pytest.mark.parametrize(
    ("vendor", "name", "whole"),
    [
        ("aperio", "a.svs", True),
        ("hamamatsu", "a.NDPI", True),
        ("hamamatsu", "a.vms", False),
        ("mirax", "a.mrxs", False),
        ("dicom", "a.dcm", False),
        ("trestle", "a.tif", False),
        (None, "a.png", False),
    ],
)
def test_no_slide_of_several_files_is_copied(
    noise_slide, scratch, tmp_path, monkeypatch, caplog, vendor, name, whole
):
    path = shutil.copy(noise_slide[0], tmp_path / name)
    monkeypatch.setattr(openslide.OpenSlide, "detect_format", staticmethod(lambda _: vendor))
    with staged([path]):
        assert (read_from(path) != path) is whole
    assert ("is of several files, or of a format that is not known to be one" in caplog.text) is not whole


def test_a_missing_slide_is_told_by_its_reader(scratch, tmp_path):
    with staged([tmp_path / "no.svs"]):
        assert read_from(tmp_path / "no.svs") == tmp_path / "no.svs"


def test_a_copy_that_somebody_removes_meanwhile_is_not_missed(noise_slide, scratch, caplog):
    path, _ = noise_slide
    with staged([path]):
        shutil.rmtree(scratch)
        assert np.array_equal(pixels(path), pixels(path))
    assert "is gone; reading it where it is" in caplog.text


def test_a_disk_that_fails_is_a_warning(noise_slide, scratch, monkeypatch, caplog):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path, _ = noise_slide
    monkeypatch.setattr(staging.Store, "_copied", fail)
    with staged([path]):
        assert read_from(path) == path
    assert f"{path}: not copied: No space left on device; read where it is" in caplog.text
