"""Slides with places that cannot be read: the rest is predicted as ever, those places are 0 and told."""

import contextlib
import logging

import made_networks
import made_runs
import made_slides
import numpy as np
import openslide
import pytest
import tifffile

from hooknet.config.datasets import SlideSettings
from hooknet.coordinates import RasterGrid
from hooknet.errors import SlideError
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.damage import CELL, Damage
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

SIDE, TILE = 1024, 64  # of the slide, and of the tiles of its file
BAD = (5, 7)  # row and column of the tile that is damaged


def run_of(unreadable):
    return made_runs.make_run(
        model="unet", spacings=(0.5,), patch_size=30,
        network={"filters": 1, "depth": 2, "convolutions": 1, "batch_norm": False},
        infer={"tile": 200, "engine": "torch", "over": "everything", "unreadable": unreadable},
    )  # fmt: skip


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Weights, a slide, and the same slide with one damaged tile."""
    folder = tmp_path_factory.mktemp("damage")
    save_checkpoint(
        folder / "best.ckpt", made_networks.looking_at(0, (0.5,), 2, 30), checkpoint_spec(run_of(0.02), ())
    )
    image = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    whole = made_slides.write_slide(folder / "whole.tif", image, spacing=0.5)
    with tifffile.TiffFile(whole) as file:
        page, number = file.pages[0], BAD[0] * (SIDE // TILE) + BAD[1]
        start, length = page.dataoffsets[number], page.databytecounts[number]
    content = bytearray(whole.read_bytes())
    content[start : start + length] = b"\xff" * length
    (folder / "bad.tif").write_bytes(content)
    return folder


def predicted(folder, name, output, unreadable=0.02):
    slide = SlideSettings(id=name, slide=str(folder / f"{name}.tif"), spacing=0.5)
    infer(run_of(unreadable), slide, folder / "best.ckpt", MapFiles(output, None, None, ()))
    with Mask.open(output) as found:
        return found.read(0, 0, SIDE, SIDE)


def test_all_but_the_place_that_cannot_be_read_is_predicted_as_ever(slides, tmp_path, caplog):
    whole = predicted(slides, "whole", tmp_path / "whole_map.tif")
    with caplog.at_level(logging.WARNING):
        found = predicted(slides, "bad", tmp_path / "bad_map.tif")
    empty = (found == 0) & (whole > 0)
    rows, columns = np.nonzero(empty)
    # What is read by itself is 128 px a side: the four tiles of one, of which one is bad.
    expected = np.zeros_like(empty)
    expected[256:384, 384:512] = True
    assert np.array_equal(empty, expected & (whole > 0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (256, 383, 384, 511)
    # Beside it the network sees white: as far as a patch reaches, a px may get another class.
    reach = np.zeros_like(empty)
    reach[256 - 30 : 384 + 30, 384 - 30 : 512 + 30] = True
    assert np.array_equal(found[~reach], whole[~reach])
    share = 100 * (128 / SIDE) ** 2
    told = [record.message for record in caplog.records if "cannot be read" in record.message]
    assert told == [
        f"bad: {share:.3g} % of the slide cannot be read, first at (384, 256), and nothing is predicted there; "
        "copy or scan the file again"
    ]


def test_of_a_slide_that_is_damaged_more_than_is_allowed_no_map_is_made(slides, tmp_path):
    for unreadable, end in ((0.0, "copy or scan it again"), (0.001, "more than 0.001 of the slide is so, ")):
        with pytest.raises(SlideError, match=r"bad\.tif: level 0 cannot be read at \(") as caught:
            predicted(slides, "bad", tmp_path / "map.tif", unreadable)
        assert end in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_a_bad_moment_of_the_disk_changes_nothing(slides, tmp_path, monkeypatch, caplog):
    whole = predicted(slides, "whole", tmp_path / "whole_map.tif")
    read, calls = openslide.OpenSlide.read_region, []

    def sometimes(self, *given):
        calls.append(given)
        if len(calls) % 5 == 3:
            raise openslide.OpenSlideError("a bad moment")
        return read(self, *given)

    monkeypatch.setattr(openslide.OpenSlide, "read_region", sometimes)
    with caplog.at_level(logging.WARNING):
        found = predicted(slides, "whole", tmp_path / "again.tif")
    assert len(calls) > 5
    assert np.array_equal(found, whole)
    assert [record for record in caplog.records if "cannot be read" in record.message] == []


def test_a_place_is_not_called_bad_for_what_other_threads_read_at_the_same_time(slides, monkeypatch):
    good, bad = (0, 0), (BAD[1] * TILE, BAD[0] * TILE)
    read = openslide.OpenSlide.read_region
    with Slide(slides / "bad.tif", made_slides.square(0.5)) as slide:

        def beside_another(self, location, *more):
            if location == good:  # the thread of the bad place is a step ahead, on the handle that all share
                with contextlib.suppress(openslide.OpenSlideError):
                    read(slide._file.handle(), bad, *more)
            return read(self, location, *more)

        monkeypatch.setattr(openslide.OpenSlide, "read_region", beside_another)
        assert slide._file.region(good, 0, (TILE, TILE)).shape == (TILE, TILE, 3)
        with pytest.raises(SlideError, match=rf"level 0 cannot be read at \({bad[0]}, {bad[1]}\)"):
            slide._file.region(bad, 0, (TILE, TILE))


def test_a_slide_that_vanishes_is_one_line(slides, tmp_path):
    path = tmp_path / "gone.tif"
    path.write_bytes((slides / "bad.tif").read_bytes())
    with Slide(path, made_slides.square(0.5)) as slide:
        assert slide.tolerate(0.5) is not None
        path.unlink()
        slide.close()
        with pytest.raises(SlideError, match=r"gone\.tif: found no such file"):
            slide.read(slide.grid(0.5).window(0, 0, 64, 64), (64, 64))


def test_px_are_damaged_where_their_centres_lie_in_a_damaged_cell():
    damage = Damage("s.tif", (4 * CELL, 3 * CELL), 0.5)
    assert not damage.pixels(RasterGrid(8, 6, 1.0, CELL / 2, CELL / 2), 0, 0, 8, 6).any()
    damage.note(CELL + 1, CELL, CELL - 1, 10, SlideError("bad"))
    assert damage.share == pytest.approx(1 / 12)
    assert damage.first == (CELL, CELL)
    found = damage.pixels(RasterGrid(8, 6, 1.0, CELL / 2, CELL / 2), -1, 0, 10, 6)
    expected = np.zeros((6, 10), bool)
    expected[2:4, 3:5] = True
    assert np.array_equal(found, expected)
    with pytest.raises(
        SlideError, match=r"^bad; more than 0\.5 of the slide is so, the most that is allowed$"
    ):
        damage.note(0, 0, 4 * CELL, 2 * CELL, SlideError("bad"))
