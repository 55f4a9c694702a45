from __future__ import annotations

import importlib.util
import json

import made_runs
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import hooknet
from hooknet.errors import CheckpointError, ShapeError
from hooknet.inference import onnx_file
from hooknet.inference.onnx_file import export_onnx, network_of
from hooknet.models.checkpoint import load_checkpoint, save_checkpoint
from hooknet.models.table import build_model
from hooknet.training.weights import checkpoint_spec

RUNS = {
    "unet": {
        "model": "unet",
        "spacings": (0.5,),
        "patch_size": 44,
        "network": {"convolutions": 2, "depth": 1},
    },
    "hooknet": {"spacings": (0.5, 1.0), "network": {"merge": "subtract", "activation": "leaky_relu"}},
    "attention": {"spacings": (0.5, 1.0), "network": {"merge": "attention", "window": 3, "heads": 2}},
    "mrn": {"model": "mrn", "spacings": (0.5, 2.0), "patch_size": 32, "network": {"depth": 1}},
}
SIZES = {"unet": 48}  # others have that of training


def trained(path, name):
    """A checkpoint with weights by chance, and its network."""
    run = made_runs.make_run(**RUNS[name])
    torch.manual_seed(5)
    network = build_model(run.settings.model, run.network).eval()
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5) if key.endswith("running_var") else tensor.uniform_(-0.5, 0.5)
    save_checkpoint(path, network, checkpoint_spec(run, ()))
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Name of a run -> its network, checkpoint and ONNX file, made when first asked for."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("exported")
            network = trained(folder / "best.ckpt", name)
            difference = export_onnx(folder / "best.ckpt", folder / "m.onnx", SIZES.get(name))
            made[name] = network, folder / "best.ckpt", folder / "m.onnx", difference
        return made[name]

    return make


@pytest.mark.parametrize("name", RUNS)
def test_the_file_computes_what_torch_computes_for_any_batch(exported, name):
    network, _, path, difference = exported(name)
    assert difference < 1e-5
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = ["target", "context", "context2"][: len(network.settings.spacings)]
    assert [one.name for one in session.get_inputs()] == names
    assert [one.name for one in session.get_outputs()] == ["probabilities"]
    size = SIZES.get(name, network.settings.patch_size)
    out = network.shape.output_size(size)
    assert session.get_inputs()[0].shape == ["batch", 3, size, size]
    assert session.get_outputs()[0].shape == ["batch", 2, out, out]
    for batch in (1, 2, 5):
        patches = [torch.rand(batch, 3, size, size) for _ in names]
        found = session.run(None, {key: patch.numpy() for key, patch in zip(names, patches, strict=True)})[0]
        assert found.shape == (batch, 2, out, out)
        with torch.no_grad():
            wanted = network(patches)[0].softmax(1).numpy()
        assert np.ptp(wanted) > 0.01  # weights that tell pixels apart
        assert np.abs(found - wanted).max() < 1e-5


def test_the_file_says_what_it_is(exported):
    network, _, path, _ = exported("hooknet")
    model = onnx.load(path)
    onnx.checker.check_model(model)
    told = {one.key: one.value for one in model.metadata_props if one.key.startswith("hooknet.")}
    assert told["hooknet.model"] == "hooknet"
    assert told["hooknet.hooknet_version"] == told["hooknet.trained_with_version"] == hooknet.__version__
    assert json.loads(told["hooknet.spacings_um_per_px"]) == [0.5, 1.0]
    assert json.loads(told["hooknet.classes"]) == [
        {"value": 1, "name": "one", "colour": "#ff0000"},
        {"value": 2, "name": "two", "colour": "#0000ff"},
    ]
    sizes = [
        json.loads(told[f"hooknet.{key}"]) for key in ("patch_size", "output_size", "rim", "stride_unit")
    ]
    assert sizes == [38, network.shape.output_size(), 0, 8]
    assert told["hooknet.output"].startswith("softmax probabilities of the target")


def test_padding_that_shows_at_the_rim_is_told(exported):
    network, _, path, _ = exported("mrn")
    told = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert network.shape.rim > 0
    assert told["hooknet.rim"] == str(network.shape.rim)
    assert told["hooknet.output_size"] == "32"


def test_an_illegal_size_is_refused_with_the_nearest(exported, tmp_path):
    _, checkpoint, _, _ = exported("hooknet")
    with pytest.raises(ShapeError, match=r"a 39 px patch .*; use 38 px"):
        export_onnx(checkpoint, tmp_path / "m.onnx", 39)
    assert not list(tmp_path.iterdir())


class Program:
    """What torch's exporter gives, with a file that was made before."""

    def __init__(self, made):
        self.made = made
        self.model = self
        self.metadata_props = {}

    def save(self, path, external_data):
        assert not external_data  # all in one file
        path.write_bytes(self.made.read_bytes())


@pytest.mark.parametrize(("difference", "told"), [(float("nan"), "nan"), (2e-4, "0.0002")])
def test_a_file_that_computes_other_numbers_is_not_kept(exported, tmp_path, monkeypatch, difference, told):
    _, checkpoint, path, _ = exported("unet")
    monkeypatch.setattr(onnx_file, "_export", lambda *_: Program(path))
    monkeypatch.setattr(onnx_file, "_difference", lambda *_: difference)
    with pytest.raises(CheckpointError) as caught:
        export_onnx(checkpoint, tmp_path / "m.onnx", 48)
    assert str(caught.value) == (
        f"{checkpoint}: its ONNX differs from torch by {told} in a probability, wanted 0.0001 at most; "
        "nothing was written, install the versions of constraints.txt"
    )
    assert not list(tmp_path.iterdir())


def test_the_comparison_sees_other_weights(exported):
    network, _, path, _ = exported("unet")
    model = onnx_file.TargetProbabilities(network)
    patches = onnx_file._patches(network, 48, 2)
    assert onnx_file._difference(path, model, patches) < 1e-5
    bias = network["target"]["out"].bias
    before = bias.detach().clone()
    with torch.no_grad():
        bias[0] += 0.01
    try:
        assert onnx_file._difference(path, model, patches) > 1e-3
    finally:
        with torch.no_grad():
            bias.copy_(before)


def test_missing_packages_are_one_line(exported, tmp_path, monkeypatch):
    _, checkpoint, _, _ = exported("unet")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if "onnx" in name else find(name, *more)
    )
    with pytest.raises(CheckpointError) as caught:
        export_onnx(checkpoint, tmp_path / "m.onnx")
    assert str(caught.value) == (
        f"{checkpoint}: exporting to ONNX needs onnx, onnxscript, onnxruntime, not installed; "
        "pip install -c constraints.txt -e '.[onnx]'"
    )


@pytest.mark.parametrize("name", RUNS)
def test_a_network_is_built_from_its_checkpoint_alone(exported, name):
    network, path, _, _ = exported(name)
    found = network_of(load_checkpoint(path), path)
    assert found.settings == network.settings
    assert not found.training
    state = network.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in found.state_dict().items())


# What is changed among the settings in the file, and what is said: without memory taken, in a moment.
SETTINGS = [
    ({"filters": 2}, "tensor context.enc0.conv0.weight is of shape"),
    ({"filters": 2**20}, "tensor context.enc0.conv0.weight is of shape"),
    ({"filters": 10**30}, "its settings make no network (empty(): argument 'size' failed to unpack"),
    ({"depth": 8}, "its settings make no network (a 38 px patch "),
]


@pytest.mark.parametrize(("changes", "said"), SETTINGS)
def test_settings_of_another_network_are_refused_before_it_is_made(exported, tmp_path, changes, said):
    network, path, _, _ = exported("hooknet")
    spec = load_checkpoint(path).spec
    spec["settings"]["network"] |= changes
    save_checkpoint(tmp_path / "other.ckpt", network, spec)
    with pytest.raises(CheckpointError) as caught:
        network_of(load_checkpoint(tmp_path / "other.ckpt"), tmp_path / "other.ckpt")
    assert str(caught.value).startswith(f"{tmp_path}/other.ckpt: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [0, -1, 2**40])
def test_impossible_numbers_of_channels_are_refused(exported, tmp_path, channels):
    network, path, _, _ = exported("unet")
    save_checkpoint(tmp_path / "other.ckpt", network, load_checkpoint(path).spec | {"channels": channels})
    with pytest.raises(
        CheckpointError, match=r"other\.ckpt: (its settings make no network|tensor .+ is of shape)"
    ):
        network_of(load_checkpoint(tmp_path / "other.ckpt"), tmp_path / "other.ckpt")


@pytest.mark.parametrize("spec", [{}, {"settings": {"model": "unet"}, "classes": []}, {"settings": {}}])
def test_a_checkpoint_without_settings_is_refused(exported, tmp_path, spec):
    network, _, _, _ = exported("unet")
    path = tmp_path / "other.ckpt"
    save_checkpoint(path, network, spec)
    with pytest.raises(CheckpointError, match=r"other\.ckpt: its settings are not those of hooknet"):
        export_onnx(path, tmp_path / "m.onnx")
