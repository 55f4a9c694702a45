"""Weights of a backbone, read from the files in which Keras (.h5) and torchvision (.pth) give theirs.

Both hold the layers of a network in the order in which ours makes them; what belongs to a top is left out.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hooknet.errors import CheckpointError
from hooknet.models.backbone_names import (
    Names,
    keras_mobilenet,
    torchvision_inception,
    torchvision_mobilenet,
)
from hooknet.models.checkpoint import check_sums
from hooknet.models.classifier import BACKBONES
from hooknet.models.h5_file import opened, tensors, weights_group
from hooknet.shapes.classifier import Backbone, Layout

NAMES: Final = {"mobilenetv2": "MobileNetV2 of width 1 (alpha 1.0)", "inceptionv3": "InceptionV3"}
#: A tensor by which a file shows whose weights it holds.
_TOLD_BY: Final = {
    "expanded_conv_depthwise/depthwise_kernel": "mobilenetv2",
    "conv2d_90/kernel": "inceptionv3",
    "features.18.0.weight": "mobilenetv2",
    "Conv2d_1a_3x3.conv.weight": "inceptionv3",
}
_KERAS_PARTS: Final = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_NUMBERED: Final = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?")


@dataclass(frozen=True)
class _Wanted:
    """A tensor in the file: its name, its shape there, and which of its axes are ours in order."""

    place: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]


def read_backbone(path: Path, backbone: Backbone, layout: Layout) -> dict[str, Tensor]:
    """The state dict of a backbone, from a file of the layout's: ``keras`` .h5, ``torchvision`` .pth.

    A file with a top will do, and so will the .h5 of a whole model.  Nothing in a file is run, no link followed.
    CheckpointError, naming the first tensor that does not fit, for any file that holds other weights.
    """
    with torch.device("meta"):
        network = BACKBONES[backbone](layout)
    if layout == "torchvision":
        found: Mapping[str, Any] = _torchvision_file(path)
        wanted = _torchvision_tensors(network, backbone)
        return _state(path, network, wanted, found, _remedy(found, backbone, layout))
    _refuse_torch(path)
    with opened(path) as file:
        found = _keras_content(path, weights_group(path, file))
        remedy = _remedy(found, backbone, layout)
        wanted = _keras_tensors(network, _keras_names(path, backbone, found, remedy))
        return _state(path, network, wanted, found, remedy)


def _state(
    path: Path, network: nn.Module, wanted: Mapping[str, _Wanted], found: Mapping[str, Any], remedy: str
) -> dict[str, Tensor]:
    """The tensors as the network has them; ``found`` holds arrays or HDF5 tensors, read one at a time."""
    _refuse_others(path, wanted, found, remedy)
    state = {}
    for name, own in network.state_dict().items():
        if name in wanted:
            values = _values(path, wanted[name], found, remedy)
            state[name] = torch.from_numpy(np.ascontiguousarray(values.transpose(wanted[name].axes)))
        else:  # a counter that only torch keeps; with a fixed momentum nothing reads it
            state[name] = torch.zeros(own.shape, dtype=own.dtype)
    return state


def _values(path: Path, wanted: _Wanted, found: Mapping[str, Any], remedy: str) -> NDArray[np.float32]:
    """A tensor of the file; CheckpointError unless it is there, has its shape, and holds fit numbers."""
    place = f"{path}: tensor {wanted.place}"
    tensor = found.get(wanted.place)
    if tensor is None:
        raise CheckpointError(f"{place} is missing, wanted shape {wanted.shape}; {remedy}")
    if tensor.shape != wanted.shape:
        raise CheckpointError(f"{place} is of shape {tensor.shape}, wanted {wanted.shape}; {remedy}")
    if tensor.dtype.kind != "f":
        raise CheckpointError(f"{place} is of type {tensor.dtype}, wanted floats; {remedy}")
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = np.array(tensor[()], dtype=np.float32)
    if not np.isfinite(values).all():
        raise CheckpointError(f"{place} is not finite, wanted numbers; get another copy")
    if wanted.place.endswith(("moving_variance", "running_var")) and values.min() < 0:
        raise CheckpointError(f"{place} has negative values, wanted variances; get another copy")
    return values


def _refuse_others(path: Path, wanted: Mapping[str, _Wanted], found: Mapping[str, Any], remedy: str) -> None:
    """CheckpointError for a part that our layers do not have, as a bias: without it they would do other things."""
    places = {one.place for one in wanted.values()}
    layers = {_layer(place) for place in places}
    for place in found:
        if _layer(place) in layers and place not in places and not place.endswith(".num_batches_tracked"):
            raise CheckpointError(f"{path}: tensor {place} has no place in the network; {remedy}")


def _layer(place: str) -> str:
    return place.rpartition("/" if "/" in place else ".")[0]


def _remedy(found: Mapping[str, Any], backbone: str, layout: str) -> str:
    """What to do about a file that does not fit."""
    told = {_TOLD_BY[name] for name in _TOLD_BY if name in found}
    if told and backbone not in told:
        return f"set backbone to {told.pop()}, whose weights these are, or give those of {NAMES[backbone]}"
    whose = "Keras" if layout == "keras" else "torchvision"
    return f"give the weights of {whose}'s {NAMES[backbone]}, or leave weights out"


def _ours(network: nn.Module) -> list[Names]:
    """Each convolution and its normalisation, in the order in which they were made."""
    convolutions = [name for name, one in network.named_modules() if isinstance(one, nn.Conv2d)]
    norms = [name for name, one in network.named_modules() if isinstance(one, nn.BatchNorm2d)]
    return list(zip(convolutions, norms, strict=True))


def _torchvision_tensors(network: nn.Module, backbone: str) -> dict[str, _Wanted]:
    names = torchvision_mobilenet() if backbone == "mobilenetv2" else torchvision_inception()
    theirs = {
        own: other
        for pair in zip(_ours(network), names, strict=True)
        for own, other in zip(*pair, strict=True)
    }
    wanted = {}
    for name, own in network.state_dict().items():
        layer, _, part = name.rpartition(".")
        if part != "num_batches_tracked":
            wanted[name] = _Wanted(f"{theirs[layer]}.{part}", tuple(own.shape), tuple(range(own.ndim)))
    return wanted


def _torchvision_file(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a state dict that hold floats; CheckpointError for a file that is none."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, wanted torchvision weights (.pth)")
    with path.open("rb") as start:
        if start.read(4) == b"\x89HDF":
            raise CheckpointError(
                f"{path}: an HDF5 file, wanted torchvision weights (.pth); set layout to keras"
            )
    try:
        if zipfile.is_zipfile(path):
            check_sums(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of a damaged file, or of one that is none of its own
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: damaged or no torchvision weights ({reason}); download the .pth again"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: a {type(content).__name__}, wanted tensors with names; save the model's state_dict()"
        )
    return {str(name): _array(one) for name, one in content.items() if _is_plain(one)}


def _is_plain(one: Any) -> bool:
    return isinstance(one, Tensor) and one.layout == torch.strided and not one.is_quantized


def _array(one: Tensor) -> NDArray[Any]:
    """As numpy has it, which knows fewer types of floats."""
    array: NDArray[Any] = (one.detach().float() if one.is_floating_point() else one.detach()).numpy()
    return array


def _refuse_torch(path: Path) -> None:
    if path.is_file() and (zipfile.is_zipfile(path) or path.suffix in {".pth", ".pt"}):
        raise CheckpointError(
            f"{path}: a file of torch, wanted Keras weights (.h5); set layout to torchvision"
        )


def _keras_content(path: Path, group: Any) -> dict[str, Any]:
    """``layer/part`` -> HDF5 tensor, wherever the groups of layers lie."""
    content: dict[str, Any] = {}
    for tensor in tensors(path, group):
        place = "/".join(tensor.name.split("/")[-2:]).removesuffix(":0")
        if place.endswith("_depthwise/kernel"):  # so called by Keras 3
            place = place.replace("/kernel", "/depthwise_kernel")
        if place in content:
            raise CheckpointError(
                f"{path}: two tensors {place}, {content[place].name} and {tensor.name}; wanted the weights of one "
                "model"
            )
        content[place] = tensor
    return content


def _keras_names(path: Path, backbone: str, found: Mapping[str, Any], remedy: str) -> list[Names]:
    if backbone == "mobilenetv2":
        return list(keras_mobilenet())
    layers: dict[str, list[tuple[int, str]]] = {"conv2d": [], "batch_normalization": []}
    for name in {_layer(place) for place in found}:
        if numbered := _NUMBERED.fullmatch(name):
            layers[numbered[1]].append((int(numbered[2] or 0), name))
    count = len(list(torchvision_inception()))
    for kind, names in layers.items():
        if len(names) != count:
            raise CheckpointError(
                f"{path}: {len(names)} layers {kind}, wanted the {count} of InceptionV3; {remedy}"
            )
    # Numbers go on from those of models made before in the same program: only their order counts.
    convolutions, norms = ([name for _, name in sorted(names)] for names in layers.values())
    return list(zip(convolutions, norms, strict=True))


def _keras_tensors(network: nn.Module, names: list[Names]) -> dict[str, _Wanted]:
    modules = dict(network.named_modules())
    wanted = {}
    for (own, own_norm), (layer, norm) in zip(_ours(network), names, strict=True):
        depthwise = modules[own].groups != 1
        out, incoming, high, wide = modules[own].weight.shape
        kernel = "depthwise_kernel" if depthwise else "kernel"
        shape = (high, wide, out, incoming) if depthwise else (high, wide, incoming, out)
        axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        wanted[f"{own}.weight"] = _Wanted(f"{layer}/{kernel}", shape, axes)
        for part, theirs in _KERAS_PARTS.items():
            if getattr(modules[own_norm], part) is not None:
                wanted[f"{own_norm}.{part}"] = _Wanted(f"{norm}/{theirs}", (out,), (0,))
    return wanted
