"""Encoders of a user's own: how they are made, what is found out about them, where weights come from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hooknet.errors import CheckpointError, ConfigError, ShapeError
from hooknet.models.encoder_check import look_at
from hooknet.models.encoders import built, encoder_weights, make_encoder
from hooknet.models.safetensors_file import read_safetensors
from hooknet.shapes.encoded import EncoderSpec

ROOT = Path(__file__).resolve().parents[2]
SMALL_VIT = f"{ROOT}/config/examples/own_encoder/small_vit.py:make_encoder"
ALIGNED = EncoderSpec("made_encoders:aligned", (2, 4), (4, 4), 4, 4, 396)


def look(name, **options):
    return look_at(f"made_encoders:{name}", options, None, 3)


def test_an_aligned_encoder_is_described_as_it_is():
    found = look("aligned")
    # A convolution of stride 1 and one of stride 2 see 1 and 2 px beyond: 3 px are a px of stride 4.
    assert found.spec == ALIGNED
    assert max(abs(one) for pair in found.offsets for one in pair) < 0.1


def test_a_transformer_of_windows_is_aligned_and_reaches_as_far_as_its_windows():
    found = look_at(SMALL_VIT, {"width": 8, "heads": 2, "blocks": 1}, None, 3).spec
    # One block a stage: no window lies across a border, and patches do not overlap.
    assert (found.strides, found.channels, found.unit, found.rim) == ((4, 8), (8, 16), 32, 0)
    # Half a window further at stride 4 (8 px) and at stride 8 (16 px): each shows up to the end of its window.
    assert look_at(SMALL_VIT, {"width": 8, "heads": 2}, None, 3).spec.rim == 48


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shifted", {}, r"its map of stride 4 lies \(\+0.50, [+-]0.00\) px \(x, y\) off, wanted less than 0.2: px i "
         r"has to show input px \[4 i, 4 \(i \+ 1\)\)"),
        ("shifted", {"off": -2}, r"stride 4 lies \(-0.50, [+-]0.00\) px"),
        ("shifted", {"off": 1}, r"stride 4 lies \(\+0.25, [+-]0.00\) px"),
        ("like_a_resnet", {}, r"map of stride 2 lies \(\+0.[23]\d, \+0.[23]\d\) px"),
        ("blind", {}, "a point in the input does not show in its map of stride 4"),
    ],
)  # fmt: skip
def test_a_misaligned_encoder_is_found_out(name, options, message):
    with pytest.raises(ShapeError, match=message):
        look(name, **options)


def test_an_encoder_that_sees_all_of_a_view_has_no_end_to_its_reach():
    assert look("sees_all").spec.rim is None


def test_looking_leaves_the_random_numbers_alone():
    torch.manual_seed(4)
    wanted = torch.rand(1)
    torch.manual_seed(4)
    look("sees_all")
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            "no_such_module:f",
            "ModuleNotFoundError: No module named 'no_such_module'; correct the name or the code",
        ),
        ("made_encoders:none", "found no function 'none' in made_encoders; correct the name"),
        ("made_encoders:RUN", "found no function 'RUN' in made_encoders"),
        ("made_encoders:broken", "RuntimeError: no luck; correct its code or its options"),
        ("made_encoders:no_module", "found str, wanted a torch module with `strides` and `channels`"),
        ("gone.py:f", "found no file 'gone.py'; correct the path"),
        ("made_encoders", "wanted module:function or file.py:function"),
    ],
)
def test_code_that_is_no_encoder_is_one_line(make, message):
    with pytest.raises(ConfigError) as caught:
        make_encoder(make, 3, {})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_are_keyword_arguments():
    assert make_encoder("made_encoders:aligned", 3, {"width": 7}).channels == (7, 7)
    with pytest.raises(ConfigError, match=r"TypeError: .*unexpected keyword argument 'depth'"):
        make_encoder("made_encoders:aligned", 3, {"depth": 7})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (2, 8), "unit": 8}, r"it has strides \(2, 4\), network.encoder states \(2, 8\)"),
        ({"channels": (4, 5)}, r"it has channels \(4, 4\), network.encoder states \(4, 5\)"),
        ({"unit": 8}, "it has unit 4, network.encoder states 8"),
        (
            {"parameters": 395},
            "it has parameters 396, network.encoder states 395; run `hooknet check-encoder`",
        ),
    ],
)
def test_an_encoder_is_what_the_settings_state(changes, message):
    assert built(ALIGNED, 3).strides == (2, 4)
    with pytest.raises(ConfigError, match=message):
        built(replace(ALIGNED, **changes), 3)


def write_safetensors(path, state):
    """By the description of the format, not by our reader."""
    kinds = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64"}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in state.items():
        raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]
        }  # fmt: skip
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_weights_are_read_from_all_kinds_of_files(tmp_path):
    state = {key: torch.randn_like(one) for key, one in built(ALIGNED, 3).state_dict().items()}
    torch.save(state, tmp_path / "a.pt")
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "b.pt")
    for path in (tmp_path / "a.pt", tmp_path / "b.pt", write_safetensors(tmp_path / "c.safetensors", state)):
        found = encoder_weights(path)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[key], one) for key, one in state.items())
    other = {"half": torch.randn(2, 3).bfloat16(), "whole": torch.arange(5), "none": torch.zeros(0, 4)}
    found = read_safetensors(write_safetensors(tmp_path / "d.safetensors", other))
    assert all(found[key].dtype == one.dtype and torch.equal(found[key], one) for key, one in other.items())
    assert found["none"].shape == (0, 4)


def test_files_that_hold_no_weights_are_one_line(tmp_path):
    path = write_safetensors(tmp_path / "a.safetensors", {"w": torch.ones(4)})
    whole = path.read_bytes()
    for content in (b"", b"12", whole[:-1], b"\xff" * 40, whole.replace(b"[4]", b"[9]"), whole.replace(b"F32", b"F33"),
                    whole.replace(b'"dtype"', b'"dtipe"')):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"a\.safetensors: .*copy it again"):
            encoder_weights(path)
    (tmp_path / "b.pt").write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match="damaged or no weights"):
        encoder_weights(tmp_path / "b.pt")
    torch.save([1], tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="found no state dict"):
        encoder_weights(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        encoder_weights(tmp_path / "d.pt")


def test_nothing_in_a_file_of_weights_is_run(tmp_path):
    class Bad:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"w": Bad()}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="damaged or no weights"):
        encoder_weights(tmp_path / "a.pt")
