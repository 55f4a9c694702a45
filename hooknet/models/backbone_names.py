"""What Keras and torchvision call the layers of the backbones, in the order in which both make them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hooknet.shapes.backbones import inverted_residuals

#: A convolution and its normalisation, as a file calls them.
Names = tuple[str, str]

# torchvision's InceptionV3: its stem, and the convolutions of each kind of block.
_STEM: Final = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")
_FINE: Final = "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool"
_MIDDLE: Final = "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool"
_COARSE: Final = "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool"
_MIXED: Final = {
    "5b": _FINE,
    "5c": _FINE,
    "5d": _FINE,
    "6a": "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3",
    "6b": _MIDDLE,
    "6c": _MIDDLE,
    "6d": _MIDDLE,
    "6e": _MIDDLE,
    "7a": "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
    "7b": _COARSE,
    "7c": _COARSE,
}


def torchvision_mobilenet() -> Iterator[Names]:
    """Layers of MobileNetV2 in torchvision's state dict."""
    yield "features.0.0", "features.0.1"
    number = 0
    for number, (_, expansion, _, _) in enumerate(inverted_residuals(), start=1):
        block = f"features.{number}.conv"
        last = 2 if expansion > 1 else 1
        for part in range(last):
            yield f"{block}.{part}.0", f"{block}.{part}.1"
        yield f"{block}.{last}", f"{block}.{last + 1}"
    yield f"features.{number + 1}.0", f"features.{number + 1}.1"


def torchvision_inception() -> Iterator[Names]:
    """Layers of InceptionV3 in torchvision's state dict, ``AuxLogits`` left out."""
    parts = [f"Conv2d_{part}" for part in _STEM]
    parts += [f"Mixed_{block}.branch{part}" for block, names in _MIXED.items() for part in names.split()]
    for part in parts:
        yield f"{part}.conv", f"{part}.bn"


def keras_mobilenet() -> Iterator[Names]:
    """Layers of Keras's MobileNetV2; those of its InceptionV3 have numbers only."""
    yield "Conv1", "bn_Conv1"
    for number, (_, expansion, _, _) in enumerate(inverted_residuals()):
        block = f"block_{number}" if number else "expanded_conv"
        for part in ("expand", "depthwise", "project"):
            if part != "expand" or expansion > 1:
                yield f"{block}_{part}", f"{block}_{part}_BN"
    yield "Conv_1", "Conv_1_bn"
