"""Tables with a row for each class of each slide or volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hooknet.errors import MaskError
from hooknet.io.formats import Format

Score = TypeVar("Score")


def read_by_class(
    path: str | Path,
    table: Format,
    names: Sequence[str],
    what: str,
    score: Callable[[list[str], str], Score],
) -> dict[str, tuple[Score, ...]]:
    """Slide or volume (``what``, the first column) -> the ``score`` of each class, the second column.

    ``score`` makes one of a row and the place to tell of.  MaskError when the file is missing or no such table, or
    when one does not have each of ``names`` once and in this order.
    """
    found: dict[str, list[Score]] = {}
    for line, row in table.read(path):
        scores = found.setdefault(row[0], [])
        if len(scores) == len(names) or row[1] != names[len(scores)]:
            wanted = ", ".join(names)
            raise MaskError(f"{path}: line {line} is of {row[1]!r}, wanted {wanted} in turn: measure again")
        scores.append(score(row, f"{path}: line {line}"))
    for name, scores in found.items():
        if len(scores) < len(names):
            raise MaskError(
                f"{path}: {what} {name} has {len(scores)} rows, wanted {len(names)}: the file was cut short,"
                " measure again"
            )
    return {name: tuple(scores) for name, scores in found.items()}
