"""A slide in bands and joined is the slide in one piece, to the bit."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hooknet
from hooknet.config.datasets import SlideSettings
from hooknet.config.project import digest
from hooknet.errors import HookNetError, MaskError
from hooknet.inference.bands import Band, join_maps, join_probabilities
from hooknet.inference.canvas import BLOCK
from hooknet.inference.whole_slide import MapFiles, infer, predict, prepared
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

HEIGHT, WIDTH = 1400, 700


@given(height=st.integers(1, 10**6), of=st.integers(1, 50))
def test_bands_follow_each_other_without_gap(height, of):
    ends = [Band(number, of).rows(height) for number in range(1, of + 1)]
    assert ends[0][0] == 0
    assert ends[-1][1] == height
    assert all(min(one[1], height) == min(other[0], height) for one, other in pairwise(ends))
    assert all(first % BLOCK == 0 and first <= end for first, end in ends)


@pytest.mark.parametrize("text", ["0of3", "4of3", "2", "of", "2of0", "-1of2", "2 of 3", "02of3"])
def test_what_is_no_band_is_one_line(text):
    with pytest.raises(HookNetError, match=f"^band '{text}': wanted a number of so many, such as 2of5$"):
        Band.named(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with weights, a slide and a tissue mask of it."""
    folder = tmp_path_factory.mktemp("bands")
    run = made_runs.make_run(
        model="unet", spacings=(0.5,), patch_size=30,
        network={"filters": 1, "depth": 2, "convolutions": 1, "batch_norm": False},
        infer={"tile": 200, "engine": "torch", "over": "tissue", "probabilities": True},
    )  # fmt: skip
    network = made_networks.looking_at(0, (0.5,), 2, 30)
    save_checkpoint(folder / "best.ckpt", network, checkpoint_spec(run, ()))
    image = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    made_slides.write_slide(folder / "s.tif", image, spacing=0.5)
    inside = np.zeros((HEIGHT // 4, WIDTH // 4), np.uint8)
    inside[20:330, 10:120] = 1
    tissue = made_slides.write_mask(folder / "tissue.tif", inside, spacing=2.0, step=4.0)
    return folder, run, SlideSettings(id="s", slide=str(folder / "s.tif"), spacing=0.5), tissue


def bands_of(made, folder, of):
    source, run, slide, tissue = made
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(1, of + 1):
        band = Band(number, of)
        files = MapFiles(folder / f"{band}.tif", folder / "shares" / f"{band}.tif", tissue, (), band)
        (folder / "shares").mkdir(exist_ok=True)
        infer(run, slide, source / "best.ckpt", files)
        found.append(files)
    return [one.output for one in found], [one.probabilities for one in found]


@pytest.mark.parametrize("of", [1, 2, 3, 5])
def test_joined_bands_are_the_map_of_the_slide_byte_by_byte(made, tmp_path, of):
    source, run, slide, tissue = made
    whole = MapFiles(tmp_path / "whole.tif", tmp_path / "whole_shares.tif", tissue, ())
    infer(run, slide, source / "best.ckpt", whole)
    maps, shares = bands_of(made, tmp_path / "bands", of)
    join_maps("s", maps[::-1], tmp_path / "joined.tif")
    join_probabilities(shares, tmp_path / "joined_shares.tif")
    with Mask.open(whole.output) as one, Mask.open(tmp_path / "joined.tif") as other:
        assert one.grid == other.grid
        expected = one.read(0, 0, WIDTH, HEIGHT)
        np.testing.assert_array_equal(other.read(0, 0, WIDTH, HEIGHT), expected)
        assert 0 < (expected > 0).mean() < 1
    assert (tmp_path / "joined.tif").read_bytes() == whole.output.read_bytes()
    assert (tmp_path / "joined_shares.tif").read_bytes() == whole.probabilities.read_bytes()


def test_a_missing_a_foreign_and_a_doubled_band_are_refused(made, tmp_path):
    (one, two), _ = bands_of(made, tmp_path / "bands", 2)
    with pytest.raises(MaskError, match=r"1of2 to 2of2$"):
        join_maps("s", [one, one], tmp_path / "map.tif")
    with pytest.raises(MaskError, match=r"1of1 to 1of1$"):
        join_maps("s", [two], tmp_path / "map.tif")
    with pytest.raises(MaskError, match="bands none: wanted"):
        join_maps("s", [], tmp_path / "map.tif")
    other = tmp_path / "other" / "2of2.tif"
    other.parent.mkdir()
    made_slides.write_mask(other, np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(MaskError, match="another raster or other classes"):
        join_maps("s", [one, other], tmp_path / "map.tif")
    assert not (tmp_path / "map.tif").exists()


def test_bands_of_other_weights_are_not_joined(made, tmp_path):
    (one, _), (one_share, _) = bands_of(made, tmp_path / "bands", 2)
    _, run, slide, tissue = made
    other, network = tmp_path / "other.ckpt", made_networks.looking_at(0, (0.5,), 2, 30)
    next(network.parameters()).data.mul_(1.5)
    save_checkpoint(other, network, checkpoint_spec(run, ()))
    files = MapFiles(tmp_path / "2of2.tif", tmp_path / "shares" / "2of2.tif", tissue, (), Band(2, 2))
    files.probabilities.parent.mkdir()
    infer(run, slide, other, files)
    told = (
        rf"2of2\.tif: made with weights [0-9a-f]{{64}}, but {one} with [0-9a-f]{{64}}; infer all bands again$"
    )
    with pytest.raises(MaskError, match=told):
        join_maps("s", [one, files.output], tmp_path / "map.tif")
    with pytest.raises(MaskError, match="made with weights"):
        join_probabilities([one_share, files.probabilities], tmp_path / "shares.tif")
    assert not (tmp_path / "map.tif").exists()


def test_a_map_says_what_it_was_made_of(made, tmp_path):
    source, run, slide, tissue = made
    files = MapFiles(tmp_path / "map.tif", tmp_path / "shares.tif", tissue, ())
    infer(run, slide, source / "best.ckpt", files)
    expected = {
        "by": f"hooknet {hooknet.__version__}",
        "run": run.name,
        "settings": digest(run.inference_settings()),
        "weights": hashlib.sha256((source / "best.ckpt").read_bytes()).hexdigest(),
        "slide": "s",
    }
    with Mask.open(files.output) as found, Probabilities.open(files.probabilities) as shares:
        assert found.made == shares.made == expected
    (_, two), _ = bands_of(made, tmp_path / "bands", 2)
    with Mask.open(two) as band:
        assert band.made == expected


def test_smaller_tiles_in_one_band_leave_no_gap(made, tmp_path):
    source, run, slide, tissue = made
    whole = MapFiles(tmp_path / "whole.tif", None, tissue, ())
    infer(run, slide, source / "best.ckpt", whole)
    small = replace(
        run,
        settings=run.settings.model_copy(
            update={"infer": run.settings.infer.model_copy(update={"tile": 90})}
        ),
    )
    (tmp_path / "b").mkdir()
    paths = []
    for number, of_run in ((1, run), (2, small)):
        band = Band(number, 2)
        paths.append(tmp_path / "b" / f"{band}.tif")
        networks = prepared(of_run, source / "best.ckpt", "s")
        predict(of_run, slide, networks, MapFiles(paths[-1], None, tissue, (), band))
    join_maps("s", paths, tmp_path / "joined.tif")
    with Mask.open(whole.output) as one, Mask.open(tmp_path / "joined.tif") as other:
        np.testing.assert_array_equal(other.read(0, 0, WIDTH, HEIGHT), one.read(0, 0, WIDTH, HEIGHT))
