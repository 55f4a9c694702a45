"""Where on a slide a map is right and where it is not: square windows, rated while the slide is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hooknet.errors import MaskError
from hooknet.io.atomic import write_text
from hooknet.metrics.confusion import count
from hooknet.metrics.scores import scores

# px of the truth a side; a whole part of the blocks that a slide is counted in.
SIDE = 512
# A window with less of it annotated says little.
LEAST_SHARE = 0.2
LEAST_OF_CLASS = 0.02
# So many of each kind are kept of a slide.
KEPT = 8


@dataclass(frozen=True)
class Rated:
    """A window of ``SIDE`` px of the truth's raster at (``column``, ``row``), and how well it was predicted.

    ``annotated`` px of it.  ``f1`` is the macro F1, 0..1, over the ``classes`` that make up a fiftieth of them or more:
    a sliver of a class at the window's edge must not decide.
    """

    column: int
    row: int
    annotated: int
    classes: int
    f1: float


class WindowRater:
    """Takes the blocks of a slide as they are counted; ``rated`` are all windows with enough annotation."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.rated: list[Rated] = []

    def take(self, column: int, row: int, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Rate the windows of a block (height, width) whose first pixel is at a column and row of the truth."""
        for down in range(0, truth.shape[0], SIDE):
            for across in range(0, truth.shape[1], SIDE):
                part = np.s_[down : down + SIDE, across : across + SIDE]
                annotated = int(np.count_nonzero(truth[part]))
                if annotated >= LEAST_SHARE * SIDE * SIDE:
                    found = scores(count(truth[part], prediction[part], self._classes))
                    large = found.support >= LEAST_OF_CLASS * annotated
                    f1 = float(found.f1[large].mean())
                    self.rated.append(Rated(column + across, row + down, annotated, int(large.sum()), f1))


def worst(rated: Iterable[Rated], number: int) -> list[Rated]:
    """Those with the lowest F1, of equal ones those with more classes and more annotation first."""
    return sorted(rated, key=lambda one: (one.f1, -one.classes, -one.annotated, one.row, one.column))[:number]


def best(rated: Iterable[Rated], number: int) -> list[Rated]:
    """Those with the most classes, of equal ones those with the highest F1 first: fat alone is no feat."""
    return sorted(rated, key=lambda one: (-one.classes, -one.f1, -one.annotated, one.row, one.column))[
        :number
    ]


def write_windows(path: str | Path, rated: Sequence[Rated]) -> None:
    """Write the ``KEPT`` worst and best windows of a slide as CSV, in the order of the slide."""
    kept = {*worst(rated, KEPT), *best(rated, KEPT)}
    lines = [",".join(_columns())]
    lines += [
        ",".join(map(repr, astuple(one))) for one in sorted(kept, key=lambda one: (one.row, one.column))
    ]
    write_text(path, "\n".join(lines) + "\n")


def read_windows(path: str | Path) -> list[Rated]:
    """The windows of :func:`write_windows`; MaskError when the file is missing or no such table."""
    try:
        head, *lines = Path(path).read_text(encoding="utf-8").splitlines()
        if head.split(",") != _columns():
            raise ValueError(f"the columns {head!r}")
        return [_rated(line.split(",")) for line in lines]
    except (OSError, ValueError) as error:
        raise MaskError(
            f"{path}: cannot be read as rated windows ({error}), wanted {','.join(_columns())}: evaluate again"
        ) from error


def _columns() -> list[str]:
    return [one.name for one in fields(Rated)]


def _rated(cells: Sequence[str]) -> Rated:
    column, row, annotated, classes, f1 = cells
    return Rated(int(column), int(row), int(annotated), int(classes), float(f1))
