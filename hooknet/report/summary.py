"""summary.json: what the page says, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from hooknet.evaluation.cohort import TABLES
from hooknet.report.data import ReportData, ReportSystem
from hooknet.report.lead import lead

FORMAT = "hooknet summary 1"


def summary_text(data: ReportData, warnings: Sequence[str]) -> str:
    """Everything the page tells but its pictures, as JSON; what is not defined is null."""
    content = {
        "format": FORMAT,
        "title": data.title,
        "dataset": data.dataset,
        "description": data.description,
        "classes": [vars(one) for one in data.classes],
        "systems": [_system(one) for one in data.systems],
        "results": {
            name: {
                "lead": list(lead(one).sentences),
                **{table: records(getattr(one, table)) for table in TABLES},
            }
            for name, one in data.results.items()
        },
        **{name: records(frame) for name, frame in data.extras.tables().items()},
        "slides": records(data.slides),
        "skipped": dict(data.skipped),
        "settings": dict(data.settings),
        "warnings": list(warnings),
        "provenance": {
            name: records(one) if isinstance(one, pd.DataFrame) else dict(one)
            for name, one in vars(data.provenance).items()
        },
    }
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, column -> value."""
    return [
        dict(zip(map(str, frame.columns), row, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]


def _system(system: ReportSystem) -> dict[str, Any]:
    told = {key: value for key, value in vars(system).items() if key != "curves"}
    curves = system.curves
    return told | {"curves": [] if curves is None else records(curves)}


def _plain(value: Any) -> Any:
    """The value in JSON's own kinds; nan and infinity are null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or value is pd.NA:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if isfinite(value) else None
    return str(value)
