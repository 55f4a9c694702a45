"""Several processes train as one: the same draws, losses, gradients and scores, whatever their number."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import made_runs
import numpy as np
import pandas as pd
import pytest
import torch
from torch import multiprocessing as mp

from hooknet.config.dense import TrainOptions
from hooknet.errors import ConfigError
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training import ranks
from hooknet.training.boundary_loss import boundary_loss
from hooknet.training.cluster_loss import cluster_cross_entropy
from hooknet.training.dice import soft_dice_of
from hooknet.training.frequency_loss import frequency_loss
from hooknet.training.losses import all_pixels_cross_entropy, annotated_cross_entropy
from hooknet.training.ranks import OwnShare, Ranks, Shares, ranks_of
from hooknet.training.region_losses import dice_loss, focal_loss

LOSSES = {
    "cross-entropy": annotated_cross_entropy,
    "cross-entropy of all px": all_pixels_cross_entropy,
    "dice": dice_loss,
    "focal": focal_loss,
    "boundary": boundary_loss,
    "frequency": frequency_loss,
    "soft dice": lambda logits, labels: soft_dice_of(logits, labels, (1, 2), False),
    "soft dice of the batch": lambda logits, labels: soft_dice_of(logits, labels, (1, 2), True),
    "clusters": lambda logits, labels: cluster_cross_entropy(
        logits[:, :, 0, 0], labels[:, 0, 0], labels[:, 1, 1].long() % 2, 2
    ),
}


def batch():
    """Logits and labels of six images, annotated here more and there less."""
    torch.manual_seed(3)
    logits = torch.randn(6, 3, 8, 8, dtype=torch.float64)
    labels = torch.randint(0, 4, (6, 8, 8), dtype=torch.uint8)
    labels[1, 2:] = 0
    labels[4] = 0
    return logits, labels


def losses_of(logits, labels):
    """Loss and gradient with respect to a factor that all logits share, of each kind."""
    found = {}
    for name, measure in LOSSES.items():
        factor = torch.ones((), dtype=torch.float64, requires_grad=True)
        loss = measure(factor * logits, labels)
        (gradient,) = torch.autograd.grad(loss, factor)
        found[name] = (loss.detach(), gradient)
    return found


def meet(rank, world, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )


def _losses(rank, world, folder):
    meet(rank, world, folder)
    logits, labels = (one[rank::world] for one in batch())
    torch.save(losses_of(logits, labels), Path(folder) / f"{rank}.pt")


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_losses_and_gradients_are_those_of_the_whole_batch(tmp_path, world):
    mp.spawn(_losses, (world, str(tmp_path)), world)
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(world)]
    for name, (loss, gradient) in losses_of(*batch()).items():
        # Processes average gradients, and what they log.
        torch.testing.assert_close(torch.stack([one[name][0] for one in parts]).mean(), loss, msg=name)
        torch.testing.assert_close(torch.stack([one[name][1] for one in parts]).mean(), gradient, msg=name)


def _together(rank, world, folder):
    meet(rank, world, folder)
    network = torch.nn.BatchNorm2d(2)
    network.running_mean += rank + 1
    ranks.share_statistics(network)
    counts = ranks.added(np.array([[rank, 2], [3, 4]]), torch.device("cpu"))
    shares = list(Shares([[1, 2, 3, 4], [5, 6, 7, 8]]))
    own = OwnShare(list("abcde"))
    with torch.no_grad():
        validated = float(ranks.summed(torch.tensor(1.5)))
    seeds = [ranks.drawn_by(1, 4, 0, step) for step in range(3)]
    told = {
        "mean": network.running_mean.tolist(), "counts": counts.tolist(), "shares": shares, "own": list(own),
        "length": len(own), "all": own.all, "validated": validated, "seeds": seeds,
    }  # fmt: skip
    (Path(folder) / f"{rank}.json").write_text(json.dumps(told))


def test_each_process_takes_its_share_and_all_count_together(tmp_path):
    mp.spawn(_together, (2, str(tmp_path)), 2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["mean"] == second["mean"] == [1.5, 1.5]
    assert first["counts"] == second["counts"] == [[1, 4], [6, 8]]
    assert (first["shares"], second["shares"]) == ([[1, 3], [5, 7]], [[2, 4], [6, 8]])
    assert (first["own"], second["own"]) == (["a", "c", "e"], ["b", "d"])
    assert (first["length"], second["length"], first["all"]) == (3, 2, 5)
    assert first["validated"] == second["validated"] == 1.5
    assert first["seeds"] == [ranks.drawn_by(1, 4, 0, step) for step in range(3)]
    assert not set(first["seeds"]) & set(second["seeds"])


def train(slides, folder, *settings, by=(sys.executable,)):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(made_runs.__file__).parent)}
    return subprocess.Popen(
        [*by, made_runs.__file__, str(slides), str(folder), *settings],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def trained(slides, folder, *settings):
    _, told = (process := train(slides, folder, *settings)).communicate(timeout=300)
    assert process.returncode == 0, told
    return pd.read_csv(folder / "metrics.csv"), told


def settings_of(devices, **more):
    return "train=" + json.dumps({"epochs": 3, "devices": devices, **more})


@pytest.fixture(scope="module")
def hdc_slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hdc")
    made_runs.make_slides(folder, made_runs.make_hdc_run())
    return folder


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    made_runs.make_slides(folder, made_runs.make_run())
    return folder


def test_one_and_two_processes_train_one_network(hdc_slides, tmp_path):
    """Without layers that look at a whole mini-batch the first step's loss is the same, and curves stay close."""
    losses = {"cross_entropy": 1.0, "dice": 0.5, "boundary": 0.2, "boundary_warmup": 0}
    quiet = 'augment={"noise": 0}'  # noise is drawn by the mini-batch
    tables = {}
    for devices in (1, 2):
        settings = settings_of(devices, epochs=2, steps=1, learning_rate=1e-4, losses=losses)
        tables[devices], told = trained(hdc_slides, tmp_path / str(devices), "hdc", quiet, settings)
    assert not told  # neither warnings nor remarks of libraries
    one, two = tables[1], tables[2]
    pd.testing.assert_series_equal(one["share_one"], two["share_one"])
    terms = [name for name in one if name.startswith("train_")]
    np.testing.assert_allclose(two.loc[0, terms].astype(float), one.loc[0, terms].astype(float), rtol=1e-6)
    np.testing.assert_allclose(two[terms], one[terms], rtol=1e-2)
    np.testing.assert_allclose(two["validation_loss"], one["validation_loss"], rtol=2e-2)
    np.testing.assert_allclose(two["validation_macro_f1"], one["validation_macro_f1"], atol=0.02)


@pytest.mark.slow
def test_two_processes_learn_as_one(slides, tmp_path):
    """With batch normalisation over each process's share: the curve within noise."""
    settings = {"epochs": 3, "steps": 20}
    scores = {}
    for devices in (1, 2):
        table, _ = trained(
            slides, tmp_path / str(devices), settings_of(devices, **settings, batch=8), "loss_weights=[1,0]"
        )
        scores[devices] = table["validation_macro_f1"].max()
        assert table["step"].tolist() == [20, 40, 60]
    assert min(scores.values()) > 0.9
    best = load_checkpoint(tmp_path / "2" / "best.ckpt")
    assert best.extra["validation_macro_f1"] == pytest.approx(scores[2], abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_two_interrupted_processes_end_at_once_and_go_on_to_the_same_weights(slides, tmp_path, number, code):
    settings = settings_of(2, epochs=40)
    process = train(slides, tmp_path / "one", settings)
    state = tmp_path / "one" / "state" / "state.ckpt"
    limit = time.monotonic() + 120
    while not state.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert state.exists(), "the training ended before it was disturbed"
    trained(slides, tmp_path / "one", settings)
    trained(slides, tmp_path / "two", settings)
    assert_the_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_torchrun_on_two_machines_trains_what_two_devices_do(slides, tmp_path):
    """Two of it on this machine, each told that it is one of two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    by = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    meeting = ["--master-addr=127.0.0.1", f"--master-port={port}"]
    both = [
        train(
            slides, tmp_path / "machines", settings_of(1, nodes=2), by=[*by, f"--node-rank={rank}", *meeting]
        )
        for rank in (0, 1)
    ]
    for process in both:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    trained(slides, tmp_path / "devices", settings_of(2))
    assert_the_same(tmp_path / "machines", tmp_path / "devices")


def assert_the_same(folder, other):
    one, two = (load_checkpoint(place / "last.ckpt").state_dict for place in (folder, other))
    assert [key for key in one if not torch.equal(one[key], two[key])] == []
    assert (folder / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()


def test_a_process_that_is_killed_ends_the_others(slides, tmp_path):
    process = train(slides, tmp_path, settings_of(2, epochs=400))
    limit = time.monotonic() + 120
    while not (tmp_path / "state" / "state.ckpt").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    (second,) = _children(process.pid)
    os.kill(second, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tmp_path / "best.ckpt").exists()


def _children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def options(**more):
    return TrainOptions(batch=12, **more)


def test_processes_are_found_not_assumed(monkeypatch):
    assert ranks_of(options(), 100, "r") == Ranks(1, 1)
    monkeypatch.setattr(ranks, "_gpus", lambda: 8)
    assert ranks_of(options(), 100, "r") == Ranks(6, 1)  # of 8 GPUs 6 can share 12 patches
    assert ranks_of(options(), 3, "r") == Ranks(3, 1)
    assert ranks_of(options(devices=4), 100, "r") == Ranks(4, 1)
    monkeypatch.setenv("SLURM_NTASKS", "6")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "3")
    assert ranks_of(options(), 100, "r") == Ranks(6, 1)  # a job's tasks may be for something else
    assert ranks_of(options(nodes=2), 100, "r") == Ranks(3, 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert ranks_of(options(), 100, "r") == Ranks(2, 1)
    assert ranks_of(options(nodes=2), 100, "r") == Ranks(2, 2)


@pytest.mark.parametrize(
    ("more", "gpus", "validated", "message"),
    [
        ({"devices": 5}, 0, 100,
         "run r: a mini-batch of 12 cannot be shared between 5 processes; set train.batch to a multiple of "
         "train.devices times train.nodes"),
        ({"devices": 2, "nodes": 4}, 2, 100,
         "run r: found 1 process(es), wanted 2 on each of 4 machines (train.devices, train.nodes); start the command "
         "by `srun --nodes=... --ntasks-per-node=...`, as profiles/slurm does, or by torchrun"),
        ({"devices": 4}, 2, 100,
         "run r: found 2 GPU(s), wanted train.devices 4; set it to auto, or ask for more GPUs"),
        ({"devices": 4}, 0, 3,
         "run r: a validation of 3 cannot be shared between 4 processes; lower train.devices"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_out_is_one_line(monkeypatch, more, gpus, validated, message):
    monkeypatch.setattr(ranks, "_gpus", lambda: gpus)
    with pytest.raises(ConfigError) as caught:
        ranks_of(options(**more), validated, "r")
    assert str(caught.value) == message


def test_a_mini_batch_is_shared_between_the_processes_of_all_machines(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(ConfigError, match="a mini-batch of 12 cannot be shared between 8 processes"):
        ranks_of(options(devices=2, nodes=4), 100, "r")
