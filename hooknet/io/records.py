"""Small records on disk: facts about a slide (JSON), the sheet of splits.

Apart from the tables, whose libraries take most of a second to load: steps without tables do without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hooknet.config.sides import Side
from hooknet.config.types import SPLITS
from hooknet.errors import ConfigError, HookNetError
from hooknet.io.atomic import write_text
from hooknet.io.skipped import reason_in, refuse_skipped

SPLIT_COLUMNS = ("id", "fold", "split")
SKIPPED = "skipped"


def write_json(path: str | Path, record: dict[str, Any]) -> None:
    """Write a record people can read, atomically."""
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """A record that :func:`write_json` wrote."""
    refuse_skipped(Path(path), reason_in(Path(path)))
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HookNetError(f"{path}: not a readable JSON record ({error}); make it again") from None
    if not isinstance(record, dict):
        raise HookNetError(f"{path}: found {type(record).__name__}, wanted a JSON record; make it again")
    return record


def write_splits(path: str | Path, assigned: Mapping[str, Side]) -> None:
    """Write the sheet of splits: id, fold, split; a cell stays empty where there is none, split may be "skipped"."""
    rows = [
        f"{slide}\t{'' if side.fold is None else side.fold}\t{SKIPPED if side.skipped else side.split or ''}"
        for slide, side in assigned.items()
    ]
    write_text(path, "\n".join(["\t".join(SPLIT_COLUMNS), *rows]) + "\n")


def read_splits(path: str | Path) -> dict[str, Side]:
    """Slide id -> split, or fold and perhaps split, from the sheet of splits."""
    try:
        header, *lines = Path(path).read_text(encoding="utf-8").splitlines()
        columns = header.split("\t")
        if tuple(columns) != SPLIT_COLUMNS:
            raise ValueError(f"its columns are {', '.join(columns)}, wanted {', '.join(SPLIT_COLUMNS)}")
        rows = [_split_row(line.split("\t")) for line in lines]
        if len(dict(rows)) < len(rows):
            raise ValueError("it names a slide twice")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: not a sheet of splits ({error}); make it again with make-splits"
        ) from None
    return dict(rows)


def _split_row(cells: list[str]) -> tuple[str, Side]:
    if len(cells) != len(SPLIT_COLUMNS):
        raise ValueError(f"found {len(cells)} cells in a line, wanted {len(SPLIT_COLUMNS)}")
    slide, fold, split = cells
    if split == SKIPPED:
        return slide, Side(skipped=True)
    found = next((one for one in SPLITS if one == split), None)
    if (found is None) != (split == "") or not (fold or split) or not (fold == "" or fold.isdecimal()):
        raise ValueError(f"slide {slide}: found fold {fold!r} and split {split!r}")
    return slide, Side(found, int(fold) if fold else None)
