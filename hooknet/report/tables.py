"""Tables as the reader sees them: text in cells, sortable values behind it, the best value of a column marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from hooknet.report.data import ReportSystem

NOTHING = "–"
#: Of fewer patients an interval can hardly be told (docs/report.md).
FEWEST = 5


@dataclass(frozen=True)
class Cell:
    """One cell: its text, whether it is a number (set right), whether it is the best of its column or row.

    ``order``: what it is sorted by; its text where None.
    """

    text: str
    number: bool = False
    best: bool = False
    order: float | None = None


@dataclass(frozen=True)
class Table:
    """Column heads and rows of as many cells; ``caption`` says what is in it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


def number(value: float) -> Cell:
    """A score 0..1 as a cell."""
    return Cell(share(value), number=True, order=value)


def count(value: float) -> Cell:
    """A whole number, its thousands apart."""
    return Cell(NOTHING if isnan(value) else f"{int(value):,}", number=True, order=value)


def decimals(value: float, digits: int = 1) -> Cell:
    """A number with so many decimals."""
    return Cell(NOTHING if isnan(value) else f"{value:,.{digits}f}", number=True, order=value)


def share(value: float) -> str:
    """A score 0..1 with three decimals, a dash for nan."""
    return NOTHING if isnan(value) else f"{value:.3f}"


def per_cent(value: float) -> str:
    """A share 0..1 in per cent with one decimal, a dash for nan."""
    return NOTHING if isnan(value) else f"{100 * value:.1f} %"


def signed(value: float) -> str:
    """A difference of scores with its sign, a dash for nan."""
    return NOTHING if isnan(value) else f"{value:+.3f}".replace("-", "−")


def p_value(value: float) -> str:
    """The p-value with three decimals or, below 0.001, as such; a dash for nan."""
    return NOTHING if isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def with_interval(value: float, row: Any, sign: bool = False) -> str:
    """``0.912 [0.880, 0.934]``: a value with the ``low`` and ``high`` of its row, a dash for nan."""
    if isnan(value):
        return NOTHING
    form = "+.3f" if sign else ".3f"
    low, high = (format(float(row[one]), form) for one in ("low", "high"))
    return f"{value:{form}} [{low}, {high}]".replace("-", "−")


def too_few(patients: int) -> str:
    """What a caption adds about 95 % intervals over very few patients."""
    if patients >= FEWEST:
        return ""
    return (
        f" With less than {FEWEST} patients they reach no further than the cohorts that can be drawn of them: do not "
        "rely on them."
    )


def mean_sd(mean: float, deviation: float) -> Cell:
    """``0.912 ± 0.034``: a mean of scores and its standard deviation; the mean alone where that is nan."""
    text = share(mean) if isnan(deviation) else f"{share(mean)} ± {share(deviation)}"
    return Cell(text, number=True, order=mean)


def mark(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with the highest, as it reads, marked; none where there is one only or all read the same."""
    numbers = [float(one.text) for one in cells if one.text != NOTHING]
    if len(numbers) < 2 or min(numbers) == max(numbers):
        return list(cells)
    best = max(numbers)
    return [
        Cell(one.text, one.number, one.text != NOTHING and float(one.text) == best, one.order)
        for one in cells
    ]


def frame_table(frame: pd.DataFrame, caption: str = "") -> Table:
    """Any table of plain values; numbers are set right, missing values are dashes."""
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns]
    rows = tuple(
        tuple(Cell(_plain(value), number=is_number) for value, is_number in zip(row, numeric, strict=True))
        for row in frame.itertuples(index=False, name=None)
    )
    return Table(tuple(str(one) for one in frame.columns), rows, caption)


def pair_table(values: Mapping[str, str], heads: tuple[str, str], caption: str = "") -> Table:
    """Names and values, a row each."""
    return Table(heads, tuple((Cell(name), Cell(str(value))) for name, value in values.items()), caption)


def settings_table(systems: Sequence[ReportSystem]) -> Table:
    """Settings of all systems side by side, a row per setting; a dash where a system has no such setting."""
    names = dict.fromkeys(name for one in systems for name in one.settings)
    rows = ((Cell(name), *(Cell(str(one.settings.get(name, NOTHING))) for one in systems)) for name in names)
    return Table(("Setting", *(one.name for one in systems)), tuple(rows), "Settings of each system.")


def spacings_text(spacings: Sequence[float]) -> str:
    """Spacings as in the paper: "0.5, 8"; exact, never rounded for looks."""
    return ", ".join(f"{one:.10g}" for one in spacings)


def _plain(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and isnan(value)):
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)
