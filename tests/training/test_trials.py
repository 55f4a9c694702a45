"""A trial trained rung by rung is one trained at once, and all trials are asked about the same centres."""

import errno
import os
import shutil
from pathlib import Path

import made_runs
import numpy as np
import pandas as pd
import pytest
import torch

from hooknet.data.samplers import validation_rows
from hooknet.io.masks import Mask
from hooknet.io.points import read_points
from hooknet.io.tables import read_centres
from hooknet.models.checkpoint import Checkpoint, load_checkpoint
from hooknet.training.states import TrainFiles
from hooknet.training.trials import TrialFiles, train_trial

pytestmark = pytest.mark.filterwarnings("error")
EPOCHS = 4


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    return tmp_path_factory.mktemp("slides")


def trial(slides: Path, folder: Path, epochs: int, earlier: Path | None = None, **changes) -> Path:
    """A rung that ends after so many epochs; its folder."""
    run = made_runs.make_run(train={"epochs": EPOCHS}, **changes)
    training, validation = made_runs.make_slides(slides, run)
    folder.mkdir(parents=True, exist_ok=True)
    files = TrainFiles(
        folder / "best.ckpt", None, folder / "metrics.csv", folder / "working", kept=folder / "state"
    )
    kept = None if earlier is None else earlier / "state"
    train_trial(run, training, validation, TrialFiles(files, folder / "points.parquet", kept), epochs)
    return folder


@pytest.fixture(scope="module")
def at_once(slides, tmp_path_factory):
    return trial(slides, tmp_path_factory.mktemp("at_once"), EPOCHS)


def assert_same(one: Path, other: Path):
    left, right = (load_checkpoint(folder / "best.ckpt") for folder in (one, other))
    assert left.extra == right.extra
    assert all(torch.equal(left.state_dict[key], right.state_dict[key]) for key in left.state_dict)
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    assert (one / "points.parquet").read_bytes() == (other / "points.parquet").read_bytes()


def test_rung_by_rung_is_the_same_as_at_once(slides, at_once, tmp_path):
    first = trial(slides, tmp_path / "rung0", 1)
    assert len(pd.read_csv(first / "metrics.csv")) == 1
    before = sorted((path.name, path.stat().st_mtime_ns) for path in (first / "state").iterdir())
    second = trial(slides, tmp_path / "rung1", 3, first)
    third = trial(slides, tmp_path / "rung2", EPOCHS, second)
    assert_same(third, at_once)
    # What a rung has kept is for others to read.
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (first / "state").iterdir()) == before


def stop(*_):
    """Stands for a kill where a function is called."""
    raise KeyboardInterrupt


def test_slides_are_not_measured_for_weights_that_meet_no_others(at_once):
    assert load_checkpoint(at_once / "best.ckpt").spec["cohort"] is None


def test_the_same_trial_once_more_comes_to_the_same(slides, at_once, tmp_path):
    assert_same(trial(slides, tmp_path, EPOCHS), at_once)


def test_an_interrupted_rung_goes_on(slides, at_once, tmp_path, monkeypatch):
    first = trial(slides, tmp_path / "rung0", 2)

    with monkeypatch.context() as patched:
        patched.setattr("hooknet.training.loop.move_results", stop)
        with pytest.raises(KeyboardInterrupt):
            trial(slides, tmp_path / "rung1", EPOCHS, first)
    assert not (tmp_path / "rung1" / "points.parquet").exists()
    # All four epochs are in the working state: nothing is left to be trained.
    monkeypatch.setattr("lightning.Trainer.fit", stop)
    assert_same(trial(slides, tmp_path / "rung1", EPOCHS, first), at_once)


def test_a_rung_that_has_become_shorter_does_not_take_what_a_longer_one_left(slides, tmp_path, monkeypatch):
    """A search whose budget was lowered while a trial was interrupted: all of a rung have to have seen as much."""
    fresh = trial(slides, tmp_path / "fresh", 1)

    with monkeypatch.context() as patched:
        patched.setattr("hooknet.training.loop.move_results", stop)
        with pytest.raises(KeyboardInterrupt):
            trial(slides, tmp_path / "shorter", 2)
    assert_same(trial(slides, tmp_path / "shorter", 1), fresh)
    assert_same(trial(slides, tmp_path / "of_longer", 1, trial(slides, tmp_path / "longer", 2)), fresh)


@pytest.mark.parametrize("name", ["state.ckpt", "best.ckpt"])
@pytest.mark.parametrize("size", [0, 1000, None])
def test_damage_to_what_a_rung_kept_is_no_end(slides, tmp_path, caplog, name, size):
    """Told of, and trained from the start; None: the file is gone."""
    first = trial(slides, tmp_path / "rung0", 1)
    damaged = first / "state" / name
    if size is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:size])
    fresh = trial(slides, tmp_path / "fresh", 2)
    assert_same(trial(slides, tmp_path / "rung1", 2, first), fresh)
    if name == "best.ckpt" or size is not None:
        assert "working: damaged; starting afresh" in caplog.text


def test_what_another_training_kept_is_not_gone_on_with(slides, tmp_path):
    other = trial(slides, tmp_path / "other", 1, network={"filters": 2})
    fresh = trial(slides, tmp_path / "fresh", 2)
    assert_same(trial(slides, tmp_path / "taken", 2, other), fresh)


def test_points_are_the_validation_centres_and_their_labels(slides, at_once):
    found = read_points(at_once / "points.parquet")
    table = read_centres(slides / "b.parquet").table
    rows = table.iloc[validation_rows(table["label"].to_numpy(np.uint8), 8, 1)]
    assert found.x.tolist() == rows["x"].tolist()
    assert found.y.tolist() == rows["y"].tolist()
    with Mask.open(slides / "b_labels.tif") as mask:
        under = [mask.read(int(x), int(y), 1, 1)[0, 0] for x, y in zip(found.x, found.y, strict=True)]
    assert found.labels.tolist() == under
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_pixel_told_of_is_the_one_under_the_centre(slides, tmp_path, monkeypatch):
    """A network that gives back its input's middle: the told class is the colour at the centre, exactly there."""
    run = made_runs.make_run(train={"epochs": EPOCHS})
    _, validation = made_runs.make_slides(slides, run)
    margin = (38 - 12) // 2

    class Looks(torch.nn.Module):
        def forward(self, patches):
            assert not torch.backends.cudnn.allow_tf32
            red = patches[0][:, 0, margin:-margin, margin:-margin]
            return [torch.stack([red - 0.62, 0.62 - red], dim=1) * 50]

    from hooknet.training import trials

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # as torch has it
    monkeypatch.setattr(trials, "new_network", lambda run: Looks())
    monkeypatch.setattr(trials, "restore", lambda *_: None)
    monkeypatch.setattr(trials, "load_checkpoint", lambda path: load_checkpoint_of_nothing())
    found = trials.predict_centres(run, validation, tmp_path / "none.ckpt")
    # Colours of the two classes lie 80 grey levels apart, noise within 12: every pixel is told right.
    assert found.predicted.tolist() == found.labels.tolist()
    assert set(found.labels.tolist()) == {1, 2}


def load_checkpoint_of_nothing():
    return Checkpoint({}, {}, {}, "0")


def test_a_disk_that_cannot_be_read_now_costs_no_state(slides, tmp_path, monkeypatch):
    first = trial(slides, tmp_path / "rung0", 1)
    working = tmp_path / "rung1" / "working"
    shutil.copytree(first / "state", working)

    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patched:
        patched.setattr("hooknet.training.states.check_sums", fail)
        with pytest.raises(OSError, match="Input/output error"):
            trial(slides, tmp_path / "rung1", 2)
    assert {path.name: path.read_bytes() for path in working.iterdir()} == {
        path.name: path.read_bytes() for path in (first / "state").iterdir()
    }
