"""Our networks against numbers that the official Keras code gave for the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hooknet.models.checkpoint import restore
from hooknet.models.hooknet import HookNet
from hooknet.models.keras_names import from_keras, keras_order, to_keras
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.training.losses import all_pixels_cross_entropy, branches_loss, weight_decay

ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracle"
CASES = sorted(path.stem for path in ORACLE.glob("*.npz"))
INFERENCE = [case for case in CASES if not case.startswith("train64")]
TRAINING = [case for case in CASES if case.startswith("train64")]
BRANCHES = ("target", "context")

pytestmark = pytest.mark.skipif(not CASES, reason="the oracle files are not beside this checkout")


def load(case):
    with np.load(ORACLE / f"{case}.npz") as file:
        return {name: file[name] for name in file.files}


def network_of(arrays, dtype=torch.float32):
    meta = json.loads(str(arrays["meta"]))
    spacings = (0.5,)
    if "hook_indices" in meta:
        source, target = meta["hook_indices"]
        spacings = (0.5, 0.5 * 2 ** (target - source))
    settings = HookNetSettings(
        spacings=spacings,
        classes=meta["n_classes"],
        filters=meta["n_filters"],
        depth=meta["depth"],
        convolutions=meta["n_convs"],
        batch_norm=meta["batch_norm"],
        activation=meta["activation"].partition("(")[0],
        merge=meta.get("merge_type", "concat"),
        loss_weights=tuple(meta["loss_weights"]) if "loss_weights" in meta else None,
        patch_size=meta["M"],
    )
    network = HookNet(settings).to(dtype)
    weights = from_keras({name[2:]: array for name, array in arrays.items() if name.startswith("w/")})
    restore(network, weights, meta["case"])
    assert sum(parameter.numel() for parameter in network.parameters()) == trained_count(arrays)
    return network


def trained_count(arrays):
    return sum(a.size for name, a in arrays.items() if name.startswith("w/") and "/moving_" not in name)


def patches_of(arrays, network, dtype=torch.float32):
    names = BRANCHES[: len(network.settings.spacings)]
    return [torch.from_numpy(arrays[f"x/{name}"]).permute(0, 3, 1, 2).to(dtype) / 255 for name in names]


@pytest.mark.parametrize("case", INFERENCE)
def test_probabilities_and_logits_equal_those_of_the_official_network(case):
    arrays = load(case)
    network = network_of(arrays).eval()
    with torch.no_grad():
        logits = network(patches_of(arrays, network))
    assert len(logits) == sum(f"y/{name}" in arrays for name in BRANCHES)
    for branch, found in zip(network.output_branches, logits, strict=True):
        name = BRANCHES[branch]
        probabilities = found.softmax(1).permute(0, 2, 3, 1).numpy()
        assert np.abs(probabilities - arrays[f"y/{name}"]).max() < 1e-5
        if f"logits/{name}" in arrays:
            assert np.abs(found.permute(0, 2, 3, 1).numpy() - arrays[f"logits/{name}"]).max() < 1e-4


@pytest.mark.parametrize("case", TRAINING)
def test_one_training_step_equals_that_of_the_official_network(case):
    arrays = load(case)
    network = network_of(arrays, torch.float64).train()
    logits = network(patches_of(arrays, network, torch.float64))
    names = [BRANCHES[branch] for branch in network.output_branches]
    labels = [torch.from_numpy(arrays[f"train/labels_{name}"]) for name in names]
    weights = [weight for weight in network.settings.all_loss_weights if weight > 0]
    decay = weight_decay(network.regularised_kernels(), 1e-3)
    loss = branches_loss(logits, labels, weights, "all_pixels") + decay
    loss.backward()

    for one, truth, wanted in zip(logits, labels, arrays["train/ce"], strict=True):
        assert abs(all_pixels_cross_entropy(one, truth).item() - wanted) < 1e-6 * wanted
    assert abs(loss.item() - arrays["train/loss"]) < 1e-6 * arrays["train/loss"]
    assert abs(decay.item() - arrays["train/l2_reg"]) < 1e-6 * arrays["train/l2_reg"]
    probabilities = logits[0].softmax(1).permute(0, 2, 3, 1).detach().numpy()
    assert np.abs(probabilities - arrays["train/probs_target"]).max() < 1e-5

    gradients = to_keras({name: parameter.grad for name, parameter in network.named_parameters()})
    expected = {name[11:]: array for name, array in arrays.items() if name.startswith("train/grad/")}
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert np.abs(gradients[name] - gradient).max() <= 1e-4 * np.abs(gradient).max(), name

    after = to_keras(network.state_dict())
    moved = {name[12:]: array for name, array in arrays.items() if name.startswith("train/after/")}
    assert moved
    for name, array in moved.items():
        # Keras in float64 keeps the biased variance, torch the unbiased one.
        tolerance = 1e-6 if name.endswith("moving_mean") else 3e-4
        assert np.abs(after[name] - array).max() < tolerance, name


@pytest.mark.parametrize("case", INFERENCE)
def test_layers_are_numbered_as_keras_numbers_them(case):
    arrays = load(case)
    names = keras_order(network_of(arrays).shape)
    official = json.loads(str(arrays["meta"]))["keras_layer_order"]
    assert official
    for keras_name, name in official:
        convolution = keras_name.startswith("conv2d")
        suffix = keras_name.removeprefix("conv2d" if convolution else "batch_normalization")
        listed = names[0 if convolution else 1]
        assert listed[int(suffix.lstrip("_") or 0)] == (f"target.{name}" if case == "unet" else name)


@pytest.mark.parametrize("case", INFERENCE)
def test_weights_survive_the_way_to_official_names_and_back(case):
    arrays = load(case)
    state = network_of(arrays).state_dict()
    back = from_keras(to_keras(state))
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in back)
