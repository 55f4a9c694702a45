"""Smooth fields over the world, in µm: they look the same at whatever spacing they are read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Positions = NDArray[np.floating[Any]]

# The weights of a cubic B-spline average the nodes: this brings normal nodes back to about unit variance.
_SPREAD = 2.1


def generator(*parts: object) -> np.random.Generator:
    """A generator that depends on ``parts`` only (their text), the same in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


@dataclass(frozen=True)
class Lattice:
    """Values at nodes ``step`` µm apart, the first at (-step, -step) µm; cubic or linear in between."""

    step: float
    values: Field
    cubic: bool

    def on(self, xs: Positions, ys: Positions) -> Field:
        """The field at the crossings of columns ``xs`` and rows ``ys`` (µm, rising): (len(ys), len(xs))."""
        columns, first_column = self._weights(xs)
        rows, first_row = self._weights(ys)
        last_row, last_column = first_row + rows.shape[1], first_column + columns.shape[1]
        part = self.values[first_row:last_row, first_column:last_column]
        return (rows @ part @ columns.T).astype(np.float32, copy=False)

    def highest(self, xs: Positions, ys: Positions) -> float:
        """The highest node value around the block ``xs`` by ``ys``: what :meth:`on` cannot exceed."""
        columns = slice(int(xs[0] / self.step), int(xs[-1] / self.step) + 4)
        rows = slice(int(ys[0] / self.step), int(ys[-1] / self.step) + 4)
        return float(self.values[rows, columns].max())

    def _weights(self, positions: Positions) -> tuple[Field, int]:
        """(positions, nodes) weights of the nodes from the returned index on."""
        at = positions / self.step + 1.0
        nodes = np.floor(at).astype(np.int64)
        t = (at - nodes)[:, None]
        if self.cubic:
            weights = (
                np.hstack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3])
                / 6.0
            )
        else:
            weights = np.hstack([np.zeros_like(t), 1 - t, t, np.zeros_like(t)])
        first = int(nodes[0]) - 1
        matrix = np.zeros((len(positions), int(nodes[-1]) + 3 - first), dtype=np.float32)
        np.put_along_axis(
            matrix, nodes[:, None] - 1 - first + np.arange(4), weights.astype(np.float32), axis=1
        )
        return matrix, first


def nodes(size_um: float, step: float) -> Positions:
    """Where the nodes of a lattice over a world of ``size_um`` are, µm."""
    return (np.arange(ceil(size_um / step) + 5) - 1.0) * step


def noise(size_um: float, period: float, rng: np.random.Generator) -> Lattice:
    """A random field of about zero mean and unit variance whose bumps are about ``period`` µm wide."""
    count = len(nodes(size_um, period))
    return Lattice(period, _SPREAD * rng.standard_normal((count, count), dtype=np.float32), cubic=True)


def ramp(depth: Field, width: float) -> Field:
    """0 outside, 1 inside of where ``depth`` is 0 µm, rising over ``width`` µm."""
    return np.asarray(np.clip(depth / np.float32(width) + np.float32(0.5), 0, 1), np.float32)
