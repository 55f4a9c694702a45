import logging
import os
from types import SimpleNamespace

import made_runs
import numpy as np
import pandas as pd
import pytest
import torch

from hooknet.data.samplers import SAMPLERS
from hooknet.errors import CheckpointError, ConfigError
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training.callbacks import BEST, LAST, METRICS, AtomicCheckpointIO, Keeper
from hooknet.training.module import Segmentation
from hooknet.training.weights import checkpoint_spec, new_network

RUN = made_runs.make_run()


class Scored(Segmentation):
    """Scores of the test's choosing."""

    f1 = (0.5, 0.5)

    @property
    def validation_scores(self):
        return SimpleNamespace(f1=np.array(self.f1), macro_f1=float(np.mean(self.f1)))


def epoch(keeper, module, number, f1, loss=1.0):
    module.f1 = f1
    with torch.no_grad():
        next(module.network.parameters()).fill_(number)
    metrics = {"train_loss": loss, "train_cross_entropy": 0.5, "validation_macro_f1": float(np.mean(f1))}
    trainer = SimpleNamespace(
        is_global_zero=True,
        current_epoch=number,
        global_step=10 * number,
        callback_metrics=metrics,
        max_epochs=9,
    )
    keeper.on_train_epoch_end(trainer, module)


@pytest.fixture
def module():
    return Scored(new_network(RUN), None, RUN.settings, ("one", "two"))


def sampler(rule="balanced"):
    return SAMPLERS[rule](np.array([1, 2], np.uint8), np.array([[30, 0], [0, 10]], np.int32), 4, 1)


def keeper_in(folder, draws=None):
    return Keeper(folder, checkpoint_spec(RUN, ()), ("one", "two"), draws or sampler())


def stamp(path):
    return float(next(iter(load_checkpoint(path).state_dict.values())).flatten()[0])


def test_the_best_weights_are_those_of_the_first_best_epoch_and_the_last_those_of_the_last(tmp_path, module):
    keeper = keeper_in(tmp_path)
    for number, f1 in enumerate([(0.2, 0.4), (0.6, 0.8), (0.8, 0.6), (0.1, 0.1)]):
        epoch(keeper, module, number, f1)
    assert stamp(tmp_path / BEST) == 1
    assert stamp(tmp_path / LAST) == 3
    extra = load_checkpoint(tmp_path / BEST).extra
    assert (extra["epoch"], extra["step"]) == (2, 10)
    assert extra["validation_macro_f1"] == pytest.approx(0.7)
    assert load_checkpoint(tmp_path / BEST).spec == checkpoint_spec(RUN, ()) | {
        "settings": RUN.settings.model_dump(mode="json")
    }
    assert sorted(os.listdir(tmp_path)) == [BEST, LAST, METRICS]


def test_the_curves_have_a_row_an_epoch(tmp_path, module):
    keeper = keeper_in(tmp_path)
    epoch(keeper, module, 0, (0.2, 0.4), loss=2.0)
    epoch(keeper, module, 1, (0.6, 0.8), loss=1.5)
    table = pd.read_csv(tmp_path / METRICS)
    assert table["epoch"].tolist() == [1, 2]
    assert table["train_loss"].tolist() == [2.0, 1.5]
    assert table["f1_two"].tolist() == [0.4, 0.8]
    assert table["validation_macro_f1"].tolist() == pytest.approx([0.3, 0.7])


def test_the_curves_and_the_log_have_the_shares_of_pixels_shown_so_far(tmp_path, module, caplog):
    draws = sampler()
    keeper = keeper_in(tmp_path, draws)
    with caplog.at_level(logging.INFO, "hooknet"):
        for number, shown in enumerate([(300, 100), (500, 500)]):
            draws.shown = np.array(shown)
            epoch(keeper, module, number, (0.2, 0.4))
    table = pd.read_csv(tmp_path / METRICS)
    assert table["share_one"].tolist() == [0.75, 0.5]
    assert table["share_two"].tolist() == [0.25, 0.5]
    assert caplog.messages[0] == (
        "epoch 1 of 9: loss 1.0000, validation macro F1 0.3000; annotated pixels shown: one 75.0%, two 25.0%"
    )


def test_a_first_epoch_of_score_0_is_kept_too(tmp_path, module):
    epoch(keeper_in(tmp_path), module, 0, (0.0, 0.0))
    assert stamp(tmp_path / BEST) == 0


def test_a_keeper_goes_on_where_another_stopped(tmp_path, module):
    undisturbed, first = keeper_in(tmp_path / "one"), keeper_in(tmp_path / "two")
    scores = [(0.2, 0.4), (0.6, 0.8), (0.3, 0.3)]
    for number, f1 in enumerate(scores):
        epoch(undisturbed, module, number, f1)
    for number, f1 in enumerate(scores[:2]):
        epoch(first, module, number, f1)
    second = keeper_in(tmp_path / "two")
    second.load_state_dict(first.state_dict())
    epoch(second, module, 2, scores[2])
    for name in (METRICS,):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert stamp(tmp_path / "two" / BEST) == 1


def test_the_sampler_goes_on_with_the_keeper_from_a_file_of_plain_values(tmp_path):
    draws, resumed = sampler(), sampler()
    for _ in range(7):
        draws.next_batch()
    torch.save(keeper_in(tmp_path, draws).state_dict(), tmp_path / "state")
    keeper_in(tmp_path, resumed).load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert [resumed.next_batch() for _ in range(5)] == [draws.next_batch() for _ in range(5)]


def test_the_state_of_another_rule_is_refused_in_one_line(tmp_path):
    state = keeper_in(tmp_path, sampler("official")).state_dict()
    with pytest.raises(CheckpointError) as caught:
        keeper_in(tmp_path).load_state_dict(state)
    assert str(caught.value) == (
        f"{tmp_path}: state of a sampler of the rule official, wanted balanced; train afresh"
    )
    del state["draws"]
    with pytest.raises(CheckpointError, match="of the rule None, wanted balanced"):
        keeper_in(tmp_path).load_state_dict(state)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path, module):
    with pytest.raises(ConfigError, match=r"^run made: the loss is nan in epoch 1, wanted a number; lower"):
        epoch(keeper_in(tmp_path), module, 0, (0.2, 0.4), loss=float("nan"))
    assert os.listdir(tmp_path) == []


def test_a_kill_while_a_state_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"epoch": 1}, tmp_path / "state.ckpt")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        writer.save_checkpoint({"epoch": 2}, tmp_path / "state.ckpt")
    assert torch.load(tmp_path / "state.ckpt", weights_only=True) == {"epoch": 1}


def test_what_a_kill_left_beside_weights_and_state_goes_with_the_next(tmp_path, module):
    # Of processes that are no more: no system gives numbers so high.
    left = [tmp_path / f".{name}.{2**22 + 1}.partial.ckpt" for name in ("best", "last", "state")]
    for path in left:
        path.touch()
    epoch(keeper_in(tmp_path), module, 0, (0.2, 0.4))
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / "state.ckpt")
    assert [path for path in left if path.exists()] == []
    assert sorted(os.listdir(tmp_path)) == ["best.ckpt", "last.ckpt", "metrics.csv", "state.ckpt"]


def test_weights_that_are_killed_in_the_writing_lie_where_the_next_looks(tmp_path, module, monkeypatch):
    names = []

    def killed(partial, place):
        names.append(partial.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        epoch(keeper_in(tmp_path), module, 0, (0.2, 0.4))
    assert names == [f".best.{os.getpid()}.partial.ckpt"]
    assert os.listdir(tmp_path) == [], "removed where there was time to"
