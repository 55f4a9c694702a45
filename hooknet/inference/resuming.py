"""What is left to do of a slide whose inference was interrupted.

A map does not depend on the tiles that it is made of.  So the next process may lay others, where it has less memory:
of those before it takes the whole rows, and where its own lie as they did, also the row that was in progress.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import torch

from hooknet.config.code import code_of
from hooknet.inference.dense import Segmenting
from hooknet.inference.engines import Engine
from hooknet.inference.kept import KeptTiles, Square
from hooknet.inference.plan import plan_of

logger = logging.getLogger(__name__)


def depends(
    made: Mapping[str, str], work: Segmenting, engine: Engine, read: Sequence[str | Path]
) -> dict[str, object]:
    """What tiles depend on: what the map is made of, by which code and engine, the raster, and the files ``read``."""
    grid = work.grid
    return {
        **made,
        "code": code_of("infer"),
        "engine": f"{engine.name}, {engine.precision}, torch {torch.__version__}",
        "grid": [grid.width, grid.height, grid.step_x, grid.step_y],
        "files": [_state_of(Path(path)) for path in read],
    }


def _state_of(path: Path) -> tuple[str, int, int]:
    """What changes when a file is written again: its size and time."""
    told = path.stat()
    return str(path), told.st_size, told.st_mtime_ns


def left_to_do(slide: str, work: Segmenting, rows: tuple[int, int], kept: KeptTiles | None) -> Segmenting:
    """The work in some ``rows`` of the map but for what is kept; what is kept and of no use is cut off.

    Tiles lie where they do for the whole slide.
    """
    if kept is None or not kept.squares:
        return within(work, rows)
    last = kept.squares[-1][0][1]
    above = sum(1 for _ in takewhile(lambda one: one[0][1] < last, kept.squares))
    first = max(rows[0], last)
    rest = within(work, (first, rows[1]))
    same = _alike(kept.squares[above:], [(place, rest.plan.tile.stride) for place in rest.plan.places])
    kept.cut(above + same)
    left = replace(rest, plan=replace(rest.plan, places=rest.plan.places[same:]))
    if kept.squares:
        row = max(first, left.plan.places[0][1]) if left.plan.places else rows[1]
        logger.info(
            "%s: continued at row %d of %d: %d tiles were predicted before, %d are left",
            slide, row, work.grid.height, len(kept.squares), len(left.plan.places),
        )  # fmt: skip
    return left


def within(work: Segmenting, rows: tuple[int, int]) -> Segmenting:
    """The part of the work that lies in rows of the map."""
    if rows == (0, work.grid.height):
        return work
    wanted = replace(work.wanted, rows=rows)
    return replace(work, wanted=wanted, plan=plan_of(work.plan.tile, work.grid, wanted))


def _alike(kept: Sequence[Square], planned: Sequence[Square]) -> int:
    """How many of two lists of squares begin alike."""
    pairs = zip(kept, planned, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
