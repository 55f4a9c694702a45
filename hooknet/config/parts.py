"""Training patients in parts, so that each can be predicted by a network that has not seen it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hooknet.config.datasets import SlideSettings
from hooknet.errors import ConfigError


@dataclass(frozen=True)
class Part:
    """One of ``count`` parts, numbered from 0."""

    number: int
    count: int

    def __str__(self) -> str:
        """``part0of5``."""
        return f"part{self.number}of{self.count}"


def in_part(slides: Sequence[SlideSettings], part: Part) -> frozenset[str]:
    """The ids of a part's slides, a patient's all in one part; parts are as equal in slides as patients allow.

    Who is with whom depends on the patients' names only, not on the order of the sheet.  ConfigError for fewer
    patients than parts.
    """
    patients: dict[str, list[str]] = {}
    for one in slides:
        patients.setdefault(one.patient_id, []).append(one.id)
    if len(patients) < part.count:
        raise ConfigError(
            f"{len(patients)} patients train, wanted one at least for each of {part.count} parts; lower the refiner's "
            "`parts`, or set its heat_maps to in_sample"
        )
    # The most slides first, each to the part that has fewest: parts differ by one patient at most.
    order = sorted(patients, key=lambda name: (-len(patients[name]), _scattered(name)))
    parts: list[list[str]] = [[] for _ in range(part.count)]
    for name in order:
        min(parts, key=len).extend(patients[name])
    return frozenset(parts[part.number])


def _scattered(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
