"""Networks of patches and of slides compute the same by torch and by OpenVINO, and what differs is found out."""

import importlib.util
import logging

import numpy as np
import pytest
import torch
from torch import nn

from hooknet.config.experiment import EngineOptions
from hooknet.errors import CheckpointError
from hooknet.inference import choice, openvino_engine, predictors
from hooknet.inference.openvino_engine import Wish
from hooknet.inference.predictors import (
    OpenVinoPredictor,
    PatchProbabilities,
    SlideProbabilities,
    TorchPredictor,
    Work,
    agreement_of,
    choose_predictor,
    multiply_accumulates,
)
from hooknet.models.classifier import PatchClassifier
from hooknet.models.refiners.table import build_refiner
from hooknet.shapes.classifier import ClassifierShape
from hooknet.shapes.refiner import RefinerShape

installed = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the package openvino is not installed"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKNET_CACHE", str(tmp_path / "cache"))


def seen_something(network):
    """Statistics as after a training, so that no layer is dead."""
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
    return network.eval()


def classifier(backbone="mobilenetv2", layout="keras", side=64, seed=0):
    torch.manual_seed(seed)
    shape = ClassifierShape(backbone, layout, 3, side, 1.0)
    return seen_something(PatchClassifier(shape)), shape


def patches(count, side=64):
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


class Means(nn.Module):
    """Logits of three classes: the means of red, green and blue, ten times."""

    def __init__(self):
        super().__init__()
        self.times = nn.Parameter(torch.tensor(10.0))

    def forward(self, images):
        return self.times * images.mean(dim=(2, 3))


def small(seed=0):
    """A convolution and a dense layer to three classes."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()


def test_probabilities_of_patches_are_the_softmax_of_the_logits_of_their_px():
    batch = patches(4, 8)
    found = TorchPredictor(PatchProbabilities(Means()), "fp32").start([batch])()
    logits = 10 * batch.astype(float).mean(axis=(1, 2)) / 255
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_refiner_sees_red_green_blue_and_then_the_heat_maps():
    class Channels(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Parameter(torch.ones(1))

        def forward(self, images):
            return [images * self.one, images[:, :1] * 0]

    image, heat = patches(1, 8), np.random.default_rng(2).integers(0, 256, (1, 2, 8, 8), np.uint8)
    found = TorchPredictor(SlideProbabilities(Channels()), "fp32").start([image, heat])()
    channels = np.concatenate([image.transpose(0, 3, 1, 2), heat], axis=1) / 255
    wanted = np.exp(channels) / np.exp(channels).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@installed
@pytest.mark.parametrize(
    ("backbone", "layout", "side"),
    [
        ("mobilenetv2", "keras", 64),
        ("inceptionv3", "torchvision", 80),
    ],
)
def test_openvino_classifies_patches_as_torch_does(backbone, layout, side):
    network, shape = classifier(backbone, layout, side)
    module, batch = PatchProbabilities(network), patches(6, side)
    wanted = TorchPredictor(module, "fp32").start([batch])()
    compiled = OpenVinoPredictor(module, [batch[:4]], (shape,), Wish("fp32", 2, 2))
    assert compiled.ahead == 4
    # All requests at work at a time, and one of them again; the second batch is not full.
    parts = (batch[:4], batch[4:], batch[:4], batch[4:])
    started = [compiled.start([one]) for one in parts]
    found = np.concatenate([started[0](), started[1]()])
    again = compiled.start([batch[1:5]])
    np.testing.assert_array_equal(np.concatenate([started[2](), started[3]()]), found)
    assert np.abs(again() - wanted[1:5]).max() < 1e-5
    assert np.abs(found - wanted).max() < 1e-5
    assert np.ptp(wanted, axis=0).max() > 1e-3  # the patches do differ


@installed
@pytest.mark.parametrize(("name", "heat"), [("unet", 0), ("agunet", 2), ("dagunet", 2), ("doubleunet", 1)])
def test_openvino_refines_a_slide_as_torch_does(name, heat):
    torch.manual_seed(1)
    shape = RefinerShape(name, 64, heat, 2)
    module = SlideProbabilities(seen_something(build_refiner(shape)))
    inputs = [patches(1, 64), *([np.full((1, heat, 64, 64), 99, np.uint8)] if heat else [])]
    wanted = TorchPredictor(module, "fp32").start(inputs)()
    found = OpenVinoPredictor(module, inputs, (shape,), Wish("fp32", 1)).start(inputs)()
    assert found.shape == wanted.shape == (1, 2, 64, 64)
    assert np.abs(found - wanted).max() < 1e-4
    assert np.ptp(wanted) > 1e-2


@installed
def test_a_compiled_model_is_kept_by_weights_and_by_what_it_computes(tmp_path):
    def kept(seed, batch, told="made", streams=1):
        OpenVinoPredictor(
            PatchProbabilities(small(seed)), [patches(batch, 8)], (told,), Wish("fp32", streams, streams)
        )
        return len(list((tmp_path / "cache").glob("*.blob")))

    assert [kept(0, 2), kept(0, 2), kept(0, 2, told="another")] == [1, 1, 2]
    assert [kept(5, 2), kept(5, 3), kept(5, 3, streams=2)] == [3, 4, 5]


def test_agreement_is_the_largest_difference_and_the_share_of_equal_classes():
    wanted = np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.49, 0.51]], np.float32)
    found = np.array([[0.6, 0.4], [0.25, 0.75], [0.9, 0.1], [0.51, 0.49]], np.float32)
    agreed = agreement_of(found, wanted)
    assert agreed.difference == pytest.approx(0.05)
    assert agreed.share == 0.75
    slide = np.zeros((1, 2, 4, 4), np.float32)
    slide[:, 0] = 1
    other = slide.copy()
    other[0, :, 0, 0] = other[0, ::-1, 0, 0]
    assert agreement_of(other, slide).share == 15 / 16


def test_work_is_counted_without_computing():
    class Layers(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = nn.Conv2d(3, 5, 3, padding=1, stride=2), nn.Linear(5, 7)

        def forward(self, images):
            return self.dense(self.conv(images).mean((2, 3)))

    assert multiply_accumulates(PatchProbabilities(Layers()), [patches(2, 16)]) == 2 * (
        8 * 8 * 5 * 27 + 5 * 7
    )


def work_of(module, calls=1):
    return Work(module, ("made",), calls, 1)


@installed
def test_much_work_is_computed_by_openvino_and_little_by_torch(caplog):
    module, batch = PatchProbabilities(small()), patches(4, 8)
    each = multiply_accumulates(module, [batch])
    with caplog.at_level(logging.INFO, "hooknet"):
        # In fp32: where the processor has bf16 that is tried first.
        options = EngineOptions(precision="fp32")
        little = choose_predictor(work_of(module), options, [batch], "patches")
        assert isinstance(little, TorchPredictor)
        calls = int(choice.WORTH_COMPILING / each) + 1
        much = choose_predictor(work_of(module, calls), options, [batch], "patches")
    assert isinstance(much, OpenVinoPredictor)
    assert "OpenVINO, fp32: as torch in fp32 on patches: probabilities within" in caplog.text


@installed
def test_a_predictor_that_differs_is_not_used(monkeypatch, caplog):
    module, batch = PatchProbabilities(small()), patches(4, 8)

    class Wrong(OpenVinoPredictor):
        def start(self, inputs):
            result = super().start(inputs)
            return lambda: result() + 2e-4

    monkeypatch.setattr(predictors, "OpenVinoPredictor", Wrong)
    chosen = choose_predictor(work_of(module, 10**9), EngineOptions(precision="fp32"), [batch], "patches")
    assert isinstance(chosen, TorchPredictor)
    assert "OpenVINO in fp32 differs from torch in fp32 by 0.0002 in a probability, " in caplog.text
    with pytest.raises(
        CheckpointError, match=r"infer\.engine openvino, infer\.precision fp32: OpenVINO in fp32 differs"
    ):
        choose_predictor(
            work_of(module), EngineOptions(engine="openvino", precision="fp32"), [batch], "patches"
        )


def test_without_openvino_torch_computes_and_asking_for_it_is_told(monkeypatch):
    monkeypatch.setattr(openvino_engine, "is_installed", lambda: False)
    module = PatchProbabilities(Means())
    assert isinstance(
        choose_predictor(work_of(module, 10**12), EngineOptions(), [patches(2, 8)], "it"), TorchPredictor
    )
    with pytest.raises(CheckpointError, match=r"the package is not installed; pip install"):
        choose_predictor(work_of(module), EngineOptions(engine="openvino"), [patches(2, 8)], "it")
