import made_slides
import made_stages
import numpy as np
import pandas as pd
import pytest
import torch

from hooknet.coordinates import RasterGrid
from hooknet.data.samplers import SlideDraws
from hooknet.data.slide_images import SlideFile, SlideImages
from hooknet.errors import CheckpointError, ConfigError, MaskError
from hooknet.io.probabilities import create_probabilities
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training.refinement import Refinement, RefinerFolders, slide_files, train_refiner
from hooknet.training.states import TrainFiles

TRAIN = {"epochs": 2, "batch": 2, "accumulate": 1, "threads": 1, "learning_rate": 1e-3, "passes": 2}
NETWORK = {"batch_norm_momentum": 0.7}


def run_of(parent=True, **changes):
    settings = {"size": 64, "foreground": ["tumour"], "network": NETWORK, "train": TRAIN, **changes}
    return made_stages.refiner_run(made_stages.classifier_run() if parent else None, **settings)


def make_slide(folder, name, seed, wide=200, high=120):
    """Tumour is dark red; a heat map of cells of 20 px knows it; a corner is not annotated."""
    tumour = np.kron(made_slides.random_bits(6, 10, seed), np.ones((20, 20), np.uint8))[:high, :wide]
    image = np.where(tumour[..., None] > 0, (150, 60, 90), (230, 200, 215)).astype(np.uint8)
    slide = made_slides.write_slide(folder / f"{name}.tif", image, spacing=0.5)
    labels = tumour + 1
    labels[:40, :40] = 0
    mask = made_slides.write_mask(folder / f"{name}_labels.tif", labels.astype(np.uint8))
    heat = folder / f"{name}_heat.tif"
    grid = RasterGrid.over((wide, high), made_slides.square(0.5), 10.0)
    cells = tumour[::20, ::20] * np.uint8(255)
    with create_probabilities(heat, grid, made_stages.NAMES) as bands:
        bands.write(0, 0, np.stack([255 - cells, cells]))
    return SlideFile(name, slide, made_slides.square(0.5), mask, heat)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    made = [make_slide(folder, name, seed) for name, seed in (("a", 1), ("b", 2), ("c", 3))]
    return made[:2], made[2:]


def files_in(folder):
    return TrainFiles(*(folder / name for name in ("best.ckpt", "last.ckpt", "metrics.csv", "state")))


def test_image_heat_map_and_labels_show_one_place(slides):
    """The slide of 200 x 120 px of 0.5 µm in 64 px: a px is 3.125 slide px, the lower 25 rows are white."""
    image, labels = SlideImages(slides[0], 64, False, (2,))[0, 0]
    assert (image.shape, labels.shape) == ((4, 64, 64), (64, 64))
    assert image[:3, 39:].min() == 1.0
    assert not labels[39:].any()
    assert not image[3, 39:].any()
    # Where a px lies wholly in one cell colour, heat map and label agree.
    dark = image[0, :38] < 0.62
    light = image[0, :38] > 0.88
    known = labels[:38] > 0
    assert (labels[:38][dark & known] == 2).all()
    assert (labels[:38][light & known] == 1).all()
    certain = image[3, :38]
    assert float(certain[dark].mean()) > 0.8
    assert float(certain[light].mean()) < 0.2


def test_a_slide_without_a_heat_map_shows_three_channels(slides):
    bare = [SlideFile(one.id, one.slide, one.spacing, one.labels, None) for one in slides[0]]
    image, _ = SlideImages(bare, 64, False, (2,))[0, 0]
    assert image.shape == (3, 64, 64)


def test_a_heat_map_of_another_slide_is_refused(slides, tmp_path):
    other = make_slide(tmp_path, "other", 5, wide=160)
    mixed = [SlideFile("a", slides[0][0].slide, slides[0][0].spacing, slides[0][0].labels, other.heat)]
    with pytest.raises(MaskError, match="a heat map of another slide; make it again with classify-patches"):
        SlideImages(mixed, 64, False, (2,))


def test_a_heat_map_of_other_classes_is_refused(slides, tmp_path):
    classes = {"one": {"value": 1, "colour": "#ff0000"}, "two": {"value": 2, "colour": "#0000ff"}}
    run = run_of(classes=classes, foreground=["two"])
    with pytest.raises(
        MaskError, match=r"a_heat\.tif: probabilities of stroma, tumour, wanted one, two; make it"
    ):
        train_refiner(run, *slides, files_in(tmp_path))


def test_a_training_leaves_weights_and_curves(slides, tmp_path):
    files = files_in(tmp_path)
    train_refiner(run_of(), *slides, files)
    curves = pd.read_csv(files.metrics)
    assert list(curves["epoch"]) == [1, 2]
    assert list(curves["step"]) == [2, 4]  # 2 slides twice, in mini-batches of 2
    spec = load_checkpoint(files.best).spec
    assert (spec["settings"]["model"], spec["slides"]) == ("refiner", ["a", "b", "c"])
    assert not files.state.exists()


def test_gradients_accumulate_to_fewer_steps(slides, tmp_path):
    files = files_in(tmp_path)
    train_refiner(run_of(train=TRAIN | {"batch": 1, "accumulate": 4}), *slides, files)
    assert list(pd.read_csv(files.metrics)["step"]) == [1, 2]


def test_an_interrupted_training_ends_with_the_same_weights(slides, tmp_path, monkeypatch):
    run = run_of(train=TRAIN | {"batch": 1})
    whole, cut = files_in(tmp_path / "whole"), files_in(tmp_path / "cut")
    train_refiner(run, *slides, whole)
    step, seen = Refinement.training_step, []

    def stops(self, batch, number):
        seen.append(number)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(Refinement, "training_step", stops)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train_refiner(run, *slides, cut)
    monkeypatch.setattr(Refinement, "training_step", step)
    train_refiner(run, *slides, cut)
    one, other = (load_checkpoint(files.last).state_dict for files in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_heat_map_is_learnt_from(slides, tmp_path):
    files = files_in(tmp_path)
    train = TRAIN | {"epochs": 6, "passes": 10, "learning_rate": 5e-3}
    train_refiner(run_of(train=train), *slides, files)
    assert pd.read_csv(files.metrics)["f1_tumour"].max() > 0.85


def test_a_class_in_the_foreground_that_no_slide_shows_is_told(slides, tmp_path):
    run = run_of(classes=made_stages.CLASSES | {"fat": {"value": 3, "colour": "#00ff00"}}, foreground=["fat"])
    bare = [[SlideFile(one.id, one.slide, one.spacing, one.labels, None) for one in part] for part in slides]
    with pytest.raises(
        ConfigError, match="run refined: the 2 training slides show no px of fat at this size"
    ):
        train_refiner(run, *bare, files_in(tmp_path))


def test_files_of_a_slide_are_those_of_the_run_that_made_its_heat_map(tmp_path):
    run = run_of()
    folders = RefinerFolders(tmp_path / "slides", tmp_path / "runs")
    (found,) = slide_files(run, run.slides("training"), {"a": "patches-part0of5"}, folders)
    assert found.heat == tmp_path / "runs" / "patches-part0of5" / "probabilities" / "a.tif"
    assert found.labels == tmp_path / "slides" / "a" / "labels.tif"
    (bare,) = slide_files(run_of(parent=False), run.slides("training"), {}, folders)
    assert bare.heat is None


def test_slides_come_all_before_one_comes_again():
    draws = SlideDraws(5, 3, seed=1)
    seen = [slide for _ in range(10) for _, slide in draws.next_batch()]
    rounds = [seen[start : start + 5] for start in range(0, 30, 5)]
    assert all(sorted(one) == [0, 1, 2, 3, 4] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1


def test_draws_of_slides_go_on_where_they_stopped():
    one, other = SlideDraws(5, 3, seed=1), SlideDraws(5, 3, seed=1)
    for _ in range(4):
        one.next_batch()
    other.load_state_dict(one.state_dict())
    assert [one.next_batch() for _ in range(5)] == [other.next_batch() for _ in range(5)]
    with pytest.raises(CheckpointError, match="over 5 slides, wanted slides over 6; train afresh"):
        SlideDraws(6, 3, seed=1).load_state_dict(one.state_dict())
