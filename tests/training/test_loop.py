"""Trainings of a few seconds: they learn, repeat to the bit, and go on after any interruption."""

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import made_runs
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from hooknet.config.datasets import SlideSettings
from hooknet.data.index import load_index
from hooknet.data.samplers import OfficialBalanced, PixelBalanced
from hooknet.errors import CheckpointError, ConfigError, MaskError, SlideError
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.masks import Mask
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training import loop
from hooknet.training.batches import slide_files
from hooknet.training.loop import train
from hooknet.training.weights import checkpoint_spec, new_network

pytestmark = pytest.mark.filterwarnings("error")
PRECISIONS = ("auto", "fp32", "tf32", "bf16")
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    made_runs.make_slides(folder, made_runs.make_run())
    return folder


@pytest.fixture(scope="module")
def undisturbed(slides, tmp_path_factory):
    """The run all others have to equal, bit by bit."""
    folder = tmp_path_factory.mktemp("undisturbed")
    made_runs.train_in(slides, folder, made_runs.make_run(train={"epochs": 4}))
    return folder


def names_in(folder):
    """All but the lock, an empty file that stays."""
    return sorted(set(os.listdir(folder)) - {".state.lock"})


def weights(path):
    return load_checkpoint(path).state_dict


def assert_same_results(one: Path, other: Path):
    for name in ("best.ckpt", "last.ckpt"):
        left, right = weights(one / name), weights(other / name)
        assert list(left) == list(right)
        for key in left:
            assert torch.equal(left[key], right[key]), f"{name}: {key}"
        assert load_checkpoint(one / name).extra == load_checkpoint(other / name).extra
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()


def test_results_are_in_place_and_the_state_is_gone(undisturbed):
    assert names_in(undisturbed) == ["best.ckpt", "last.ckpt", "metrics.csv"]
    table = pd.read_csv(undisturbed / "metrics.csv")
    assert table["epoch"].tolist() == [1, 2, 3, 4]
    assert table["step"].tolist() == [3, 6, 9, 12]
    best = load_checkpoint(undisturbed / "best.ckpt").extra
    assert best["validation_macro_f1"] == table["validation_macro_f1"].max()
    assert best["epoch"] == table["epoch"][table["validation_macro_f1"].idxmax()]


def test_the_curves_tell_the_shares_of_pixels_the_sampler_has_shown(slides, undisturbed):
    run = made_runs.make_run(train={"epochs": 4})
    index = load_index(made_runs.make_slides(slides, run)[0], ("one", "two"), run.network.shape.patch_spec)
    draws = PixelBalanced(index.labels, index.pixels, 4, run.seed)
    table = pd.read_csv(undisturbed / "metrics.csv")
    for shares in table[["share_one", "share_two"]].to_numpy():
        for _ in range(3):
            draws.next_batch()
        np.testing.assert_allclose(shares, draws.shares, rtol=1e-12)


def test_the_setting_chooses_the_rule(slides, undisturbed, tmp_path):
    run = made_runs.make_run(train={"epochs": 1, "sampler": "official"})
    made_runs.train_in(slides, tmp_path, run)
    index = load_index(made_runs.make_slides(slides, run)[0], ("one", "two"), run.network.shape.patch_spec)
    draws = OfficialBalanced(index.labels, index.pixels, 4, run.seed)
    for _ in range(3):
        draws.next_batch()
    found = pd.read_csv(tmp_path / "metrics.csv")[["share_one", "share_two"]].iloc[0].tolist()
    assert found == pytest.approx(draws.shares.tolist(), rel=1e-12)
    other = pd.read_csv(undisturbed / "metrics.csv")["share_one"].iloc[0]
    assert found[0] != pytest.approx(other, rel=1e-6)


def test_training_moves_the_weights_and_the_running_statistics(undisturbed):
    start, end = (
        new_network(made_runs.make_run(train={"epochs": 4})).state_dict(),
        weights(undisturbed / "last.ckpt"),
    )
    moved = [key for key in start if not torch.equal(start[key], end[key])]
    assert set(moved) == set(start)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"model": "unet", "spacings": (0.5,), "patch_size": 38},
        {"loss_weights": (0.75, 0.25), "network": {"merge": "add"}},
    ],
)
def test_a_network_learns_two_colours_in_a_few_steps(slides, tmp_path, model):
    run = made_runs.make_run(**model, train={"epochs": 3, "steps": 20}, augment=made_runs.NO_AUGMENT)
    made_runs.train_in(slides, tmp_path, run)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert table["validation_macro_f1"].max() > 0.95
    assert table["train_cross_entropy"].iloc[-1] < 0.5 * np.log(2)


def test_a_trained_network_maps_a_slide_it_has_not_seen(slides, tmp_path):
    run = made_runs.make_run(train={"epochs": 3, "steps": 8})
    made_runs.train_in(slides, tmp_path, run)
    made_runs.make_slide(tmp_path, "c", run, seed=3)
    slide = SlideSettings(id="c", slide=str(tmp_path / "c.tif"))
    infer(run, slide, tmp_path / "best.ckpt", MapFiles(tmp_path / "map.tif", None, None, ()))
    with Mask.open(tmp_path / "map.tif") as found:
        labels = found.read(0, 0, made_runs.SIDE, made_runs.SIDE)
    truth = made_runs.tissue_of(3)
    inner = np.s_[16:-16, 16:-16]  # at the border of the slide the network sees glass it was not shown
    assert (labels == truth)[inner].mean() > 0.95


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_does_not(slides, undisturbed, tmp_path):
    made_runs.train_in(slides, tmp_path / "same", made_runs.make_run(train={"epochs": 4}))
    assert_same_results(undisturbed, tmp_path / "same")
    other = made_runs.make_run(seed=2, train={"epochs": 1})
    made_runs.train_in(slides, tmp_path / "other", other)
    assert not torch.equal(
        next(iter(weights(tmp_path / "other" / "last.ckpt").values())),
        next(iter(weights(undisturbed / "last.ckpt").values())),
    )


def test_the_caller_s_random_state_changes_nothing(slides, undisturbed, tmp_path):
    torch.manual_seed(12345)
    np.random.seed(5)
    made_runs.train_in(slides, tmp_path, made_runs.make_run(train={"epochs": 4}))
    assert_same_results(undisturbed, tmp_path)


@pytest.mark.parametrize("how", [{"workers": 1}, {"workers": 2, "cache_mb": 0}, {"cache_mb": 1}])
def test_neither_workers_nor_what_they_keep_change_a_bit(slides, undisturbed, tmp_path, how):
    made_runs.train_in(slides, tmp_path, made_runs.make_run(train={"epochs": 4, **how}))
    one, other = weights(undisturbed / "last.ckpt"), weights(tmp_path / "last.ckpt")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert (undisturbed / "metrics.csv").read_bytes() == (tmp_path / "metrics.csv").read_bytes()


def _in_child(slides, folder, run, epoch_s):
    """Train in a process of its own, slowly enough to be hit."""
    # A shell that starts the tests in the background has its children ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.disable(logging.CRITICAL)
    step = loop.Segmentation.training_step

    def slow(self, batch, number):
        time.sleep(epoch_s)
        return step(self, batch, number)

    loop.Segmentation.training_step = slow
    made_runs.train_in(slides, folder, run)


def disturb(slides, folder, run, number, ready):
    """Send a training the signal ``number`` as soon as ``ready()``; its exit code."""
    child = FORK.Process(target=_in_child, args=(slides, folder, run, 0.1))
    child.start()
    limit = time.monotonic() + 40
    while not ready() and child.is_alive() and time.monotonic() < limit:
        time.sleep(0.01)
    assert child.is_alive(), "the training ended before it was disturbed"
    os.kill(child.pid, number)
    child.join(40)
    return child.exitcode


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGKILL, 0), (signal.SIGTERM, 0), (signal.SIGTERM, 1), (signal.SIGINT, 0)]
)
def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(
    slides, undisturbed, tmp_path, number, workers, caplog
):
    run = made_runs.make_run(train={"epochs": 4, "workers": workers})
    code = disturb(slides, tmp_path, run, number, lambda: (tmp_path / "state" / "state.ckpt").exists())
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 1}[number]
    # Nothing that looks finished: a workflow would take it for the result.
    assert names_in(tmp_path) == ["state"]
    with caplog.at_level(logging.INFO, "hooknet"):
        made_runs.train_in(slides, tmp_path, run)
    assert "going on after epoch" in caplog.text
    assert "going on after epoch 4" not in caplog.text
    assert_same_results(undisturbed, tmp_path)
    assert not (tmp_path / "state").exists()


def test_a_training_killed_twice_goes_on_too(slides, undisturbed, tmp_path):
    run = made_runs.make_run(train={"epochs": 4})
    state = tmp_path / "state" / "state.ckpt"
    disturb(slides, tmp_path, run, signal.SIGKILL, state.exists)
    before = state.stat().st_mtime_ns
    disturb(slides, tmp_path, run, signal.SIGKILL, lambda: state.stat().st_mtime_ns != before)
    made_runs.train_in(slides, tmp_path, run)
    assert_same_results(undisturbed, tmp_path)


class Cut(BaseException):
    """Stands for a kill at a certain line."""


@contextlib.contextmanager
def cut_at(place, name):
    """End what runs inside where it calls a function; nothing else but that may end it."""

    def cut(*_, **__):
        raise Cut

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place, name, cut)
        with pytest.raises(Cut):
            yield


@pytest.mark.parametrize("place", ["move_results", "shutil.rmtree", "shutil.copyfile"])
def test_a_kill_after_the_last_epoch_costs_no_result(slides, undisturbed, tmp_path, place):
    run = made_runs.make_run(train={"epochs": 4})
    with cut_at(shutil if place.startswith("shutil") else loop, place.split(".")[-1]):
        made_runs.train_in(slides, tmp_path, run)
    made_runs.train_in(slides, tmp_path, run)
    assert_same_results(undisturbed, tmp_path)


def test_early_stopping_ends_at_the_same_epoch_when_killed_after_the_last(slides, tmp_path):
    # A learning rate of nearly nothing: no epoch is better than the first, patience ends after two more.
    run = made_runs.make_run(train={"epochs": 9, "stop_after": 2, "steps": 1, "learning_rate": 1e-12})
    made_runs.train_in(slides, tmp_path / "one", run)
    rows = len(pd.read_csv(tmp_path / "one" / "metrics.csv"))
    assert 3 <= rows < 9
    with cut_at(loop, "move_results"):
        made_runs.train_in(slides, tmp_path / "two", run)
    made_runs.train_in(slides, tmp_path / "two", run)
    assert_same_results(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    "changed", [{"train": {"epochs": 4, "learning_rate": 2e-2}}, {"augment": {"noise": 0.5}}]
)
def test_no_training_goes_on_under_other_settings(slides, undisturbed, tmp_path, caplog, changed):
    other = made_runs.make_run(**made_runs.merged({"train": {"epochs": 4}}, changed))
    with cut_at(loop, "move_results"):
        made_runs.train_in(slides, tmp_path, other)
    with caplog.at_level(logging.INFO, "hooknet"):
        made_runs.train_in(slides, tmp_path, made_runs.make_run(train={"epochs": 4}))
    assert "left by a training of other settings or data; starting afresh" in caplog.text
    assert_same_results(undisturbed, tmp_path)


def test_no_training_goes_on_where_a_slide_moved_from_training_to_validation(slides):
    run = made_runs.make_run()
    (one,), (other,) = made_runs.make_slides(slides, run)
    assert loop._identity(run, [one, other], []) != loop._identity(run, [one], [other])
    assert loop._identity(run, [one], [other]) == loop._identity(run, [one], [other])


@pytest.mark.parametrize(
    ("changed", "same"),
    [({"workers": 3}, True), ({"cache_mb": 7}, True), ({"compile": True}, False), ({"threads": 9}, False)],
)
def test_a_training_goes_on_with_other_workers_but_not_with_other_arithmetic(slides, changed, same):
    run, other = made_runs.make_run(), made_runs.make_run(train=changed)
    sides = made_runs.make_slides(slides, run)
    assert (loop._identity(run, *sides) == loop._identity(other, *sides)) == same


def test_a_state_whose_sampler_had_another_rule_is_one_line(slides, tmp_path, monkeypatch):
    # The fingerprint of the settings stands before it; here it is made to let such a state through.
    monkeypatch.setattr(loop, "_identity", lambda *_: "same")
    run = made_runs.make_run(train={"epochs": 2, "sampler": "official"})
    disturb(slides, tmp_path, run, signal.SIGKILL, (tmp_path / "state" / "state.ckpt").exists)
    with pytest.raises(CheckpointError) as caught:
        made_runs.train_in(slides, tmp_path, made_runs.make_run(train={"epochs": 2}))
    assert str(caught.value) == (
        f"{tmp_path / 'state'}: state of a sampler of the rule official, wanted balanced; train afresh"
    )


def test_no_training_goes_on_with_other_labels(slides, tmp_path, caplog):
    run = made_runs.make_run(train={"epochs": 1})
    training, validation = made_runs.make_slides(slides, run)
    labels = tmp_path / "labels.tif"
    labels.write_bytes(training[0].labels.read_bytes())
    moved = [replace(training[0], labels=labels)]
    files = made_runs.results(tmp_path)
    with cut_at(loop, "move_results"):
        train(run, moved, validation, files)
    os.utime(labels, (1, 1))
    with caplog.at_level(logging.INFO, "hooknet"):
        train(run, moved, validation, files)
    assert "starting afresh" in caplog.text


def test_a_class_that_is_absent_is_an_error_before_training(slides, tmp_path):
    run = made_runs.make_run()
    training, validation = made_runs.make_slides(slides, run)
    from hooknet.io.tables import read_centres, write_centres

    centres = read_centres(training[0].centres)
    one = tmp_path / "one.parquet"
    write_centres(one, replace(centres, table=centres.table[centres.table["label"] == 1]))
    for found, split in (
        (([replace(training[0], centres=one)], validation), "training"),
        ((training, [replace(validation[0], centres=one)]), "validation"),
    ):
        with pytest.raises(ConfigError) as caught:
            train(run, *found, made_runs.results(tmp_path))
        assert str(caught.value) == (
            f"run made: the 1 {split} slides have no annotated pixel of two; "
            "wanted every class of the dataset: move a slide that has it, or annotate more"
        )
    assert not (tmp_path / "state").exists()


def test_an_index_made_for_another_patch_is_an_error(slides, tmp_path):
    other = made_runs.make_run(patch_size=46)
    with pytest.raises(MaskError, match="make it again with index-centres"):
        made_runs.train_in(slides, tmp_path, other)


def test_weights_start_from_the_seed_and_nothing_else():
    state = torch.get_rng_state()
    one, other = new_network(made_runs.make_run()), new_network(made_runs.make_run())
    assert torch.equal(torch.get_rng_state(), state)
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)
    another = new_network(made_runs.make_run(seed=2))
    assert not torch.equal(next(iter(one.parameters())), next(iter(another.parameters())))


def test_weights_may_start_from_another_training(undisturbed):
    start = str(undisturbed / "last.ckpt")
    found = new_network(made_runs.make_run(train={"init_from": start})).state_dict()
    assert all(torch.equal(found[key], value) for key, value in weights(start).items())
    with pytest.raises(CheckpointError):
        new_network(made_runs.make_run(train={"init_from": start}, network={"filters": 5}))


def test_slides_that_the_first_weights_have_seen_are_no_test_slides(slides, undisturbed):
    run = made_runs.make_run(train={"init_from": str(undisturbed / "last.ckpt")})
    seen = load_checkpoint(undisturbed / "last.ckpt").spec["slides"]
    assert seen == ["a", "b"]
    assert checkpoint_spec(run, ())["slides"] == seen
    (one,), _ = [replace_id(side, "b") for side in made_runs.make_slides(slides, run)]
    assert checkpoint_spec(run, [one])["slides"] == ["b", "a"]


def replace_id(side, name):
    return [replace(one, id=name) for one in side]


def test_a_loss_that_is_no_number_is_one_line(slides, tmp_path):
    run = made_runs.make_run(train={"epochs": 2, "learning_rate": 1e20}, network={"batch_norm": False})
    with pytest.raises(ConfigError, match=r"^run made: the loss is (nan|inf) in epoch [12], wanted a number"):
        made_runs.train_in(slides, tmp_path, run)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slide_that_fails_while_it_trains_is_one_line_from_any_process(slides, tmp_path, workers):
    run = made_runs.make_run(train={"workers": workers})
    training, validation = made_runs.make_slides(slides, run)
    damaged = tmp_path / "damaged.tif"
    with tifffile.TiffFile(training[0].slide) as file:
        places = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts, strict=True))
    content = bytearray(training[0].slide.read_bytes())
    for start, length in places:
        content[start : start + length] = b"\xff" * length
    damaged.write_bytes(content)
    with pytest.raises(SlideError) as caught:
        train(run, [replace(training[0], slide=damaged)], validation, made_runs.results(tmp_path))
    told = str(caught.value)
    assert told.startswith(f"{damaged}: level 0 cannot be read at (")
    assert told.endswith("the file is damaged: copy or scan it again")
    assert "\n" not in told


def test_a_checkpoint_tells_where_it_comes_from(undisturbed):
    spec = load_checkpoint(undisturbed / "best.ckpt").spec
    assert (spec["run"], spec["seed"], spec["fold"], spec["dataset"]) == ("made", 1, None, "made")
    assert spec["classes"] == [
        {"name": "one", "value": 1, "colour": "#ff0000"},
        {"name": "two", "value": 2, "colour": "#0000ff"},
    ]
    assert spec["settings"]["spacings"] == [0.5, 1.0]
    told = {"trained_on", "validated_on", "normalisation", "tissue", "cohort", "fingerprint", "started_from"}
    assert set(checkpoint_spec(made_runs.make_run(), ())) | told == set(spec)


def test_the_files_of_a_slide_are_those_of_the_results_folder():
    run = made_runs.make_run()
    found = slide_files(run.patch_spec, run.dataset.slides[:1], Path("results"))[0]
    assert found.labels == Path("results/a/labels.tif")
    assert found.centres == Path("results/a/centres_12px_0.5um.parquet")
    assert (found.slide, found.spacing) == (Path("a.tif"), None)


def test_what_a_training_computes_in_goes_by_the_device(monkeypatch):
    options = made_runs.make_run().settings.train
    monkeypatch.setattr(loop, "has_bf16", lambda: True)
    assert [loop.precision_of(options.model_copy(update={"precision": one}), "run") for one in PRECISIONS] == [
        "bf16", "fp32", "tf32", "bf16",
    ]  # fmt: skip
    monkeypatch.setattr(loop, "has_bf16", lambda: False)
    assert [loop.precision_of(options.model_copy(update={"precision": one}), "run") for one in ("auto", "fp32")] == [
        "fp32", "fp32",
    ]  # fmt: skip


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_training_rounds_to_tf32_where_it_is_asked_for_alone(slides, tmp_path, monkeypatch, precision):
    def looks(*_):
        found = [one.allow_tf32 for one in (torch.backends.cudnn, torch.backends.cuda.matmul)]
        raise RuntimeError(f"{found}")

    monkeypatch.setattr(loop, "has_bf16", lambda: True)
    monkeypatch.setattr(loop, "_fit", looks)
    with pytest.raises(RuntimeError) as told:
        made_runs.train_in(slides, tmp_path, made_runs.make_run(train={"precision": precision}))
    assert str(told.value) == str([precision == "tf32"] * 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_precision_that_no_processor_trains_in_is_refused(slides, tmp_path, precision):
    with pytest.raises(
        ConfigError, match=rf"train\.precision {precision} needs a GPU .*, found no GPU; set it to auto"
    ):
        made_runs.train_in(slides, tmp_path, made_runs.make_run(train={"precision": precision}))
    assert not list(tmp_path.glob("*.ckpt"))
