"""The index of patch centres on disk (Parquet)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hooknet.errors import MaskError
from hooknet.io.atomic import atomic
from hooknet.io.drawings import FARTHEST

_META = b"hooknet"
# Before those of the counts.
COLUMNS = ("x", "y", "label", "region")


def pixels_column(value: int) -> str:
    """The column that counts the target label patch's pixels of class ``value``."""
    return f"pixels_{value}"


@dataclass(frozen=True)
class Centres:
    """The index of one slide.

    ``table``: x, y (level-0 px), label (class under the centre), region (connected part of one class) and
    pixels_1..pixels_K, the classes' pixels in the label patch of ``size`` px at ``spacing`` around the centre.
    """

    table: pd.DataFrame
    names: tuple[str, ...]
    size: int
    spacing: float


def write_centres(path: str | Path, centres: Centres) -> None:
    """Write the index of one slide, atomically."""
    meta = json.dumps({"names": centres.names, "size": centres.size, "spacing": centres.spacing})
    table = pa.Table.from_pandas(centres.table, preserve_index=False)
    table = table.replace_schema_metadata({_META: meta.encode()})
    with atomic(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_centres(path: str | Path) -> Centres:
    """The index of one slide; MaskError when the file is not one."""
    if not Path(path).is_file():
        raise MaskError(f"{path}: no such file; make it with index-centres")
    try:
        table = pq.read_table(path)
        meta = json.loads(table.schema.metadata[_META])
        names = tuple(str(one) for one in meta["names"])
        size, spacing = int(meta["size"]), float(meta["spacing"])
        columns = [*COLUMNS, *(pixels_column(value) for value in range(1, len(names) + 1))]
        missing = [one for one in columns if one not in table.column_names]
        if missing:
            raise ValueError(f"without column {', '.join(missing)}")
        _check_values(table, columns, len(names), size)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, OverflowError) as error:
        message = " ".join(str(error).split())
        raise MaskError(
            f"{path}: not an index of patch centres ({message}); make it again with index-centres"
        ) from None
    return Centres(table.to_pandas(), names, size, spacing)


def _check_values(table: pa.Table, columns: list[str], classes: int, size: int) -> None:
    """ValueError for the first column that holds what no centre has: a draw would show what is not on the slide."""
    most = {"x": FARTHEST, "y": FARTHEST, "label": classes}
    for name in columns:
        values = np.asarray(table[name].to_numpy(), np.float64)
        low, high = float(name == "label"), most.get(name, size * size if name != "region" else np.inf)
        wrong = ~((values >= low) & (values <= high))
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"{name} of row {row + 1} is {values[row]:g}, wanted {low:g}..{high:g}")
