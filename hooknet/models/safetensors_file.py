"""Tensors from a .safetensors file: a JSON header that says what lies where, then bytes.  Nothing in it is run.

Format: https://huggingface.co/docs/safetensors (8 bytes of the header's length, little-endian; the header; the data).
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from hooknet.errors import CheckpointError

_KINDS: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
#: Bytes of a header.
_LONGEST: Final = 100 << 20


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, on the CPU; CheckpointError for a file whose header does not fit its bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size - 8 - length
        if length > _LONGEST or size < 0:
            raise CheckpointError(f"{path}: no .safetensors file, or cut short; copy it again")
        header, data = file.read(length), bytearray(file.read())
    try:
        entries = json.loads(header)
        return {name: _tensor(entry, data) for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise CheckpointError(f"{path}: damaged .safetensors file ({reason}); copy it again") from None


def _tensor(entry: dict[str, Any], data: bytearray) -> Tensor:
    kind, shape, (start, end) = _KINDS[entry["dtype"]], entry["shape"], entry["data_offsets"]
    wanted = prod(shape) * kind.itemsize
    if min([*shape, start], default=0) < 0 or end - start != wanted or end > len(data):
        raise ValueError(f"bytes {start} to {end} of {len(data)} for {wanted}")
    if wanted == 0:
        return torch.zeros(shape, dtype=kind)
    return (
        torch.frombuffer(data, dtype=torch.uint8, count=wanted, offset=start)
        .clone()
        .view(kind)
        .reshape(shape)
    )
