"""Weights of the official Keras networks, read from the HDF5 files that Keras 2 writes.

Such a file has a group for each layer (all of them below ``model_weights`` where a whole model was saved), and in
it, some groups deeper, a tensor for each part: ``conv2d_7/conv2d_7/kernel:0``.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from hooknet.errors import CheckpointError
from hooknet.models.h5_file import opened, tensors, weights_group
from hooknet.models.keras_fit import CONVOLUTION, Found, Misfit, match, remedy
from hooknet.models.keras_names import from_keras
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import branch_name

logger = logging.getLogger(__name__)

RAW: Final = 255
_LAYER: Final = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?")
_RESCALING: Final = re.compile(r"rescaling(_\d+)?")

# A grey of tissue, 0..1; and how far from it in proportion the first means may lie before it is said.
_TYPICAL: Final = 0.75
_DOUBTFUL: Final = 16.0

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class KerasWeights:
    """A state dict, and what the kernels of the first convolutions were multiplied by."""

    state: dict[str, torch.Tensor]
    factor: int


@dataclass
class _Content:
    """The layers of a file: their tensors, and how many of them rescale the input."""

    layers: dict[tuple[str, int], dict[str, Found]] = field(default_factory=dict)
    rescaling: int = 0


def read_keras(path: Path, settings: HookNetSettings, input_scale: int) -> KerasWeights:
    """The weights for a network of these settings, for pixels 0..1.

    ``input_scale``: the largest pixel value that the Keras model was given.  1: the kernels are taken as they
    are.  255: as they are too if the file has ``rescaling`` layers, since then the model itself divides by 255;
    else the first convolution of each branch saw 0..255, so its kernel is multiplied by 255.

    CheckpointError for a file that cannot be read, or does not fit: it names the tensor and, where it can be
    told, the setting.  Nothing outside the file is read: links and external data are refused.
    """
    with opened(path) as file:
        group = weights_group(path, file)
        content = _content(path, group)
        try:
            found = match(content.layers, settings)
        except Misfit as misfit:
            raise CheckpointError(f"{path}: {misfit}; {remedy(content.layers, settings)}") from None
        arrays = {name: _read(path, group, one) for name, one in found.items()}
    factor = _factor(path, content, settings, input_scale)
    for branch in range(len(settings.spacings)):
        arrays[f"{branch_name(branch)}.enc0.conv0/kernel"] *= factor
    _doubt(path, arrays, settings, input_scale)
    return KerasWeights(from_keras(arrays), factor)


def _content(path: Path, group: Any) -> _Content:
    """All tensors of the layers we know; CheckpointError for tensors of any other."""
    content = _Content()
    for name in group:
        content.rescaling += _RESCALING.fullmatch(name) is not None
    for member in tensors(path, group):
        place = member.name.removeprefix(group.name).lstrip("/")
        *above, part = place.split("/")
        layer = next(filter(None, map(_LAYER.fullmatch, above)), None)
        if layer is None:
            raise CheckpointError(
                f"{path}: tensor {place} is of no layer of these networks; wanted conv2d and batch_normalization "
                "with the names that Keras gives"
            )
        if member.shape is None:
            raise CheckpointError(f"{path}: tensor {place} is empty, wanted its values; get another copy")
        if member.dtype.kind != "f":
            raise CheckpointError(f"{path}: tensor {place} is of type {member.dtype}, wanted floats")
        parts = content.layers.setdefault((layer[1], int(layer[2] or 0)), {})
        part = part.removesuffix(":0")
        if part in parts:
            raise CheckpointError(
                f"{path}: two tensors for one part, {parts[part].place} and {place}; wanted the weights of one model"
            )
        parts[part] = Found(place, tuple(member.shape))
    if not any(kind == CONVOLUTION for kind, _ in content.layers):
        raise CheckpointError(f"{path}: holds no layer conv2d; wanted weights of the official Keras networks")
    return content


def _read(path: Path, group: Any, found: Found) -> NDArray[np.float32]:
    """A tensor's values; CheckpointError unless all are finite, and no variance negative."""
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = np.asarray(group[found.place][()]).astype(np.float32)
    wrong = np.count_nonzero(~np.isfinite(values))
    if wrong:
        raise CheckpointError(
            f"{path}: tensor {found.place} has {wrong} values that are not finite; get another copy or train again"
        )
    if "moving_variance" in found.place and values.min(initial=0) < 0:
        raise CheckpointError(f"{path}: tensor {found.place} has negative values, wanted variances")
    return values


def _factor(path: Path, content: _Content, settings: HookNetSettings, input_scale: int) -> int:
    """What the first kernels are to be multiplied by, for pixels 0..1."""
    branches = len(settings.spacings)
    if content.rescaling not in (0, branches):
        raise CheckpointError(
            f"{path}: {content.rescaling} layers called rescaling for {branches} inputs, wanted none or one each"
        )
    if input_scale == RAW and not content.rescaling:
        logger.info("%s: no rescaling layer, so the first kernels are multiplied by %d", path, RAW)
        return RAW
    logger.info(
        "%s: kernels are taken as they are%s",
        path,
        ", the model rescales by itself" * bool(content.rescaling),
    )
    return 1


def _doubt(path: Path, arrays: Arrays, settings: HookNetSettings, input_scale: int) -> None:
    """Warn where the first normalisations expect another range of pixels than the kernels will get.

    Their moving means are those of the convolution's activations on the training patches; an even grey gives
    about the same, and a wrong factor of 255 shows.
    """
    if not settings.batch_norm:
        return
    expected = seen = 0.0
    for branch in range(len(settings.spacings)):
        block = f"{branch_name(branch)}.enc0"
        sums = arrays[f"{block}.conv0/kernel"].sum(axis=(0, 1, 2))
        grey = sums * _TYPICAL + arrays[f"{block}.conv0/bias"]
        expected += float(np.maximum(grey, 0).sum())
        seen += float(np.abs(arrays[f"{block}.bn0/moving_mean"]).sum())
    if min(expected, seen) > 0 and not 1 / _DOUBTFUL < expected / seen < _DOUBTFUL:
        logger.warning(
            "%s: pixels 0..1 give the first layers %.2g times what they saw in training; is --input-scale %d right?",
            path,
            expected / seen,
            input_scale,
        )
