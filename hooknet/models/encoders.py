"""Encoders of a user's own: what they have to be, how one is made, and where its weights may come from.

To make one runs code that the experiments file names.  Nothing here is called for what a checkpoint names.
"""

from __future__ import annotations

import importlib
import importlib.util
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from hooknet.errors import CheckpointError, ConfigError
from hooknet.models.checkpoint import check_sums
from hooknet.models.safetensors_file import read_safetensors
from hooknet.shapes.encoded import EncoderSpec


@runtime_checkable
class Encoder(Protocol):
    """A torch module from images to maps; what ``make(channels=C, **options)`` returns.

    ``strides``: input px from one px of a map to the next, powers of two, finest first; ``channels`` of each map.
    It may state a ``unit``, input px of whose multiples views are apart and large; by default the last stride.
    Called with (B, C, M, M) of 0..1, M a multiple of the unit, it gives a map (B, channels, M / stride, same) for
    each stride.  Px i of a map shows input px [i s, (i + 1) s): its middle lies at (i + 1/2) s.  ``hooknet
    check-encoder`` looks whether that is so.
    """

    strides: Sequence[int]
    channels: Sequence[int]

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """The maps of images."""
        ...


def make_encoder(make: str, channels: int, options: Mapping[str, Any]) -> nn.Module:
    """Run the function that ``module:function`` or ``file.py:function`` names; its encoder comes back.

    Modules are looked for as Python does, and in the working folder.  ConfigError for code that is not there, fails,
    or gives something else.
    """
    place, _, name = make.rpartition(":")
    function = getattr(_loaded(make, place), name, None)
    if not isinstance(function, Callable):  # type: ignore[arg-type]
        raise ConfigError(f"encoder {make}: found no function {name!r} in {place}; correct the name")
    assert function is not None
    try:
        encoder = function(channels=channels, **options)
    except (Exception, SystemExit) as error:  # of the user's code
        raise ConfigError(f"encoder {make}: {told(error)}; correct its code or its options") from error
    if not isinstance(encoder, nn.Module) or not isinstance(encoder, Encoder):
        raise ConfigError(
            f"encoder {make}: found {type(encoder).__name__}, wanted a torch module with `strides` and `channels` "
            "(docs/encoders.md)"
        )
    return encoder


def built(spec: EncoderSpec, channels: int) -> nn.Module:
    """The encoder of settings; ConfigError unless it is what they state."""
    encoder = make_encoder(spec.make, channels, dict(spec.options))
    strides, widths = numbers_of(encoder)
    found = {
        "strides": strides,
        "channels": widths,
        "unit": unit_of(encoder),
        "parameters": sum(one.numel() for one in encoder.parameters()),
    }
    for key, value in found.items():
        stated = getattr(spec, key)
        if value != stated:
            raise ConfigError(
                f"encoder {spec.make}: it has {key} {value}, network.encoder states {stated}; run `hooknet "
                "check-encoder`, which prints the section"
            )
    return encoder


def unit_of(encoder: nn.Module) -> int:
    """What an encoder says of views, or its last stride; ConfigError for what is no number."""
    strides, _ = numbers_of(encoder)
    return _whole(encoder, "unit", [getattr(encoder, "unit", strides[-1])])[0]


def numbers_of(encoder: nn.Module) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The strides and the channels that an encoder states; ConfigError for what are no numbers."""
    of = cast(Encoder, encoder)
    return _whole(encoder, "strides", of.strides), _whole(encoder, "channels", of.channels)


def _whole(encoder: nn.Module, key: str, said: Any) -> tuple[int, ...]:
    try:
        found = tuple(operator.index(one) for one in said)
    except TypeError:
        found = ()
    if not found:
        raise ConfigError(
            f"encoder {type(encoder).__name__}: found {key} {str(said)[:60]}, wanted whole numbers; correct its code"
        )
    return found


def checked(maps: Any, spec: EncoderSpec, size: int) -> Sequence[Tensor]:
    """The maps of a view of ``size`` px, as an encoder gave them; ConfigError unless as large and deep as stated."""
    kind = isinstance(maps, (Sequence, Tensor)) and all(isinstance(one, Tensor) for one in maps)
    if not kind:
        raise ConfigError(
            f"encoder {spec.make}: it gives {type(maps).__name__}, wanted a list of tensors; correct its code"
        )
    found = [tuple(one.shape[1:]) for one in maps]
    wanted = [
        (width, size // stride, size // stride)
        for stride, width in zip(spec.strides, spec.channels, strict=True)
    ]
    if found != wanted:
        raise ConfigError(
            f"encoder {spec.make}: it makes maps of {found} of a view of {size} px, wanted {wanted}; correct its code"
        )
    return cast(Sequence[Tensor], maps)


def encoder_weights(path: Path) -> Mapping[str, Tensor]:
    """The tensors in a file of the user's: ``.safetensors``, or a state dict that torch saved (nothing in it is run).

    A state dict may lie under ``state_dict`` or ``model``.  CheckpointError for other files.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; name weights that are there (network.encoder.weights)")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        check_sums(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch makes of bytes that are no checkpoint is any kind of error
        raise CheckpointError(
            f"{path}: damaged or no weights ({told(error)[:150]}); copy it again"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise CheckpointError(f"{path}: found no state dict; save `encoder.state_dict()` and name that file")
    return found


def _loaded(make: str, place: str) -> ModuleType:
    if not place:
        raise ConfigError(f"encoder {make!r}: wanted module:function or file.py:function")
    try:
        if not place.endswith(".py"):
            here = str(Path.cwd())
            if here not in sys.path:
                sys.path.append(here)  # last: a file of the user's hides no package
            return importlib.import_module(place)
        if not Path(place).is_file():
            raise ConfigError(f"encoder {make}: found no file {place!r}; correct the path")
        spec = importlib.util.spec_from_file_location(f"hooknet_encoder_{Path(place).stem}", place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look for it
        spec.loader.exec_module(module)
        return module
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # of the user's code, at import
        raise ConfigError(f"encoder {make}: {told(error)}; correct the name or the code") from error


def told(error: BaseException) -> str:
    """What went wrong in a user's code, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
