"""Weights of others: whatever a file holds is the network of a run, or a CheckpointError of one line."""

import copy
import io
import json
import zipfile
from pathlib import Path

import made_runs
import pytest
import torch
from fuzzing import fuzz
from hypothesis import strategies as st
from mutations import EDITS, ODD, edited_bytes, edited_tree

from hooknet.errors import CheckpointError
from hooknet.inference.onnx_file import network_of
from hooknet.inference.whole_slide import load_network
from hooknet.models.checkpoint import load_checkpoint, save_checkpoint
from hooknet.models.table import build_model
from hooknet.training.weights import checkpoint_spec

RUN = made_runs.make_run(network={"filters": 1, "depth": 1, "convolutions": 1}, patch_size=22)
ROW = torch.zeros(1)
#: What may be saved and is no weight of this network.
TENSORS = (
    ROW, torch.tensor(1), torch.tensor([float("nan")]), torch.zeros(2, 2, dtype=torch.complex64), torch.zeros(0),
    torch.zeros(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bfloat16), torch.eye(3).to_sparse(),
    ROW.expand(1, 2**20), ROW.expand(2**20, 2**20), torch.zeros(5, device="meta"), torch.nn.Parameter(ROW),
    torch.zeros(2**10)[1:3], torch.arange(6).reshape(2, 3).t(),
)  # fmt: skip
#: What may be saved in the place of a weight, with its shape.
KINDS = {
    "tensor": copy.copy,
    "double": torch.Tensor.double,
    "half": torch.Tensor.half,
    "whole": torch.Tensor.int,
    "complex": lambda tensor: tensor.to(torch.complex64),
    "sparse": torch.Tensor.to_sparse,
    "nowhere": lambda tensor: tensor.to("meta"),
    "one number": lambda tensor: torch.zeros(()).expand(tensor.shape),
    "a part": lambda tensor: torch.stack([tensor, tensor])[0],
    "a parameter": lambda tensor: torch.nn.Parameter(tensor.float()),
    "nan": lambda tensor: torch.full_like(tensor.float(), torch.nan),
}
ODD_STATE = (*KINDS, *TENSORS, *(one for one in ODD if not isinstance(one, list | dict)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint's bytes, and what it holds."""
    path = tmp_path_factory.mktemp("valid") / "best.ckpt"
    save_checkpoint(
        path, build_model(RUN.settings.model, RUN.network), checkpoint_spec(RUN, ()), {"epoch": 1}
    )
    load(path)
    return path.read_bytes(), torch.load(path, weights_only=True)


def load(path):
    """As `infer` and as `export-onnx` take weights."""
    load_network(RUN, path, "c")
    network_of(load_checkpoint(path), path)


def members(content, edits):
    """The archive with members changed and the right check sums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(one.filename, archive.read(one)) for one in archive.infolist()]
    for what, where, piece in edits:
        # Settings and weights are told in the first member; most of the edits go there.
        place = where % len(parts) if what % 2 else 0
        name, part = parts[place]
        other = parts[piece % len(parts)]
        if what < 7:
            parts[place] = name, edited_bytes(part, [(what + 1, where, piece)], other[1])
        elif what == 7 and len(parts) > 1:
            del parts[place]
        elif what == 8:
            parts[place] = name, other[1]
        else:
            parts.append((other[0] if piece % 2 else f"../{name}", part))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, part in parts:
            archive.writestr(name, part)
    return packed.getvalue()


def settings_changed(content, edits, key):
    """The file with JSON text of its settings changed."""
    changed = dict(content)
    changed[key] = json.dumps(edited_tree(json.loads(content[key]), edits, json.loads(content["spec"])))
    return changed


def content_changed(content, edits):
    """Everything in the file but the tensors' own numbers."""
    state = content["state"]
    tree = {**content, "state": dict.fromkeys(state, "tensor")}
    return edited_tree(tree, edits, {"more": list(ODD_STATE)}, ODD_STATE), state


def with_tensors(changed, state):
    """The tensors in their places again, or others of their shape."""
    if isinstance(changed, dict) and isinstance(changed.get("state"), dict):
        weights = {
            name: KINDS[one](state.get(name, ROW)) if isinstance(one, str) and one in KINDS else one
            for name, one in changed["state"].items()
        }
        return {**changed, "state": weights}
    return changed


@pytest.mark.filterwarnings("ignore")
def test_bytes_and_members(saved, tmp_path):
    content, _ = saved
    path = tmp_path / "x.ckpt"
    changed = st.one_of(
        st.builds(lambda edits: edited_bytes(content, edits, content[len(content) // 3 :]), EDITS),
        st.builds(lambda edits: members(content, edits), EDITS),
        st.builds(lambda edits: members(content, edits), EDITS),
    )

    def read(example):
        path.write_bytes(example)
        load(path)

    fuzz("checkpoint, bytes", changed, 400, read, CheckpointError)


@pytest.mark.filterwarnings("ignore")
def test_settings_and_weights(saved, tmp_path):
    _, content = saved
    path = tmp_path / "x.ckpt"
    changed = st.one_of(
        st.builds(lambda edits: settings_changed(content, edits, "spec"), EDITS),
        st.builds(lambda edits: settings_changed(content, edits, "extra"), EDITS),
        st.builds(lambda edits: with_tensors(*content_changed(content, edits)), EDITS),
    )

    def read(example):
        Path(path).unlink(missing_ok=True)
        torch.save(example, path)
        load(path)

    fuzz("checkpoint, content", changed, 400, read, CheckpointError)
