import logging
import os
import re
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest
import rasterio
from made_maps import segmented

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import DenseRun
from hooknet.errors import CheckpointError, ConfigError, MaskError, SlideError
from hooknet.inference import whole_slide
from hooknet.inference.engines import TorchEngine
from hooknet.inference.memory import OutOfMemory
from hooknet.inference.whole_slide import MapFiles, infer, load_network
from hooknet.io.masks import Mask
from hooknet.io.rasters import quiet
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import save_checkpoint
from hooknet.shapes.memory import BESIDES, tile_bytes
from hooknet.training.weights import checkpoint_spec, new_network

SHAPE = (150, 211)
SMALL = {
    "model": "unet",
    "spacings": (0.5,),
    "patch_size": 30,
    "network": {"filters": 1, "depth": 2, "convolutions": 1, "batch_norm": False},
    "infer": {"tile": 90, "engine": "torch"},
}


def run_over(over, **changes):
    return made_runs.make_run(**made_runs.merged(SMALL, {"infer": {"over": over}, **changes}))


def trained(folder, run, network=None):
    """A checkpoint of the run with the weights of a network that looks at the target."""
    network = network or made_networks.looking_at(0, (0.5,), 2, 30)
    save_checkpoint(folder / "best.ckpt", network, checkpoint_spec(run, ()))
    return folder / "best.ckpt"


@pytest.fixture
def slide(noise_slide):
    return SlideSettings(id="noise", slide=str(noise_slide[0]), spacing=0.5)


def files(folder, **changed):
    return replace(MapFiles(folder / "map.tif", None, None, ()), **changed)


def read(path):
    with Mask.open(path) as found:
        assert (found.grid.width, found.grid.height, found.grid.spacing) == (SHAPE[1], SHAPE[0], 0.5)
        assert found.names == ("one", "two")
        assert found.palette == {1: (255, 0, 0), 2: (0, 0, 255)}
        return found.read(0, 0, SHAPE[1], SHAPE[0])


def test_over_everything_the_written_map_is_the_slide(tmp_path, slide, noise_slide):
    run = run_over("everything")
    infer(run, slide, trained(tmp_path, run), files(tmp_path))
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), noise_slide[1] + 1)


def test_a_run_of_shuffled_contexts_is_mapped_with_contexts_of_the_other_side(tmp_path, slide):
    two = {"model": "hooknet", "spacings": (0.5, 2.0), "patch_size": 38}
    maps = {}
    for shuffled in (False, True):
        run = run_over("everything", **two, shuffle_context=shuffled)
        checkpoint = trained(tmp_path, run, made_networks.looking_at(1, (0.5, 2.0), 2, 38))
        infer(run, slide, checkpoint, files(tmp_path))
        maps[shuffled] = read(tmp_path / "map.tif")
    network = load_network(run, checkpoint, "noise")
    with Slide(slide.slide, slide.spacing_override) as opened:
        wanted = segmented(network, opened, 90, shuffle_context=True)
    np.testing.assert_array_equal(maps[True], wanted)
    assert 0.3 < (maps[True] == maps[False]).mean() < 0.7


def test_over_tissue_only_tissue_and_annotated_pixels_are_mapped(tmp_path, slide, noise_slide):
    run = run_over("tissue")
    coarse = np.zeros((38, 53), np.uint8)
    coarse[10:20, 10:30] = 1  # 2 µm px: level-0 rows 40..79, columns 40..119
    tissue = made_slides.write_mask(tmp_path / "t.tif", coarse, 4.0, 2.0)
    labels = np.zeros(SHAPE, np.uint8)
    labels[5, 7], labels[149, 210], labels[50, 50] = 1, 2, 1
    label_path = made_slides.write_mask(tmp_path / "l.tif", labels)
    infer(run, slide, trained(tmp_path, run), files(tmp_path, tissue=tissue, labels=(label_path,)))
    wanted = np.zeros(SHAPE, bool)
    wanted[40:80, 40:120] = True
    wanted |= labels > 0
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), np.where(wanted, noise_slide[1] + 1, 0))


def test_over_a_mask_of_the_users(tmp_path, slide, noise_slide):
    run = run_over("mask")
    own = np.zeros(SHAPE, np.uint8)
    own[100:120, 3:9] = 1
    path = made_slides.write_mask(tmp_path / "own.tif", own)
    infer(run, slide.model_copy(update={"infer_mask": str(path)}), trained(tmp_path, run), files(tmp_path))
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), np.where(own > 0, noise_slide[1] + 1, 0))


def test_probabilities_are_written_beside_the_map_where_it_is(tmp_path, slide, noise_slide):
    run = run_over("everything")
    infer(run, slide, trained(tmp_path, run), files(tmp_path, probabilities=tmp_path / "p.tif"))
    with quiet(), rasterio.open(tmp_path / "p.tif") as file:
        shares = file.read()
        assert file.descriptions == ("one", "two")
    np.testing.assert_array_equal(shares.argmax(axis=0) + 1, read(tmp_path / "map.tif"))
    assert set(shares.sum(axis=0).ravel()) <= {254, 255, 256}


def test_an_override_of_the_spacing_scales_the_map(tmp_path, slide):
    run = run_over("everything")
    infer(run, slide.model_copy(update={"spacing": 0.25}), trained(tmp_path, run), files(tmp_path))
    with Mask.open(tmp_path / "map.tif") as found:
        assert (found.grid.width, found.grid.height) == (106, 75)


def test_a_slide_too_coarse_is_refused_and_leaves_no_map(tmp_path, slide):
    run = run_over("everything")
    with pytest.raises(SlideError, match="finest possible spacing"):
        infer(run, slide.model_copy(update={"spacing": 0.6}), trained(tmp_path, run), files(tmp_path))
    assert not (tmp_path / "map.tif").exists()


def test_inferring_over_tissue_needs_a_tissue_mask(tmp_path, slide):
    run = run_over("tissue")
    with pytest.raises(MaskError) as caught:
        infer(run, slide, trained(tmp_path, run), files(tmp_path))
    assert str(caught.value) == (
        "run made: infers over tissue, found no tissue mask; give --tissue (see detect-tissue)"
    )


def test_a_mask_of_another_slide_is_refused(tmp_path, slide):
    run = run_over("tissue")
    other = made_slides.write_mask(tmp_path / "t.tif", np.ones((60, 53), np.uint8), 4.0, 2.0)
    with pytest.raises(MaskError, match="the rasters belong to different slides"):
        infer(run, slide, trained(tmp_path, run), files(tmp_path, tissue=other))
    other = made_slides.write_mask(tmp_path / "l.tif", np.ones((150, 180), np.uint8))
    with pytest.raises(MaskError, match="the rasters belong to different slides"):
        infer(run_over("everything"), slide, tmp_path / "best.ckpt", files(tmp_path, labels=(other,)))
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"spacings": (1.0,)}, r"trained with spacings \[0.5\], run made has \[1.0\]"),
        ({"network": {"filters": 2}}, "trained with network "),
        ({"patch_size": 42}, "trained with patch_size "),
        (
            {"model": "hooknet", "spacings": (0.5, 2.0), "patch_size": 38},
            "trained with model unet, run made has hooknet",
        ),
    ],
)
def test_weights_of_another_run_are_refused(tmp_path, changes, told):
    path = trained(tmp_path, run_over("everything"))
    with pytest.raises(CheckpointError, match=told) as caught:
        load_network(run_over("everything", **changes), path, "s")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_weights_for_other_classes_are_refused(tmp_path):
    run = run_over("everything")
    path = trained(tmp_path, run)
    classes = {
        "two": {"value": 1, "colour": "#0000ff"},
        "one": {"value": 2, "colour": "#ff0000"},
    }
    section = {**run.dataset.model_dump(), "classes": classes}
    other = DenseRun("made", run.settings, type(run.dataset).model_validate(section), 1, None)
    with pytest.raises(
        CheckpointError, match=r"trained with classes \['one', 'two'\], run made has \['two', 'one'\]"
    ):
        load_network(other, path, "s")


def test_weights_that_do_not_fit_their_own_settings_are_refused(tmp_path):
    run = run_over("everything")
    path = trained(tmp_path, run, new_network(run_over("everything", network={"filters": 2})))
    with pytest.raises(CheckpointError, match="wanted shape"):
        load_network(run, path, "s")


def test_a_missing_checkpoint_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_network(run_over("everything"), tmp_path / "none.ckpt", "s")


def test_the_shares_of_the_classes_are_told(tmp_path, slide, noise_slide, caplog):
    run = run_over("everything")
    with caplog.at_level(logging.INFO, "hooknet"):
        infer(run, slide, trained(tmp_path, run), files(tmp_path))
    ones = 1 - noise_slide[1].mean()
    assert f"noise: predicted {150 * 211} px: one {ones:.1%}, two {1 - ones:.1%}" in caplog.text


def test_an_empty_map_and_one_of_a_single_class_are_warned_of(tmp_path, slide, caplog):
    run = run_over("tissue")
    nothing = made_slides.write_mask(tmp_path / "t.tif", np.zeros(SHAPE, np.uint8))
    infer(run, slide, trained(tmp_path, run), files(tmp_path, tissue=nothing))
    assert "noise: nothing was to be predicted, the map is empty" in caplog.text
    assert not read(tmp_path / "map.tif").any()
    path = made_slides.write_slide(tmp_path / "white.tif", np.full((150, 211, 3), 255, np.uint8))
    infer(
        run_over("everything"),
        slide.model_copy(update={"slide": str(path)}),
        trained(tmp_path, run_over("everything")),
        files(tmp_path),
    )
    assert "the whole map is one class" in caplog.text


def test_progress_without_a_terminal_is_at_most_ten_lines(tmp_path, slide, caplog):
    run = run_over("everything", infer={"tile": 30})
    with caplog.at_level(logging.INFO, "hooknet"):
        infer(run, slide, trained(tmp_path, run), files(tmp_path))
    lines = [one.message for one in caplog.records if re.search(r"\d of \d+ tiles", one.message)]
    assert 3 <= len(lines) <= 10
    total = lines[-1].split(" of ")[1].split()[0]
    assert lines[-1] == f"noise: {total} of {total} tiles"


@pytest.fixture
def running_out(monkeypatch):
    """Let torch run out of memory with views above a size; the sizes that were tried come in a list."""
    tried = []

    def limit(pixels):
        run = TorchEngine.start

        def start(self, views, logits=False):
            tried.append(self.tile.sizes[0])
            if views[0].shape[0] > pixels:
                raise OutOfMemory("out of memory")
            return run(self, views, logits)

        monkeypatch.setattr(TorchEngine, "start", start)
        return tried

    return limit


def test_smaller_tiles_are_tried_where_memory_runs_out(tmp_path, slide, noise_slide, running_out, caplog):
    tried = running_out(60)
    run = run_over("everything", infer={"tile": 90})
    infer(run, slide, trained(tmp_path, run), files(tmp_path))
    assert tried[0] > 60
    assert tried[-1] <= 60
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), noise_slide[1] + 1)
    sizes = [size for size, _ in groupby(tried)]
    assert sizes == sorted(sizes, reverse=True)
    told = [one.message for one in caplog.records if "out of memory" in one.message]
    assert told == [
        f"noise: out of memory with tiles of {size} px (out of memory); trying {smaller} px"
        for size, smaller in pairwise(sizes)
    ]
    assert sorted(one.name for one in tmp_path.glob("*.tif")) == ["map.tif", "noise.tif"]


def test_out_of_memory_with_the_smallest_tile_is_told_and_leaves_nothing(tmp_path, slide, running_out):
    running_out(10)
    run = run_over("everything")
    told = r"map\.tif: out of memory with tiles of 30 px \(out of memory\), and there are no smaller ones; "
    with pytest.raises(MaskError, match=told) as caught:
        infer(run, slide, trained(tmp_path, run), files(tmp_path))
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.glob("*.tif")] == ["noise.tif"]


def test_memory_decides_how_large_tiles_are(tmp_path, slide, monkeypatch):
    run = run_over("everything", infer={"tile": None})
    sizes = []
    start = TorchEngine.start
    monkeypatch.setattr(
        TorchEngine,
        "start",
        lambda self, views, logits=False: sizes.append(self.tile) or start(self, views, logits),
    )
    for room in (0, 1 << 20, 1 << 30):
        own = tile_bytes(run.network.shape, next(run.network.shape.tiles()))
        infer(run, slide, trained(tmp_path, run), files(tmp_path), memory=int(BESIDES + own + room))
    strides = sorted({tile.stride for tile in sizes})
    assert strides[0] < strides[-1]
    assert all(tile_bytes(run.network.shape, one) < own + (1 << 30) for one in sizes)


def test_shuffled_contexts_do_not_depend_on_memory(tmp_path, slide):
    two = {"model": "hooknet", "spacings": (0.5, 2.0), "patch_size": 38, "infer": {"tile": None}}
    run = run_over("everything", **two, shuffle_context=True)
    checkpoint = trained(tmp_path, run, made_networks.looking_at(1, (0.5, 2.0), 2, 38))
    maps = []
    for memory in (BESIDES + (80 << 20), 8 << 30):
        infer(run, slide, checkpoint, files(tmp_path), memory)
        maps.append(read(tmp_path / "map.tif"))
    np.testing.assert_array_equal(*maps)


def test_memory_for_not_even_the_smallest_tile_is_told(tmp_path, slide, caplog):
    run = run_over("everything")
    infer(run, slide, trained(tmp_path, run), files(tmp_path), memory=1000)
    assert "tiles of 30 px may take" in caplog.text
    assert "MB more than there is: no smaller ones; give more memory" in caplog.text


@pytest.mark.parametrize(
    ("shuffled", "options", "by"),
    [
        (True, {"tile": 100_000}, " by infer.tile 100000"),
        (True, {"tile": 50, "rim": 100_000}, " by infer.rim 100000 and infer.tile 50"),
        (False, {"tile": 50, "rim": 100_000}, " by infer.rim 100000"),
    ],
)
def test_tiles_that_nothing_computes_are_refused(tmp_path, slide, shuffled, options, by):
    two = {"model": "hooknet", "spacings": (0.5, 2.0), "patch_size": 38, "infer": options}
    run = run_over("everything", **two, shuffle_context=shuffled)
    checkpoint = trained(tmp_path, run, made_networks.looking_at(1, (0.5, 2.0), 2, 38))
    with pytest.raises(
        ConfigError, match=rf": tiles have \d+ px a side{by}, more than can be computed at once; lower that"
    ):
        infer(run, slide, checkpoint, files(tmp_path))
    assert not (tmp_path / "map.tif").exists()


def test_a_network_that_nothing_computes_is_told(tmp_path, slide, monkeypatch):
    run = run_over("everything")
    checkpoint = trained(tmp_path, run)
    monkeypatch.setattr(whole_slide, "MOST_VALUES", 100)
    with pytest.raises(ConfigError, match=r"px a side, more than can be computed at once; use a smaller net"):
        infer(run, slide, checkpoint, files(tmp_path))


def test_probabilities_are_in_place_before_the_map(tmp_path, slide, monkeypatch):
    run = run_over("everything")
    order = []
    replaced = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: order.append(Path(b).name) or replaced(a, b))
    infer(run, slide, trained(tmp_path, run), files(tmp_path, probabilities=tmp_path / "p.tif"))
    assert order[-2:] == ["p.tif", "map.tif"]
