"""What a trial made of the validation centres, on disk (Parquet): one row a centre."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hooknet.errors import MaskError
from hooknet.io.atomic import atomic

_META = b"hooknet"


@dataclass(frozen=True, eq=False)
class Points:
    """Centres (n,) and the class probabilities (n, K) that a network gives the pixel under each.

    ``slides``: ids.  ``x``, ``y``: level-0 px.  ``labels``: the class there, 1..K.
    """

    names: tuple[str, ...]
    slides: NDArray[np.str_]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.uint8]:
        """The likeliest class of each, 1..K."""
        likeliest: NDArray[np.uint8] = (self.probabilities.argmax(axis=1) + 1).astype(np.uint8)
        return likeliest

    def are_those_of(self, other: Points) -> bool:
        """Whether both are about the same centres, in one order."""
        return (
            self.names == other.names
            and np.array_equal(self.slides, other.slides)
            and np.array_equal(self.x, other.x)
            and np.array_equal(self.y, other.y)
            and np.array_equal(self.labels, other.labels)
        )


def write_points(path: str | Path, points: Points) -> None:
    """Write them, atomically."""
    columns = {"slide": points.slides, "x": points.x, "y": points.y, "label": points.labels}
    shares = {f"probability_{at + 1}": points.probabilities[:, at] for at in range(len(points.names))}
    table = pa.Table.from_pandas(pd.DataFrame({**columns, **shares}), preserve_index=False)
    table = table.replace_schema_metadata({_META: json.dumps({"names": points.names}).encode()})
    with atomic(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_points(path: str | Path) -> Points:
    """What :func:`write_points` wrote; MaskError for anything else."""
    if not Path(path).is_file():
        raise MaskError(f"{path}: no such file; make it with train-trial")
    try:
        table = pq.read_table(path)
        names = tuple(str(one) for one in json.loads(table.schema.metadata[_META])["names"])
        shares = [table[f"probability_{at + 1}"].to_numpy() for at in range(len(names))]
        found = Points(
            names,
            np.asarray(table["slide"].to_pylist(), np.str_),
            table["x"].to_numpy().astype(np.float64),
            table["y"].to_numpy().astype(np.float64),
            table["label"].to_numpy().astype(np.uint8),
            np.stack(shares, axis=1).astype(np.float64),
        )
        if len(found.labels) == 0 or not ((found.labels >= 1) & (found.labels <= len(names))).all():
            raise ValueError("labels are not those of its classes")
        if not (np.isfinite(found.probabilities).all() and (found.probabilities >= 0).all()):
            raise ValueError("probabilities are no shares")
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise MaskError(
            f"{path}: not what a trial predicts ({message}); make it again with train-trial"
        ) from None
    return found
