"""A slide whose inference was cut off anywhere is gone on with, and its map is that of one that was not, to the bit."""

import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest
import tifffile

from hooknet.config.datasets import SlideSettings
from hooknet.inference.bands import Band, join_maps
from hooknet.inference.bundles import infer_bundle
from hooknet.inference.engines import TorchEngine
from hooknet.inference.kept import journal_beside
from hooknet.inference.memory import OutOfMemory
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.masks import Mask
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

HEIGHT, WIDTH = 700, 520


class Killed(BaseException):
    """What no handler of ours expects."""


def run_of(**changes):
    settings = {
        "model": "hooknet", "spacings": (0.5, 1.0), "patch_size": 38,
        "infer": {"tile": 150, "engine": "torch", "over": "tissue", "probabilities": True},
    }  # fmt: skip
    return made_runs.make_run(**made_runs.merged(settings, changes))


def save(path, run, seed):
    network = made_networks.random_network((0.5, 1.0), 2, 38, seed, classes=2)
    save_checkpoint(path, network, checkpoint_spec(run, ()))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with weights, a slide, its tissue mask, and the map and probabilities as made in one go."""
    folder = tmp_path_factory.mktemp("resuming")
    save(folder / "best.ckpt", run_of(), 8)
    image = np.kron(made_slides.random_bits(HEIGHT // 10, WIDTH // 10, 4), np.ones((10, 10), np.uint8)) * 180
    image = made_slides.grey(image) + np.random.default_rng(1).integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    made_slides.write_slide(folder / "s.tif", image, spacing=0.5)
    inside = np.zeros((HEIGHT // 4, WIDTH // 4), np.uint8)
    inside[10:80, 10:120], inside[110:, 30:110] = 1, 1
    made_slides.write_mask(folder / "tissue.tif", inside, spacing=2.0, step=4.0)
    (folder / "slides" / "s").mkdir(parents=True)
    os.link(folder / "tissue.tif", folder / "slides" / "s" / "tissue.tif")
    predicted(folder, folder / "whole")
    with Mask.open(folder / "whole" / "map.tif") as found:
        values = found.read(0, 0, WIDTH, HEIGHT)
    assert all((values == value).mean() > 0.15 for value in (0, 1, 2))
    return folder


def slide_of(source):
    return SlideSettings(id="s", slide=str(source / "s.tif"), spacing=0.5)


def predicted(source, folder, band=None, run=None, checkpoint="best.ckpt"):
    files = MapFiles(folder / "map.tif", folder / "shares.tif", source / "tissue.tif", (), band)
    infer(run or run_of(), slide_of(source), source / checkpoint, files)
    return files


@pytest.fixture
def tiles(monkeypatch):
    """The tiles that were begun, by their sizes; ``tiles.at`` is called with their number before each."""

    class Tiles(list):
        def at(self, number, size):
            pass

    begun, start = Tiles(), TorchEngine.start

    def counted(self, views, logits=False):
        begun.at(len(begun), self.tile.sizes[0])
        begun.append(self.tile.sizes[0])
        return start(self, views, logits)

    monkeypatch.setattr(TorchEngine, "start", counted)
    return begun


def killing(tiles, *places):
    """Let inference end in the middle at each of some tiles, counted from the start of all."""

    def at(number, size):
        if number in places:
            tiles.append(0)
            raise Killed

    tiles.at = at


def assert_as_whole(source, folder):
    for name in ("map.tif", "shares.tif"):
        assert (folder / name).read_bytes() == (source / "whole" / name).read_bytes()
    assert sorted(one.name for one in folder.iterdir()) == ["map.tif", "shares.tif"]


def test_the_map_of_a_slide_that_was_cut_off_at_any_tile_is_the_same_byte_by_byte(
    made, tmp_path, tiles, caplog
):
    predicted(made, tmp_path)
    every = len(tiles)
    assert every >= 20
    for place in (0, 1, 2, 4, 5, 6, 13, every - 1):
        caplog.clear()
        cut_off(made, tmp_path / str(place), tiles, place)
        assert not list((tmp_path / str(place)).glob("*.tif"))
        with caplog.at_level(logging.INFO, "hooknet.inference.resuming"):
            predicted(made, tmp_path / str(place))
        done = max(0, place - 1)  # the last that was begun was not asked for yet
        assert len(tiles) == every - done
        told = [one.message for one in caplog.records if "continued" in one.message]
        if done:
            assert re.fullmatch(
                rf"s: continued at row \d+ of {HEIGHT}: {done} tiles were predicted before, {every - done} are left",
                told[0],
            )
        assert len(told) == (done > 0)
        assert_as_whole(made, tmp_path / str(place))


def test_a_slide_may_be_cut_off_again_and_again(made, tmp_path, tiles):
    killing(tiles, 3, 6, 7, 11)
    for _ in range(4):
        with pytest.raises(Killed):
            predicted(made, tmp_path)
    killing(tiles)
    predicted(made, tmp_path)
    assert_as_whole(made, tmp_path)


def test_what_was_predicted_counts_also_where_only_writing_failed(made, tmp_path, tiles, monkeypatch):
    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("hooknet.io.masks.write_tiff", killed)
        with pytest.raises(Killed):
            predicted(made, tmp_path)
    tiles.clear()
    predicted(made, tmp_path)
    assert len(tiles) == 0
    assert_as_whole(made, tmp_path)


def cut_off(made, folder, tiles, place=7, band=None):
    tiles.clear()
    killing(tiles, place)
    with pytest.raises(Killed):
        predicted(made, folder, band)
    killing(tiles)
    tiles.clear()


def test_with_other_weights_settings_or_files_it_begins_anew(made, tmp_path, tiles):
    predicted(made, tmp_path)
    every = len(tiles)
    save(made / "other.ckpt", run_of(), 5)
    other = run_of(infer={"unreadable": 0.5})
    for name, change in (("weights", {"checkpoint": "other.ckpt"}), ("settings", {"run": other})):
        cut_off(made, tmp_path / name, tiles)
        predicted(made, tmp_path / name, **change)
        assert len(tiles) == every, name
    for name in ("s.tif", "tissue.tif"):
        cut_off(made, tmp_path / name, tiles)
        told = (made / name).stat()
        os.utime(made / name, ns=(told.st_atime_ns, told.st_mtime_ns + 1))
        predicted(made, tmp_path / name)
        assert len(tiles) == every, name
        assert_as_whole(made, tmp_path / name)


def test_a_journal_that_ends_in_the_middle_or_is_damaged_costs_tiles_but_no_px(made, tmp_path, tiles):
    cut_off(made, tmp_path / "kept", tiles)
    content = journal_beside(tmp_path / "kept" / "map.tif").read_bytes()
    for number, share in enumerate((0.0, 0.05, 0.3, 0.6, 0.99)):
        place = int(share * len(content))
        damaged = content[:place] + bytes(20) + content[place + 20 :]
        for kind, changed in (("cut", content[:place]), ("damaged", damaged)):
            folder = tmp_path / f"{number}{kind}"
            folder.mkdir()
            journal_beside(folder / "map.tif").write_bytes(changed)
            predicted(made, folder)
            assert_as_whole(made, folder)


def test_bands_go_on_too(made, tmp_path, tiles):
    for number in (1, 2):
        tiles.clear()
        predicted(made, tmp_path / "undisturbed", Band(number, 2))
        every = len(tiles)
        cut_off(made, tmp_path / str(number), tiles, 5, Band(number, 2))
        predicted(made, tmp_path / str(number), Band(number, 2))
        assert len(tiles) == every - 4
        os.link(tmp_path / str(number) / "map.tif", tmp_path / f"{number}of2.tif")
    join_maps("s", [tmp_path / "1of2.tif", tmp_path / "2of2.tif"], tmp_path / "joined.tif")
    assert (tmp_path / "joined.tif").read_bytes() == (made / "whole" / "map.tif").read_bytes()


def test_a_bundle_goes_on_although_its_folder_is_gone(made, tmp_path, tiles):
    slides = [slide_of(made).model_copy(update={"id": name}) for name in ("s", "t")]
    (made / "slides" / "t").mkdir(exist_ok=True)
    if not (made / "slides" / "t" / "tissue.tif").exists():
        os.link(made / "tissue.tif", made / "slides" / "t" / "tissue.tif")

    def bundled(folder):
        infer_bundle(run_of(), slides, made / "best.ckpt", made / "slides", folder)

    bundled(tmp_path / "whole" / "0")
    every = len(tiles)
    killing(tiles, every + every // 2 + 5)
    with pytest.raises(Killed):
        bundled(tmp_path / "cut" / "0")
    # As Snakemake does with the outputs of a job that was killed.
    subprocess.run(["rm", "-r", tmp_path / "cut" / "0"], check=True)
    tiles.clear()
    killing(tiles)
    bundled(tmp_path / "cut" / "0")
    assert len(tiles) == every // 2 - 4
    for path in ("s.tif", "t.tif", "probabilities/s.tif", "probabilities/t.tif"):
        assert (tmp_path / "cut" / "0" / path).read_bytes() == (tmp_path / "whole" / "0" / path).read_bytes()
    assert [one.name for one in (tmp_path / "cut").iterdir()] == ["0"]


@pytest.mark.parametrize(("place", "row"), [(1, None), (9, 60), (20, 180)])
def test_out_of_memory_goes_on_below_with_smaller_tiles(made, tmp_path, tiles, caplog, place, row):
    def at(number, size):
        if number >= place and size > 100:
            raise OutOfMemory("out of memory")

    tiles.at = at
    with caplog.at_level(logging.INFO, "hooknet"):
        predicted(made, tmp_path)
    assert [size > 100 for size in tiles] == [True] * place + [False] * (len(tiles) - place)
    assert [one.message for one in caplog.records if "out of memory" in one.message] == [
        "s: out of memory with tiles of 150 px (out of memory); trying 110 px",
        "s: out of memory with tiles of 110 px (out of memory); trying 78 px",
    ]
    # What had been predicted in whole rows is not predicted again.
    found = re.findall(r"continued at row (\d+) of", caplog.text)
    assert (int(found[-1]) if found else None) == row
    with Mask.open(tmp_path / "map.tif") as one, Mask.open(made / "whole" / "map.tif") as other:
        np.testing.assert_array_equal(one.read(0, 0, WIDTH, HEIGHT), other.read(0, 0, WIDTH, HEIGHT))


def test_of_a_damaged_slide_what_was_noted_is_not_forgotten(made, tmp_path, tiles, caplog):
    content = bytearray((made / "s.tif").read_bytes())
    with tifffile.TiffFile(made / "s.tif") as file:
        page = file.pages[0]
        number = 2 * -(-WIDTH // page.tilewidth) + 3
        start, length = page.dataoffsets[number], page.databytecounts[number]
    content[start : start + length] = b"\xff" * length
    source = tmp_path / "source"
    source.mkdir()
    (source / "s.tif").write_bytes(content)
    for name in ("tissue.tif", "best.ckpt"):
        os.link(made / name, source / name)
    run = run_of(infer={"unreadable": 0.2})

    def told(folder):
        caplog.clear()
        predicted(source, folder, run=run)
        return [one.message for one in caplog.records if "cannot be read" in one.message]

    whole = told(tmp_path / "whole")
    assert len(whole) == 1
    for place in (4, 8):
        tiles.clear()
        killing(tiles, place)
        with pytest.raises(Killed):
            predicted(source, tmp_path / str(place), run=run)
        killing(tiles)
        assert told(tmp_path / str(place)) == whole
        for name in ("map.tif", "shares.tif"):
            assert (tmp_path / str(place) / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


KILLED = """
import os, sys
from pathlib import Path
from test_resuming import predicted
from hooknet.inference.engines import TorchEngine
start, begun = TorchEngine.start, []
def killed(self, views, logits=False):
    begun.append(1)
    if len(begun) == int(sys.argv[3]):
        os.kill(os.getpid(), int(sys.argv[4]))
    return start(self, views, logits)
TorchEngine.start = killed
predicted(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_leaves_its_tiles_to_the_next(made, tmp_path, tiles, how):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(made), str(tmp_path), "9", str(int(how))],
        env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == -how
    predicted(made, tmp_path)
    whole = len(tiles)
    assert_as_whole(made, tmp_path)
    tiles.clear()
    predicted(made, tmp_path)
    # The writer may have been some tiles behind.
    assert len(tiles) - 7 <= whole <= len(tiles) - 3
