"""Means over turned tiles and over networks: the map turns with the slide, and says how sure it is."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest
import rasterio
import torch
from made_maps import planned, segmented

from hooknet.config.datasets import SlideSettings
from hooknet.config.dense import InferOptions
from hooknet.errors import CheckpointError
from hooknet.inference.averaging import (
    DIHEDRAL,
    MeanEngine,
    entropy,
    laid,
    turn,
    turn_back,
    uncertainty_bands,
)
from hooknet.inference.bands import Band, join_maps, join_probabilities
from hooknet.inference.engines import Engine, Predicted, TorchEngine
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.io.rasters import quiet
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import save_checkpoint
from hooknet.shapes.tiles import Tile
from hooknet.training.weights import checkpoint_spec

SIDE = 192


def test_the_eight_ways_are_eight_and_undone():
    image = np.arange(9).reshape(3, 3, 1)
    found = [turn(image, way) for way in DIHEDRAL]
    assert len({one.tobytes() for one in found}) == 8
    for one, way in zip(found, DIHEDRAL, strict=True):
        np.testing.assert_array_equal(turn_back(one.transpose(2, 0, 1), way)[0], image[..., 0])
    assert laid(InferOptions()) == ((0, False),)
    assert laid(InferOptions(tta="dihedral")) == DIHEDRAL


class Fixed(Engine):
    """Gives some logits for each tile it is asked for, in turn, whatever it sees."""

    def __init__(self, *logits):
        super().__init__("fixed", "fp32", Tile((1,), 1))
        self.logits = list(logits)

    def start(self, views, logits=False):
        one = np.array(self.logits.pop(0), np.float32).reshape(-1, 1, 1)
        return lambda: Predicted(np.zeros((1, 1), np.uint8), None, one)


def mean_of(*logits, bands=("entropy", "mutual information")):
    view = np.zeros((1, 1, 3), np.uint8)
    engine = MeanEngine([Fixed(one) for one in logits], DIHEDRAL[:1], bands, True)
    return engine.start([view], logits=True)()


def test_the_mean_is_that_of_probabilities():
    found = mean_of([log(3), 0.0], [0.0, log(7)], bands=())  # 3/4, 1/4 and 1/8, 7/8
    assert found.shares[:, 0, 0].tolist() == [round(255 * 7 / 16), round(255 * 9 / 16)]
    assert found.labels.tolist() == [[2]]
    np.testing.assert_allclose(np.exp(found.logits[:, 0, 0]), [7 / 16, 9 / 16], rtol=1e-6)


def test_uncertainty_is_entropy_and_what_of_it_is_contradiction():
    # Two networks that are sure of different classes: all is contradiction.  Two that both know nothing: none is.
    assert mean_of([50.0, 0.0], [0.0, 50.0]).shares[2:, 0, 0].tolist() == [255, 255]
    assert mean_of([0.0, 0.0], [0.0, 0.0]).shares[2:, 0, 0].tolist() == [255, 1]
    assert mean_of([50.0, 0.0], [50.0, 0.0]).shares[2:, 0, 0].tolist() == [1, 1]
    # 3/4, 1/4 and its mirror image: H(1/2) = log 2, H(1/4) = 0.811278 log 2.
    between = mean_of([log(3), 0.0], [0.0, log(3)]).shares[2:, 0, 0].tolist()
    assert between == [255, 1 + round(254 * (1 - 0.811278))]
    assert mean_of([50.0, 0.0], bands=("entropy",)).shares.shape == (3, 1, 1)
    assert mean_of([5.0], [5.0]).shares[:, 0, 0].tolist() == [255, 1, 1]  # of one class there is no doubt


def test_entropy_of_what_cannot_be_is_nothing():
    assert entropy(np.array([[1.0], [0.0]])).tolist() == [0.0]
    assert entropy(np.full((4, 1), 0.25)) == pytest.approx(log(4))


def test_what_a_map_of_uncertainty_tells_depends_on_how_many_there_are():
    of = {"probabilities": True, "uncertainty": True}
    assert uncertainty_bands(InferOptions(), 3) == ()
    assert uncertainty_bands(InferOptions(**of), 1) == ("entropy",)
    assert uncertainty_bands(InferOptions(**of), 2) == ("entropy", "mutual information")
    assert uncertainty_bands(InferOptions(**of, tta="dihedral"), 1) == ("entropy", "mutual information")


NETWORKS = [
    ((0.5,), 2, 34, {}),
    ((0.5, 1.0), 2, 38, {}),
    ((0.5, 1.0), 2, 38, {"merge": "attention", "window": 3}),
    ((0.5, 2.0), 2, 32, {"model": "mrn"}),
]


def dihedral(network, tile, shares, precision):
    alone = TorchEngine(network, tile, False, precision)
    return MeanEngine([alone], DIHEDRAL, ("entropy", "mutual information"), True)


@pytest.mark.parametrize(("spacings", "depth", "patch", "more"), NETWORKS)
def test_the_map_of_a_turned_slide_is_the_turned_map(tmp_path, spacings, depth, patch, more):
    """To the bit: a side of whole strides, so that the tiles of the one lie where those of the other do."""
    image = np.random.default_rng(3).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    network = made_networks.random_network(spacings, depth, patch, **more)
    at_most = next(tile.sizes[0] for tile in network.shape.tiles() if tile.stride in (32, 48, 64))

    def mapped(name, pixels, engine=dihedral, bands=5):
        slide = Slide(made_slides.write_slide(tmp_path / f"{name}.tif", pixels), made_slides.square(0.5))
        assert SIDE % planned(network, slide, at_most).plan.tile.stride == 0
        return segmented(network, slide, at_most, bands=bands, engine=engine)

    labels, shares = mapped("plain", image)
    assert shares[0].std() > 0.5
    for number, way in enumerate(DIHEDRAL[1:]):
        turned_labels, turned_shares = mapped(f"turned{number}", turn(image, way))
        np.testing.assert_array_equal(turn_back(turned_labels[None], way)[0], labels)
        np.testing.assert_array_equal(turn_back(turned_shares, way), shares)
    # Without, it is not.
    plain = mapped("plain", image, TorchEngine, 3)[1].astype(int)
    turned = mapped("turned0", turn(image, DIHEDRAL[1]), TorchEngine, 3)[1].astype(int)
    assert np.abs(turn_back(turned, DIHEDRAL[1]) - plain).max() > 1


@pytest.mark.parametrize(("spacings", "depth", "patch", "more"), NETWORKS)
def test_no_tile_size_shows_in_a_mean_either(noise_slide, spacings, depth, patch, more):
    slide = Slide(noise_slide[0], made_slides.square(0.5))
    network = made_networks.random_network(spacings, depth, patch, **more)
    one, other = (segmented(network, slide, at_most, bands=5, engine=dihedral) for at_most in (1, 200))
    # Where hardly any is uncertain, a last bit of a probability is a level of its entropy.
    assert np.abs(one[1].astype(int) - other[1]).max() <= 1
    assert (one[0] != other[0]).mean() < 1e-3


RUN = {
    "model": "unet",
    "spacings": (0.5,),
    "patch_size": 34,
    "network": {
        "filters": 3,
        "depth": 2,
        "convolutions": 1,
        "batch_norm": False,
        "batch_norm_momentum": 0.99,
    },
    "infer": {"over": "everything", "engine": "torch", "probabilities": True, "tile": 100},
}


def run_of(**infer):
    return made_runs.make_run(**made_runs.merged(RUN, {"infer": infer}))


@pytest.fixture
def made(tmp_path, noise_slide):
    """Weights of three seeds, and a slide."""
    run = run_of()
    paths = []
    for seed in range(3):
        network = made_networks.random_network((0.5,), 2, 34, seed, classes=2, batch_norm=False)
        paths.append(tmp_path / f"w{seed}.ckpt")
        save_checkpoint(paths[-1], network, checkpoint_spec(run, ()))
    return tuple(paths), SlideSettings(id="noise", slide=str(noise_slide[0]), spacing=0.5)


def read(path):
    with quiet(), rasterio.open(path) as found:
        return found.read(), json.loads(found.tags()["TIFFTAG_IMAGEDESCRIPTION"]), found.descriptions


def predicted(folder, run, slide, first, uncertainty=True):
    folder.mkdir()
    unsure = folder / "u.tif" if uncertainty else None
    files = MapFiles(folder / "m.tif", folder / "p.tif", None, (), uncertainty=unsure)
    infer(run, slide, first, files)
    return files


def test_an_ensemble_is_the_mean_of_its_members(tmp_path, made):
    paths, slide = made
    alone = [predicted(tmp_path / path.stem, run_of(), slide, path, False) for path in paths]
    run = replace(run_of(uncertainty=True), members=paths)
    together = predicted(tmp_path / "all", run, slide, paths[0])
    parts = [read(one.probabilities)[0].astype(float) for one in alone]
    found, description, _ = read(together.probabilities)
    assert np.abs(found - np.mean(parts, 0)).max() <= 1.0  # each was rounded to a byte
    assert len(description["made"]["weights"].split()) == 3
    unsure, told, names = read(together.uncertainty)
    assert names == ("entropy", "mutual information")
    assert told["format"] == "hooknet uncertainty 1"
    assert told["scale"].endswith("value 0: not predicted")
    assert told["made"] == description["made"]
    whole = entropy(found / 255) / log(2)
    assert np.abs((unsure[0] - 1) / 254 - whole).max() < 0.03  # of bytes
    assert (unsure[1] <= unsure[0]).all()
    assert unsure.min() >= 1
    assert unsure[1].std() > 1


def test_only_what_is_predicted_has_an_uncertainty(tmp_path, made):
    paths, slide = made
    tissue = np.zeros((150, 211), np.uint8)
    tissue[20:60, 30:90] = 1
    mask = made_slides.write_mask(tmp_path / "t.tif", tissue)
    run = run_of(uncertainty=True, over="tissue")
    files = MapFiles(tmp_path / "m.tif", tmp_path / "p.tif", mask, (), uncertainty=tmp_path / "u.tif")
    infer(run, slide, paths[0], files)
    unsure, _, names = read(files.uncertainty)
    assert names == ("entropy",)
    np.testing.assert_array_equal(unsure[0] > 0, tissue > 0)


def test_uncertainty_changes_neither_map_nor_probabilities(tmp_path, made):
    paths, slide = made
    plain = predicted(tmp_path / "plain", run_of(), slide, paths[0], False)
    told = predicted(tmp_path / "told", run_of(uncertainty=True), slide, paths[0])
    for one, other in ((plain.output, told.output), (plain.probabilities, told.probabilities)):
        np.testing.assert_array_equal(read(one)[0], read(other)[0])


def test_weights_of_another_network_are_no_member(tmp_path, made):
    paths, slide = made
    other = made_runs.make_run(**made_runs.merged(RUN, {"network": {"filters": 4}}))
    torch.manual_seed(1)
    network = made_networks.random_network((0.5,), 2, 34, classes=2, filters=4, batch_norm=False)
    save_checkpoint(tmp_path / "other.ckpt", network, checkpoint_spec(other, ()))
    run = replace(run_of(), members=(paths[0], tmp_path / "other.ckpt"))
    with pytest.raises(CheckpointError, match=r"other\.ckpt: trained with network "):
        predicted(tmp_path / "none", run, slide, paths[0], False)


def test_bands_of_a_mean_are_joined_to_what_one_job_makes(tmp_path, made):
    paths, slide = made
    run = replace(run_of(tta="dihedral"), members=paths[:2])
    whole = predicted(tmp_path / "whole", run, slide, paths[0], False)
    for folder in ("b", "b/p"):
        (tmp_path / folder).mkdir()
    bands = [Band(number, 2) for number in (1, 2)]
    for band in bands:
        parts = MapFiles(tmp_path / "b" / f"{band}.tif", tmp_path / "b" / "p" / f"{band}.tif", None, (), band)
        infer(run, slide, paths[0], parts)
    join_maps("noise", [tmp_path / "b" / f"{one}.tif" for one in bands], tmp_path / "m.tif")
    join_probabilities([tmp_path / "b" / "p" / f"{one}.tif" for one in bands], tmp_path / "p.tif")
    assert (tmp_path / "m.tif").read_bytes() == whole.output.read_bytes()
    assert (tmp_path / "p.tif").read_bytes() == whole.probabilities.read_bytes()
    with Mask.open(tmp_path / "m.tif") as one, Probabilities.open(tmp_path / "p.tif") as other:
        assert one.made == other.made


def test_what_was_predicted_before_a_kill_is_kept_with_its_uncertainty(tmp_path, made, monkeypatch, caplog):
    paths, slide = made
    run = replace(run_of(uncertainty=True, tta="dihedral", tile=60), members=paths[:2])
    whole = predicted(tmp_path / "whole", run, slide, paths[0])
    begun, mean = [], MeanEngine._mean

    def killed(self, *given):
        begun.append(1)
        if len(begun) == 8:
            raise KeyboardInterrupt
        return mean(self, *given)

    monkeypatch.setattr(MeanEngine, "_mean", killed)
    with pytest.raises(KeyboardInterrupt):
        predicted(tmp_path / "again", run, slide, paths[0])
    monkeypatch.undo()
    files = MapFiles(
        tmp_path / "again" / "m.tif",
        tmp_path / "again" / "p.tif",
        None,
        (),
        uncertainty=tmp_path / "again" / "u.tif",
    )
    with caplog.at_level("INFO"):
        infer(run, slide, paths[0], files)
    assert "tiles were predicted before" in caplog.text
    for one, other in (
        (whole.output, files.output), (whole.probabilities, files.probabilities), (whole.uncertainty, files.uncertainty)
    ):  # fmt: skip
        assert one.read_bytes() == other.read_bytes()
