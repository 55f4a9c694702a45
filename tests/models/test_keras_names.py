from __future__ import annotations

import numpy as np
import pytest

from hooknet.errors import CheckpointError
from hooknet.models.keras_names import from_keras, keras_order, to_keras
from hooknet.shapes.hooknet import HookNetSettings, HookNetShape


def shape_of(**changes):
    base = {"spacings": (0.5, 2.0), "classes": 3, "filters": 1, "patch_size": 284}
    return HookNetShape(HookNetSettings(**(base | changes)))


def test_kernels_are_turned_and_other_parts_renamed():
    kernel = np.arange(3 * 5 * 2 * 4.0).reshape(3, 5, 2, 4)
    state = from_keras(
        {
            "enc0.conv0/kernel": kernel,
            "context.mid.bn1/gamma": np.ones(2),
            "context.mid.bn1/moving_variance": np.full(2, 3.0),
        }
    )
    assert set(state) == {
        "target.enc0.conv0.weight",
        "context.mid.bn1.weight",
        "context.mid.bn1.running_var",
    }
    assert tuple(state["target.enc0.conv0.weight"].shape) == (4, 2, 3, 5)
    assert state["target.enc0.conv0.weight"][1, 0, 2, 4] == kernel[2, 4, 0, 1]
    back = to_keras(state)
    assert set(back) == {
        "target.enc0.conv0/kernel",
        "context.mid.bn1/gamma",
        "context.mid.bn1/moving_variance",
    }
    assert np.array_equal(back["target.enc0.conv0/kernel"], kernel)


@pytest.mark.parametrize("name", ["enc0.conv0/weights", "kernel", "enc0.conv0.kernel"])
def test_a_part_that_no_layer_has_is_refused(name):
    with pytest.raises(CheckpointError, match="wanted layer/part"):
        from_keras({name: np.zeros(1)})


def test_keras_numbers_the_context_before_the_target():
    convolutions, normalisations = keras_order(shape_of())
    assert (len(convolutions), len(normalisations)) == (46, 36)
    assert [convolutions[i] for i in (0, 8, 10, 11, 16, 22, 23, 45)] == [
        "context.enc0.conv0",
        "context.mid.conv0",
        "context.dec3.up",
        "context.dec3.conv0",
        "context.dec1.up",
        "context.out",
        "target.enc0.conv0",
        "target.out",
    ]
    assert [normalisations[i] for i in (0, 17, 18)] == [
        "context.enc0.bn0",
        "context.dec0.bn1",
        "target.enc0.bn0",
    ]


def test_a_projection_is_numbered_between_the_bottleneck_and_the_decoder():
    convolutions, _ = keras_order(shape_of(merge="add"))
    assert convolutions[32:35] == ["target.mid.conv1", "target.hook.proj", "target.dec3.up"]
