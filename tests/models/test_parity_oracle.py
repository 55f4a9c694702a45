"""Our networks against numbers that the official Keras code gave for the same weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks.fidelity import GATES, ORACLE, cases, figures, load, network_of, training
from hooknet.models.keras_names import from_keras, keras_order, to_keras

INFERENCE = [case for case in cases() if not case.startswith("train64")]
TRAINING = [case for case in cases() if case.startswith("train64")]

pytestmark = pytest.mark.skipif(not cases(), reason=f"the oracle files are not in {ORACLE}")


def trained_count(arrays):
    return sum(a.size for name, a in arrays.items() if name.startswith("w/") and "/moving_" not in name)


@pytest.mark.parametrize("case", INFERENCE + TRAINING)
def test_every_figure_of_the_official_network_is_met_within_its_gate(case):
    found = figures(case)
    assert {figure: value for figure, value in found.items() if not value <= GATES[figure]} == {}
    trains = case.startswith("train64")
    wanted = {"loss", "gradients", "moving means", "moving variances"} if trains else set()
    assert found.keys() - {"logits"} == wanted | {"probabilities"}


@pytest.mark.parametrize("case", INFERENCE + TRAINING)
def test_the_official_network_has_as_many_weights(case):
    arrays = load(case)
    assert sum(one.numel() for one in network_of(arrays).parameters()) == trained_count(arrays)


@pytest.mark.parametrize("case", TRAINING)
def test_every_weight_has_a_gradient_in_the_official_step(case):
    arrays = load(case)
    named = {f"train/grad/{name}" for name in to_keras(dict(network_of(arrays).named_parameters()))}
    assert named == {name for name in arrays if name.startswith("train/grad/")}


@pytest.mark.parametrize(
    ("changed", "figure"),
    [
        ("train/loss", "loss"),
        ("train/l2_reg", "loss"),
        ("train/grad/target.enc0.conv0/kernel", "gradients"),
        ("train/after/target.enc0.bn0/moving_mean", "moving means"),
        ("train/after/target.enc0.bn0/moving_variance", "moving variances"),
        ("train/probs_target", "probabilities"),
    ],
)
def test_a_gate_sees_numbers_that_are_a_little_off(changed, figure):
    arrays = dict(load("train64_hook_0.5_8.0_multi"))
    arrays[changed] = arrays[changed] + 5 * GATES[figure] * max(1.0, float(np.abs(arrays[changed]).max()))
    assert training(arrays)[figure] > GATES[figure]


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
