import pytest
import torch
from torch import nn

from hooknet.errors import ShapeError
from hooknet.models.classifier import PatchClassifier
from hooknet.shapes.backbones import SMALLEST, Filters, convolutions
from hooknet.shapes.classifier import ClassifierShape

EACH = [(backbone, layout) for backbone in SMALLEST for layout in ("keras", "torchvision")]


def work_of(network, size):
    """Multiply-accumulates of every layer that a patch runs through; on ``meta`` nothing is computed."""
    found = []

    def count(module, _, output):
        places = output.shape[2] * output.shape[3] if output.ndim == 4 else 1
        found.append(module.weight.numel() * places)

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return sum(found)


@pytest.mark.parametrize(("backbone", "layout"), EACH)
@pytest.mark.parametrize("size", [97, 128])
def test_work_and_parameters_are_those_of_the_network(backbone, layout, size):
    shape = ClassifierShape(backbone, layout, 3, size, 1.0, dense=50)
    with torch.device("meta"):
        network = PatchClassifier(shape)
    assert shape.multiply_accumulates == work_of(network, size)
    assert shape.parameter_count == sum(one.numel() for one in network.parameters())


@pytest.mark.parametrize(
    ("backbone", "layout", "trained"),
    [
        ("mobilenetv2", "keras", 2_223_872),  # Keras: 2,257,984 with 34,112 running statistics
        ("mobilenetv2", "torchvision", 3_504_872 - 1_281_000),  # without the top of 1000 classes
        ("inceptionv3", "keras", 21_768_352),  # Keras: 21,802,784 with 34,432 running statistics
        ("inceptionv3", "torchvision", 27_161_264 - 2_049_000 - 3_326_696),  # without top and AuxLogits
    ],
)
def test_published_parameters(backbone, layout, trained):
    shape = ClassifierShape(backbone, layout, 2, 256, 1.0)
    head = shape.features * 100 + 100 + 100 * 2 + 2
    assert shape.parameter_count == trained + head


def test_published_work():
    """300 M (Sandler et al., table 4) with a top of 1.3 M; 5.7 G (torchvision, at 299 px)."""
    mobilenet = ClassifierShape("mobilenetv2", "keras", 2, 224, 1.0).multiply_accumulates
    inception = ClassifierShape("inceptionv3", "keras", 2, 299, 1.0).multiply_accumulates
    assert mobilenet / 1e6 == pytest.approx(300, abs=1)
    assert inception / 1e9 == pytest.approx(5.71, abs=0.01)


def test_work_of_the_published_patch_is_that_of_a_minute():
    """0.4 GMAC a patch of 256 px, of which (256 / 224)² of those of 224 px."""
    at = {
        size: ClassifierShape("mobilenetv2", "keras", 2, size, 1.0).multiply_accumulates
        for size in (224, 256)
    }
    assert at[256] == 391_304_392
    head = 1280 * 100 + 100 * 2
    assert (at[256] - head) * 224**2 == (at[224] - head) * 256**2


@pytest.mark.parametrize(
    ("filters", "size", "after"),
    [
        (Filters(1, 1, (3, 3), stride=2), 224, 112),
        (Filters(1, 1, (3, 3), stride=2), 225, 113),
        (Filters(1, 1, (3, 3), stride=2, same=False), 299, 149),
        (Filters(1, 1, (3, 3), stride=2, same=False), 300, 149),
        (Filters(1, 1, (3, 3), same=False), 149, 147),
        (Filters(1, 1, (1, 7)), 17, 17),
    ],
)
def test_sizes_after_a_convolution(filters, size, after):
    assert filters.size_after(size) == after


@pytest.mark.parametrize("backbone", SMALLEST)
def test_the_smallest_patch_leaves_one_place_and_a_smaller_one_is_refused(backbone):
    size = SMALLEST[backbone]
    assert list(convolutions(backbone, size))[-1][1] == 1
    ClassifierShape(backbone, "keras", 2, size, 1.0)
    with pytest.raises(ShapeError, match=f"use {size} px or more"):
        ClassifierShape(backbone, "keras", 2, size - 1, 1.0)


def test_below_its_smallest_patch_inception_leaves_nothing():
    assert list(convolutions("inceptionv3", SMALLEST["inceptionv3"] - 1))[-1][1] == 0
