import json

import made_runs
import made_slides
import made_stages
import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from hooknet.data.index import SlideFiles
from hooknet.errors import CheckpointError, ConfigError
from hooknet.groundtruth.centres import count_pixels, draw_centres, generator
from hooknet.io.masks import Mask
from hooknet.io.tables import Centres, write_centres
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training import clusters
from hooknet.training.batches import complete_index, hierarchical_draws
from hooknet.training.classification import Classification, train_classifier
from hooknet.training.states import TrainFiles
from hooknet.training.weights import new_classifier

SIDE = 256
TRAIN = {
    "epochs": 2, "steps": 3, "batch": 4, "threads": 1, "workers": 0, "learning_rate": 1e-3, "validation_patches": 8,
}  # fmt: skip


def run_of(**changes):
    settings = {"spacing": 0.5, "network": {"batch_norm_momentum": 0.7}, "train": TRAIN, **changes}
    return made_stages.classifier_run(**settings)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Slides whose tissue is 64 px squares of one of two colours; patches are of 32 px."""
    folder, found = tmp_path_factory.mktemp("slides"), []
    for name, seed in (("a", 1), ("b", 2)):
        classes = np.kron(made_slides.random_bits(4, 4, seed) + 1, np.ones((64, 64), np.uint8))
        colours = np.array([made_runs.COLOURS[1], made_runs.COLOURS[2]])[classes - 1]
        slide = made_slides.write_slide(folder / f"{name}.tif", colours.astype(np.uint8), spacing=0.5)
        labels = made_slides.write_mask(folder / f"{name}_labels.tif", classes.astype(np.uint8))
        with Mask.open(labels) as mask:
            table = count_pixels(draw_centres(mask, 40, generator(1, name)), mask, 1, 0.5, 2)
        centres = folder / f"{name}.parquet"
        write_centres(centres, Centres(table, ("stroma", "tumour"), 1, 0.5))
        found.append(SlideFiles(name, slide, made_slides.square(0.5), labels, centres))
    return found[:1], found[1:]


def files_in(folder):
    names = ("best.ckpt", "last.ckpt", "metrics.csv", "state", "draws.csv")
    return TrainFiles(*(folder / name for name in names))


def test_a_training_leaves_weights_curves_and_what_was_drawn(slides, tmp_path):
    files = files_in(tmp_path)
    train_classifier(run_of(), *slides, None, files)
    curves = pd.read_csv(files.metrics)
    assert list(curves["epoch"]) == [1, 2]
    assert {"train_loss", "validation_loss", "validation_macro_f1", "f1_tumour", "share_tumour"} <= set(
        curves
    )
    assert curves["share_stroma"].iloc[-1] + curves["share_tumour"].iloc[-1] == pytest.approx(1)
    drawn = pd.read_csv(files.draws, dtype={"value": str})
    assert set(drawn["level"]) == {"grade", "slide", "class"}
    assert drawn.loc[drawn["level"] == "class", "drawn"].sum() == 2 * 3 * 4
    assert set(drawn.loc[drawn["level"] == "class", "value"]) == {"stroma", "tumour"}
    assert list(drawn.loc[drawn["level"] == "slide", "value"]) == ["a"]
    spec = load_checkpoint(files.best).spec
    assert (spec["settings"]["model"], spec["slides"]) == ("classifier", ["a", "b"])
    assert not files.state.exists()


def test_an_interrupted_training_ends_with_the_same_weights(slides, tmp_path, monkeypatch):
    whole, cut = files_in(tmp_path / "whole"), files_in(tmp_path / "cut")
    train_classifier(run_of(), *slides, None, whole)
    step, seen = Classification.training_step, []

    def stops(self, batch, number):
        seen.append(number)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(Classification, "training_step", stops)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train_classifier(run_of(), *slides, None, cut)
    assert not cut.best.exists()
    monkeypatch.setattr(Classification, "training_step", step)
    train_classifier(run_of(), *slides, None, cut)
    one, other = (load_checkpoint(files.last).state_dict for files in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.draws.read_text() == cut.draws.read_text()


def test_two_colours_are_learnt(slides, tmp_path):
    files = files_in(tmp_path)
    longer = TRAIN | {"epochs": 4, "steps": 15, "batch": 16, "validation_patches": 60}
    train_classifier(run_of(train=longer), *slides, None, files)
    assert pd.read_csv(files.metrics)["validation_macro_f1"].max() > 0.8


def test_labels_of_patches_are_those_under_their_centres(slides):
    run = run_of()
    index = complete_index(run, "training", slides[0], run.patch_spec)
    with Mask.open(slides[0][0].labels) as mask:
        for x, y, label in index.table[["x", "y", "label"]].to_numpy(int)[:50]:
            assert mask.read(x, y, 1, 1)[0, 0] == label


def test_the_loss_of_one_cluster_is_balanced_over_classes(slides):
    """And without clusters it is cross-entropy over all patches."""
    run = run_of()
    network = new_classifier(run).eval()
    generator = torch.Generator().manual_seed(3)
    views = torch.randint(0, 256, (6, 1, 32, 32, 3), generator=generator, dtype=torch.uint8)
    labels = torch.tensor([1, 1, 1, 1, 2, 2], dtype=torch.uint8)
    batch = (views, labels, torch.zeros(6, 12), torch.zeros(6, 2, 3, 3))

    class One:
        count = 1

        def of(self, patches):
            return torch.zeros(len(patches), dtype=torch.long)

    def loss(run, clusters):
        module = Classification(network, None, run, clusters)
        module.log = lambda *_, **__: None
        return float(module.training_step(batch, 0).detach())

    logits = network(views[:, 0].permute(0, 3, 1, 2) / 255)
    each = cross_entropy(logits, labels.long() - 1, reduction="none").detach()
    assert loss(run, None) == pytest.approx(float(each.mean()), rel=1e-5)
    balanced = float((each[:4].mean() + each[4:].mean()) / 2)
    assert loss(run_of(clusters={"k": 1}), One()) == pytest.approx(balanced, rel=1e-5)


def test_clusters_are_fitted_stored_and_used(slides, tmp_path):
    run = run_of(clusters={"k": 2, "patches": 40, "components": 4})
    path = tmp_path / "clusters.ckpt"
    clusters.fit(run, slides[0], path)
    again = tmp_path / "again.ckpt"
    clusters.fit(run, slides[0], again)
    one, other = (load_checkpoint(place).state_dict for place in (path, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    found = clusters.load_clusters(run, path)
    flat = torch.tensor([made_runs.COLOURS[1], made_runs.COLOURS[2]]).float() / 255
    ids = found.of(flat[:, :, None, None].expand(-1, -1, 32, 32).contiguous())
    assert sorted(ids.tolist()) == [0, 1]  # two colours are all there is to tell patches by
    files = files_in(tmp_path)
    train_classifier(run, *slides, path, files)
    assert np.isfinite(pd.read_csv(files.metrics)["train_loss"]).all()


def test_clusters_of_other_settings_are_refused(slides, tmp_path):
    path = tmp_path / "clusters.ckpt"
    clusters.fit(run_of(clusters={"k": 2, "patches": 20, "components": 4}), slides[0], path)
    with pytest.raises(CheckpointError, match=r"clusters of clusters .* fit them again"):
        clusters.load_clusters(run_of(clusters={"k": 3, "patches": 20, "components": 4}), path)


def test_clusters_are_those_of_single_precision_also_where_training_is_in_half(slides, tmp_path):
    run = run_of(clusters={"k": 5, "patches": 40, "components": 8})
    clusters.fit(run, slides[0], tmp_path / "clusters.ckpt")
    found = clusters.load_clusters(run, tmp_path / "clusters.ckpt")
    patches = torch.rand(30, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        half = found.of(patches)
    assert torch.equal(half, found.of(patches))


def test_clusters_that_are_missing_or_not_asked_for_are_told(slides, tmp_path):
    with pytest.raises(
        ConfigError, match="run patches: found no clusters, wanted some by its settings; give --clus"
    ):
        train_classifier(run_of(clusters={"k": 2}), *slides, None, files_in(tmp_path))
    with pytest.raises(ConfigError, match="run patches: found clusters, wanted none by its settings"):
        train_classifier(run_of(), *slides, tmp_path / "clusters.ckpt", files_in(tmp_path))


def test_a_run_without_clusters_has_none_to_fit(slides, tmp_path):
    with pytest.raises(ConfigError, match="run patches: has no `clusters` section"):
        clusters.fit(run_of(), slides[0], tmp_path / "clusters.ckpt")


def test_draws_go_by_grades_where_slides_have_them(slides):
    run = run_of()
    graded = [
        one.model_copy(update={"grade": grade}) for one, grade in zip(run.dataset.slides, "xyz", strict=True)
    ]
    dataset = run.dataset.model_copy(update={"slides": tuple(graded)})
    object.__setattr__(run, "dataset", dataset)
    index = complete_index(run, "training", [*slides[0], *slides[1]], run.patch_spec)
    draws = hierarchical_draws(run, index, 10)
    for _ in range(5):
        draws.next_batch()
    told = draws.realised()
    assert list(told.loc[told["level"] == "grade", "value"]) == ["x", "y"]
    assert json.dumps(draws.state_dict())
