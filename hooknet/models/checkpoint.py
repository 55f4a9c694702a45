"""Weights in a file, with what is needed to build their network again.

A file is read without running anything in it: tensors, and settings as JSON text.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

import hooknet
from hooknet.errors import CheckpointError

FORMAT: Final = "hooknet checkpoint"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a file held: settings and extras as JSON gives them back (tuples as lists), weights on the CPU.

    ``version`` is that of the package that wrote it.
    """

    spec: dict[str, Any]
    state_dict: dict[str, Tensor]
    extra: dict[str, Any]
    version: str


def save_checkpoint(
    path: str | Path, model: nn.Module, spec: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    """Write the weights of a model with its settings; both mappings hold plain JSON values.

    The file is whole or not there.  ValueError for a number that is not finite, TypeError for other objects.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "hooknet": hooknet.__version__,
        "spec": json.dumps(dict(spec), allow_nan=False),
        "extra": json.dumps(dict(extra or {}), allow_nan=False),
        "state": {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Named as by io.atomic, which knows what to make of it where its process was killed.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """The content of a file that :func:`save_checkpoint` wrote; CheckpointError for any other."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; train the model first or give another checkpoint")
    try:
        check_sums(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch makes of bytes that are no checkpoint is any kind of error
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: damaged or no checkpoint ({reason}); train or copy it again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: weights of another program; wanted a file written by hooknet train")
    found = content.get("format_version")
    if not isinstance(found, int) or found != FORMAT_VERSION:
        told, by = (" ".join(str(one).split())[:60] for one in (found, content.get("hooknet")))
        raise CheckpointError(
            f"{path}: format {told} of hooknet {by}, wanted format {FORMAT_VERSION} as of hooknet "
            f"{hooknet.__version__}; install that version or train again"
        )
    try:
        spec, extra = json.loads(content["spec"]), json.loads(content["extra"])
        state, version = content["state"], content["hooknet"]
        if not isinstance(version, str):
            raise ValueError("its version is no text")
        if not all(isinstance(one, dict) for one in (spec, extra, state)):
            raise ValueError("settings or weights are no mapping")
        _check_weights(state, path.stat().st_size)
        _check_spec(spec)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); train or copy it again") from None
    return Checkpoint(spec, state, extra, version)


def _check_weights(state: Mapping[Any, Any], size: int) -> None:
    """ValueError for what is no plain tensor, and for tensors that fill more than a file of ``size`` bytes.

    A tensor may repeat one number in all its places, and so ask for any memory.
    """
    for name, one in state.items():
        if not isinstance(name, str) or not isinstance(one, Tensor):
            raise ValueError("weights are no tensors")
        if one.layout != torch.strided or one.device.type != "cpu" or one.is_quantized or one.is_complex():
            raise ValueError(f"tensor {name[:60]!r} is no plain one")
    filled = sum(one.numel() * one.element_size() for one in state.values())
    if filled > size:
        raise ValueError(f"weights of {filled} bytes in a file of {size}")


def _check_spec(spec: Mapping[str, Any]) -> None:
    """ValueError where what stands in the settings under a name of ours is of another kind."""
    classes, slides, channels = spec.get("classes", []), spec.get("slides", []), spec.get("channels", 3)
    if not isinstance(spec.get("settings", {}), dict):
        raise ValueError("settings are no mapping")
    if not isinstance(classes, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in classes
    ):
        raise ValueError("classes have no names")
    if not isinstance(slides, list) or not all(isinstance(one, str) for one in slides):
        raise ValueError("slides are no list of names")
    if not isinstance(channels, int) or isinstance(channels, bool):
        raise ValueError("channels are no whole number")
    _check_provenance(spec)


def _check_provenance(spec: Mapping[str, Any]) -> None:
    """ValueError where what is told of the training is of another kind; older files tell nothing."""
    for name in (
        "versions",
        "trained_on",
        "validated_on",
        "normalisation",
        "tissue",
        "cohort",
        "started_from",
    ):
        if not isinstance(spec.get(name) or {}, dict):
            raise ValueError(f"{name} is no mapping")
    ranges = (spec.get("cohort") or {}).get("ranges", {})
    if not isinstance(ranges, dict) or not all(_is_range(one) for one in ranges.values()):
        raise ValueError("ranges of the cohort are no pairs of numbers")
    for name in ("trained_on", "validated_on"):
        counts = (spec.get(name) or {}).get("patches", {})
        if not isinstance(counts, dict) or not all(isinstance(one, int) for one in counts.values()):
            raise ValueError(f"patches of {name} are no counts")


def _is_range(found: Any) -> bool:
    """Whether something is [least, largest]."""
    numbers = isinstance(found, list) and len(found) == 2 and all(type(one) in (int, float) for one in found)
    return numbers and isfinite(found[0]) and found[0] <= found[1] and isfinite(found[1])


def check_sums(path: Path) -> None:
    """Raise BadZipFile for a file that is no archive or has a changed byte, which torch does not look for.

    So too for one that would unpack to more than it is: torch packs nothing, and would take the memory.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
        if unpacked > path.stat().st_size:
            raise zipfile.BadZipFile(f"{path.stat().st_size} bytes would unpack to {unpacked}")
        changed = archive.testzip()
    if changed is not None:
        raise zipfile.BadZipFile(f"wrong check sum of {changed}")


def check_fit(model: nn.Module, state_dict: Mapping[str, Tensor], place: str | Path) -> None:
    """CheckpointError, naming the first tensor, unless each of the model's has one of its shape, and no other is there.

    The model may be on the device ``meta``, where it takes no memory.  ``place`` is the file that the message names.
    """
    wanted = model.state_dict()
    for name in [*wanted, *state_dict]:
        if name not in state_dict:
            found = "missing"
        elif name not in wanted:
            raise CheckpointError(
                f"{place}: tensor {name} has no place in the network; use the settings it was trained with, "
                "loss_weights too (hooknet card tells them)"
            )
        elif state_dict[name].shape != wanted[name].shape:
            found = f"of shape {tuple(state_dict[name].shape)}"
        else:
            continue
        raise CheckpointError(
            f"{place}: tensor {name} is {found}, wanted shape {tuple(wanted[name].shape)}; "
            "use the settings it was trained with"
        )


def restore(model: nn.Module, state_dict: Mapping[str, Tensor], place: str | Path) -> None:
    """Put weights into a model; CheckpointError as :func:`check_fit`, or for one not finite, before any change."""
    check_fit(model, state_dict, place)
    for name, tensor in state_dict.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{place}: tensor {name} is not finite, wanted shape {tuple(tensor.shape)}; "
                "use the settings it was trained with"
            )
    model.load_state_dict(dict(state_dict))
