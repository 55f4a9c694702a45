from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import hooknet
from hooknet.errors import CheckpointError
from hooknet.models.checkpoint import FORMAT, load_checkpoint, restore, save_checkpoint
from hooknet.models.hooknet import HookNet
from hooknet.shapes.hooknet import HookNetSettings


def network(**changes):
    base = {"spacings": (0.5, 1.0), "classes": 2, "filters": 1, "depth": 1, "patch_size": 24}
    return HookNet(HookNetSettings(**(base | changes)))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(path, network(), {"name": "a µ", "spacings": [0.5, 0.1 + 0.2]}, {"epoch": 3, "f1": None})
    return path


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    model = network()
    path = tmp_path / "new folder" / "best.pt"
    save_checkpoint(path, model, {"spacings": [0.5, 0.1 + 0.2]}, {"epoch": 3})
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec == {"spacings": [0.5, 0.30000000000000004]}
    assert checkpoint.extra == {"epoch": 3}
    assert checkpoint.version == hooknet.__version__
    other = network()
    restore(other, checkpoint.state_dict, path)
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in other.state_dict().items())
    assert [one.name for one in path.parent.iterdir()] == ["best.pt"]


def test_a_missing_file_is_an_error_of_one_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pt: no such file"):
        load_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, part):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(part * len(content))])
    with pytest.raises(CheckpointError, match=r"best\.pt: damaged or no checkpoint") as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_bytes_that_mean_nothing_are_refused(tmp_path, seed):
    path = tmp_path / "noise.pt"
    start = [b"", b"PK\x03\x04", b"\x80\x02", b"hello", b"\x89HDF\r\n"][seed % 5]
    path.write_bytes(start + np.random.default_rng(seed).bytes(3000))
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        load_checkpoint(path)


def test_a_changed_byte_of_a_tensor_is_noticed(saved):
    content = bytearray(saved.read_bytes())
    weights = load_checkpoint(saved).state_dict["target.enc0.conv0.weight"].numpy().tobytes()
    content[bytes(content).index(weights) + 5] ^= 0x40
    saved.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="wrong check sum"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(2)}, torch.zeros(3), {"format": "other"}, [1, 2]])
def test_weights_of_another_program_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="weights of another program"):
        load_checkpoint(tmp_path / "other.pt")


def test_an_array_file_is_refused(tmp_path):
    np.savez(tmp_path / "array.npz", a=np.zeros(3))
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        load_checkpoint(tmp_path / "array.npz")


class Runs:
    def __reduce__(self):
        return (eval, ("1 / 0",))


@pytest.mark.parametrize("writer", [lambda o, f: torch.save(o, f), lambda o, f: pickle.dump(o, f)])
def test_nothing_in_a_file_is_run(tmp_path, writer):
    with (tmp_path / "evil.pt").open("wb") as file:
        writer({"format": FORMAT, "state": Runs()}, file)
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        load_checkpoint(tmp_path / "evil.pt")


def test_a_later_format_is_refused_with_the_version_to_install(tmp_path):
    torch.save({"format": FORMAT, "format_version": 99, "hooknet": "7.0"}, tmp_path / "later.pt")
    with pytest.raises(CheckpointError, match=r"format 99 of hooknet 7\.0"):
        load_checkpoint(tmp_path / "later.pt")


def test_a_failure_while_saving_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(content, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(saved, network(), {})
    assert saved.read_bytes() == before
    assert [one.name for one in saved.parent.iterdir()] == ["best.pt"]


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), ({1, 2}, TypeError)])
def test_settings_that_are_not_plain_are_refused_before_writing(tmp_path, value, error):
    with pytest.raises(error):
        save_checkpoint(tmp_path / "best.pt", network(), {"a": value})
    assert list(tmp_path.iterdir()) == []


def unchanged(model, state, message):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        restore(model, state, "best.pt")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_weights_of_another_width_name_the_first_tensor_and_both_shapes():
    unchanged(
        network(),
        network(filters=2).state_dict(),
        r"best\.pt: tensor context\.enc0\.conv0\.weight is of shape \(2, 3, 3, 3\), wanted shape \(1, 3, 3, 3\)",
    )


def test_weights_that_lack_a_branch_or_have_one_more_are_refused():
    one, two = network(merge="add"), network(merge="add", loss_weights=(0.5, 0.5))
    unchanged(two, one.state_dict(), r"tensor context\.out\.weight is missing, wanted shape \(2, 1, 1, 1\)")
    unchanged(one, two.state_dict(), r"tensor context\.out\.weight has no place")


def test_weights_that_are_not_finite_are_refused():
    state = network().state_dict()
    state["target.mid.conv0.bias"] = torch.full_like(state["target.mid.conv0.bias"], torch.nan)
    unchanged(network(), state, r"tensor target\.mid\.conv0\.bias is not finite")
