"""Weights of the official Keras networks under our names, and back.

Layers have the same names in both (``target.enc0.conv0``, ``context.dec2.up``, ``target.hook.proj`` ...); a
single branch, without prefix there, is ``target`` here.  Only the parts of a layer are called differently,
and convolution kernels are (height, width, in, out) there, (out, in, height, width) here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hooknet.errors import CheckpointError
from hooknet.shapes.hooknet import HookNetShape
from hooknet.shapes.work import Convolution

_PARTS: Final = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_CONVOLUTION_PARTS: Final = {"weight": "kernel", "bias": "bias"}
_NORMALISATION_PARTS: Final = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# (height, width, in, out) -> (out, in, height, width), and back
_TO_TORCH: Final = (3, 2, 0, 1)
_TO_KERAS: Final = (2, 3, 1, 0)


def from_keras(weights: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """State dict from official ``layer/part`` -> array; CheckpointError for a part that no layer has."""
    state = {}
    for name, array in weights.items():
        layer, _, part = name.rpartition("/")
        if not layer or part not in _PARTS:
            raise CheckpointError(
                f"weights named {name!r}; wanted layer/part, part one of {', '.join(_PARTS)}"
            )
        values = np.transpose(array, _TO_TORCH) if part == "kernel" else array
        state[f"{_with_branch(layer)}.{_PARTS[part]}"] = torch.from_numpy(np.array(values, order="C"))
        if part == "moving_mean":  # a counter that only torch keeps; with a fixed momentum nothing reads it
            state[f"{_with_branch(layer)}.num_batches_tracked"] = torch.tensor(0)
    return state


def to_keras(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Official ``layer/part`` -> array from a state dict, with branch prefix; batch counters are left out."""
    weights = {}
    for name, tensor in state.items():
        layer, _, part = name.rpartition(".")
        if part == "num_batches_tracked":
            continue
        normalises = layer.rpartition(".")[2].startswith("bn")
        official = (_NORMALISATION_PARTS if normalises else _CONVOLUTION_PARTS)[part]
        array = tensor.detach().cpu().numpy()
        weights[f"{layer}/{official}"] = np.transpose(array, _TO_KERAS) if official == "kernel" else array
    return weights


def keras_order(shape: HookNetShape) -> tuple[list[str], list[str]]:
    """Names of convolutions and of batch normalisations in the order in which Keras numbers them.

    Coarsest branch first, each from its first layer to its last.  The suffixes of ``conv2d_N`` and
    ``batch_normalization_N`` in a file, less the smallest of each, are indices into these lists; layers that
    nothing uses are numbered too, though a file lacks them.
    """
    everything = replace(shape.settings, loss_weights=(1.0,) * len(shape.settings.spacings))
    branches: dict[str, list[Convolution]] = {}
    for one in HookNetShape(everything).convolutions():
        branches.setdefault(one.name.partition(".")[0], []).append(one)
    ordered = [one for branch in reversed(branches.values()) for one in branch]
    normalised = [one.name.replace(".conv", ".bn") for one in ordered if one.normalised]
    return [one.name for one in ordered], normalised


def _with_branch(layer: str) -> str:
    branch = layer.partition(".")[0]
    return layer if branch == "target" or branch.startswith("context") else f"target.{layer}"
