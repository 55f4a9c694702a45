"""Tables of what was measured on slides, as CSV that must come back as it went."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hooknet.errors import MaskError
from hooknet.io.atomic import atomic


@dataclass(frozen=True)
class Format:
    """A kind of table: its ``columns``, and in errors ``what`` it is and the ``remedy`` where it is damaged."""

    columns: tuple[str, ...]
    what: str
    remedy: str

    def write(self, path: str | Path, rows: Iterable[Sequence[object]]) -> None:
        """Write the head and all rows, atomically."""
        with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(rows)

    def read(self, path: str | Path) -> list[tuple[int, list[str]]]:
        """The line number and cells of every row; MaskError when the file is missing or no such table."""
        try:
            with Path(path).open(newline="", encoding="utf-8") as file:
                head, *rows = list(csv.reader(file)) or [[]]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise MaskError(f"{path}: cannot be read as a table of {self.what} ({error})") from error
        if tuple(head) != self.columns:
            raise MaskError(f"{path}: starts with {head or 'nothing'}, wanted {','.join(self.columns)}")
        for line, row in enumerate(rows, start=2):
            if len(row) != len(self.columns):
                raise MaskError(
                    f"{path}: line {line} has {len(row)} cells, wanted {len(self.columns)}: {self.remedy}"
                )
        return list(enumerate(rows, start=2))
