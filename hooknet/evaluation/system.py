"""What is compared: the counts of every slide that a system was tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hooknet.metrics.confusion import Counts

MACRO, MICRO = "macro", "micro"


@dataclass(frozen=True)
class System:
    """The counts (K, K + 1) of every slide a system was tested on; ``name`` is unique, also among seeds."""

    name: str
    experiment: str
    seed: int | None
    slides: Mapping[str, Counts]
