"""The random numbers of one draw.  They depend on the seed and the draw's number, on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

# What each uniform number decides, by position.
SYMMETRY, ELASTIC, BRIGHTNESS, CONTRAST, SATURATION, NOISE = range(6)
STAIN = 6  # six of them: a factor and a shift for each of haematoxylin, eosin, residual
UNIFORM = 12

# Displacements are cut at so many standard deviations, so that labels need a bounded margin.
ELASTIC_LIMIT = 2.5
MAX_NODES = 96


@dataclass(frozen=True)
class AugmentNumbers:
    """How the displacement field is laid out: ``nodes`` a side, over ``extent_um`` around the centre."""

    nodes: int
    extent_um: float


def field_layout(widest_um: float, scale_um: float) -> AugmentNumbers:
    """Nodes ``scale_um`` apart over the widest view and one more all around (wider apart where that is too many)."""
    nodes = min(MAX_NODES, ceil(widest_um / scale_um) + 3)
    return AugmentNumbers(nodes, widest_um * (nodes - 1) / (nodes - 3))


def label_margin(elastic_um: float, spacing: float) -> int:
    """Pixels by which a displacement may reach beyond a label patch."""
    return ceil(ELASTIC_LIMIT * elastic_um / spacing) + 1 if elastic_um > 0 else 0


def draw_numbers(
    layout: AugmentNumbers | None, seed: int, draw: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Uniform numbers in [0, 1) (UNIFORM,) and a field (2, nodes, nodes), in standard deviations."""
    if layout is None:
        return np.zeros(0, np.float32), np.zeros((2, 0, 0), np.float32)
    rng = np.random.default_rng([seed, 3, draw])
    uniform = rng.random(UNIFORM, dtype=np.float32)
    field = rng.standard_normal((2, layout.nodes, layout.nodes), dtype=np.float32)
    return uniform, np.clip(field, -ELASTIC_LIMIT, ELASTIC_LIMIT)
