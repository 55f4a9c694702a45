"""A cohort's slides as a CSV or TSV sheet: its columns are the keys of a slide, a row is a slide."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooknet.config.datasets import SlideSettings
from hooknet.config.document import nearest
from hooknet.errors import ConfigError

TABS = (".tsv", ".tab")


@dataclass(frozen=True)
class Sheet:
    """The rows of a sheet, and the line of the file that each ends on (a quoted cell may hold line breaks)."""

    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]


def read_sheet(path: Path, asked_by: str) -> Sheet:
    """The sheet at ``path``: tabs between the cells of a .tsv or .tab, commas in any other.

    ``asked_by`` (file and key) stands in the message when it cannot be read.  ConfigError for a column that
    is unknown, twice there or missing, and for a line with more or fewer cells than columns.
    """
    delimiter = "\t" if path.suffix.lower() in TABS else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            # A line of nothing but empty cells is what spreadsheets leave at the end.
            found = [
                (reader.line_num, [cell.strip() for cell in row])
                for row in reader
                if any(map(str.strip, row))
            ]
    except FileNotFoundError:
        raise ConfigError(
            f"{asked_by}: found no sheet {str(path)!r}; correct the path (paths start at the working directory)"
        ) from None
    except (
        OSError,
        ValueError,
        csv.Error,
    ) as error:  # a path with a NUL is a ValueError, as bytes that are no text
        raise ConfigError(
            f"{asked_by}: sheet {str(path)!r} cannot be read ({error}); wanted CSV or TSV in UTF-8"
        ) from None
    if not found:
        raise ConfigError(f"{path}: found nothing, wanted a line of column names, then a line for each slide")
    (_, columns), *rest = found
    _check_columns(path, columns, delimiter)
    for line, row in rest:
        if len(row) != len(columns):
            raise ConfigError(
                f"{path}: line {line}: found {len(row)} cells, wanted {len(columns)}, one a column"
            )
    rows: tuple[dict[str, Any], ...] = tuple(dict(zip(columns, row, strict=True)) for _, row in rest)
    return Sheet(rows, tuple(line for line, _ in rest))


def _check_columns(path: Path, columns: list[str], delimiter: str) -> None:
    known = list(SlideSettings.model_fields)
    other = next((one for one in ("\t", ";", ",") if one != delimiter and one in "".join(columns)), None)
    if len(columns) == 1 and other is not None:
        names = {"\t": "tabs", ";": "semicolons", ",": "commas"}
        raise ConfigError(
            f"{path}: found {names[other]} between the cells, wanted {names[delimiter]}: "
            f"a {', '.join(TABS)} holds tabs, any other sheet commas"
        )
    for column in columns:
        if column not in known:
            raise ConfigError(f"{path}: unknown column {column!r}; {nearest(column, known)}")
        if columns.count(column) > 1:
            raise ConfigError(f"{path}: column {column!r} stands twice; keep one of the two")
    if "id" not in columns:
        raise ConfigError(f"{path}: found columns {', '.join(columns)}, wanted one called id")
