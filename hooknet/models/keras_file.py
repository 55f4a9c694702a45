"""Weights of the official Keras networks, read from the HDF5 files that Keras 2 writes.

Such a file has a group for each layer (all of them below ``model_weights`` where a whole model was saved), and in
it, some groups deeper, a tensor for each part: ``conv2d_7/conv2d_7/kernel:0``.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from hooknet.errors import CheckpointError
from hooknet.models.keras_fit import CONVOLUTION, Found, Misfit, match, remedy
from hooknet.models.keras_names import from_keras
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import branch_name

logger = logging.getLogger(__name__)

RAW: Final = 255
INSTALL: Final = "pip install -c constraints.txt -e '.[keras]'"
# model/layer/layer/part and a few name scopes; a file that nests deeper is none of Keras.
DEEPEST: Final = 8
_LAYER: Final = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?")
_RESCALING: Final = re.compile(r"rescaling(_\d+)?")
_HDF5: Final = b"\x89HDF\r\n\x1a\n"

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
    with _opened(path) as file:
        group = _weights_group(path, file)
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


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open HDF5 file; CheckpointError where it is none, or while it is read."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, wanted Keras weights (.h5)")
    try:
        import h5py
    except ImportError:
        raise CheckpointError(
            f"{path}: reading Keras weights needs h5py, which is missing; {INSTALL}"
        ) from None
    with path.open("rb") as start:
        if start.read(len(_HDF5)) != _HDF5:
            raise CheckpointError(
                f"{path}: not an HDF5 file, wanted the .h5 that Keras 2 writes; save the weights with "
                "model.save_weights('weights.h5')"
            )
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except CheckpointError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # whatever HDF5 makes of a damaged file
        reason = " ".join(str(error).split())[:100]
        raise CheckpointError(f"{path}: damaged ({reason}); copy or download it again") from None


def _weights_group(path: Path, file: Any) -> Any:
    if "model_weights" in file:
        group = _member(path, file, "model_weights")
        if not isinstance(group, type(file["/"])):
            raise CheckpointError(
                f"{path}: /model_weights is no group, wanted one with the layers; get another copy"
            )
        return group
    if "layers" in file or "_layer_checkpoint_dependencies" in file:
        raise CheckpointError(
            f"{path}: the layout of Keras 3 (.weights.h5), wanted the older one with a group for each layer; "
            "save the weights with tf_keras, model.save_weights('weights.h5')"
        )
    return file


def _member(path: Path, group: Any, name: str) -> Any:
    """A group or tensor that lies in the file itself; CheckpointError for anything that leads elsewhere."""
    import h5py

    place = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise CheckpointError(f"{path}: {place} is a link, wanted the data itself; no link is followed")
    member = group[name]
    if isinstance(member, h5py.Dataset) and (member.is_virtual or member.external):
        raise CheckpointError(f"{path}: {place} has its data in another file, wanted them in this one")
    return member


def _content(path: Path, group: Any) -> _Content:
    """All tensors of the layers we know; CheckpointError for tensors of any other."""
    content = _Content()
    for name in group:
        content.rescaling += _RESCALING.fullmatch(name) is not None
    for member in _tensors(path, group, set(), 0):
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


def _tensors(path: Path, group: Any, seen: set[int], depth: int) -> Iterator[Any]:
    import h5py

    for name in group:
        member = _member(path, group, name)
        if isinstance(member, h5py.Dataset):
            yield member
            continue
        if not isinstance(member, h5py.Group):
            continue
        address = h5py.h5o.get_info(member.id).addr
        if address in seen or depth == DEEPEST:
            raise CheckpointError(
                f"{path}: {member.name} is reached twice or too deep; wanted a file of Keras"
            )
        seen.add(address)
        yield from _tensors(path, member, seen, depth + 1)


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
