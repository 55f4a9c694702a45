"""An HDC-HRNet trains by the same loop: it learns, goes on where it was interrupted, and maps a slide tile by tile."""

import made_runs
import numpy as np
import pandas as pd
import pytest
import torch

from hooknet.config.datasets import SlideSettings
from hooknet.inference.whole_slide import MapFiles, infer, load_network
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training import loop
from hooknet.training.callbacks import Keeper

POINTS = {"head": "pointrend", "points": {"points": 32, "hidden": 8, "inference_points": 64}}


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    made_runs.make_slides(folder, made_runs.make_hdc_run())
    return folder


def test_it_learns_two_colours_and_tells_each_term(slides, tmp_path):
    run = made_runs.make_hdc_run(
        train={"epochs": 4, "steps": 15, "losses": {"frequency": 0.1}}, network=POINTS
    )
    made_runs.train_in(slides, tmp_path, run)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert table["validation_macro_f1"].max() > 0.85
    terms = ["train_cross_entropy", "train_dice", "train_frequency", "train_points"]
    np.testing.assert_allclose(table[terms].sum(axis=1), table["train_loss"], rtol=1e-5)
    assert (table[terms].iloc[-1] < table[terms].iloc[0]).all()


def test_an_interrupted_training_ends_with_the_same_weights(slides, tmp_path, monkeypatch):
    """The cosine, AdamW and the points that are drawn go on where they were."""
    run = made_runs.make_hdc_run(train={"epochs": 3}, network=POINTS)
    made_runs.train_in(slides, tmp_path / "whole", run)
    saved = Keeper.on_train_epoch_end

    def cut(self, trainer, module):
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
        saved(self, trainer, module)

    monkeypatch.setattr(Keeper, "on_train_epoch_end", cut)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        made_runs.train_in(slides, tmp_path / "cut", run)
    monkeypatch.undo()
    assert (tmp_path / "cut" / "state" / "state.ckpt").is_file()
    made_runs.train_in(slides, tmp_path / "cut", run)
    one, other = (load_checkpoint(tmp_path / name / "last.ckpt").state_dict for name in ("whole", "cut"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert (tmp_path / "whole" / "metrics.csv").read_bytes() == (
        tmp_path / "cut" / "metrics.csv"
    ).read_bytes()


@pytest.mark.parametrize("infer_options", [{}, {"rim": 0}, {"engine": "torch", "rim": 9}])
def test_a_map_is_the_middles_of_tiles_like_patches(slides, tmp_path, infer_options):
    run = made_runs.make_hdc_run(infer={"over": "everything", **infer_options})
    made_runs.train_in(slides, tmp_path, run)
    slide = SlideSettings(id="c", slide=str(slides / "b.tif"), spacing=0.5)
    infer(run, slide, tmp_path / "best.ckpt", MapFiles(tmp_path / "map.tif", None, None, ()))
    network = load_network(run, tmp_path / "best.ckpt", "c")
    rim = infer_options.get("rim", 8)
    stride = 64 - 2 * rim
    with Slide(slide.slide, slide.spacing_override) as opened, Mask.open(tmp_path / "map.tif") as found:
        labels = found.read(0, 0, found.grid.width, found.grid.height)
        assert labels.shape == (256, 256)
        grid = opened.grid(0.5)
        # Tiles are centred on multiples of the stride.
        for column, row in ((0, 0), (2, 1), (1, 3)):
            left, top = column * stride - 32, row * stride - 32
            patch = opened.read(grid.window(left, top, 64, 64), (64, 64))
            with torch.no_grad():
                logits = network([torch.from_numpy(patch).permute(2, 0, 1)[None] / 255])[0][0]
            wanted = logits.argmax(0).numpy()[rim : 64 - rim, rim : 64 - rim] + 1
            x, y = left + rim, top + rim
            inside = wanted[max(0, -y) :, max(0, -x) :]
            part = labels[max(0, y) : y + stride, max(0, x) : x + stride]
            assert (inside == part).mean() > 0.999


def test_a_rim_that_leaves_nothing_is_one_line(slides, tmp_path):
    run = made_runs.make_hdc_run(infer={"rim": 32}, train={"epochs": 1})
    made_runs.train_in(slides, tmp_path, run)
    slide = SlideSettings(id="c", slide=str(slides / "b.tif"), spacing=0.5)
    with pytest.raises(
        loop.HookNetError, match="a rim of 32 px leaves nothing of a 64 px tile; use 31 px at most"
    ):
        infer(run, slide, tmp_path / "best.ckpt", MapFiles(tmp_path / "map.tif", None, None, ()))
    assert not (tmp_path / "map.tif").exists()
