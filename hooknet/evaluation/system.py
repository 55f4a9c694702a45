"""What is compared: what was measured on every slide that a system was tested on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from hooknet.errors import MaskError
from hooknet.metrics.confusion import Counts

MACRO, MICRO = "macro", "micro"

T = TypeVar("T")


@dataclass(frozen=True)
class Measured(Generic[T]):
    """What was measured on every slide a system was tested on; ``name`` is unique, also among seeds."""

    name: str
    experiment: str
    seed: int | None
    slides: Mapping[str, T]


# The counts (K, K + 1) of every slide.
System = Measured[Counts]


def pool_folds(folds: Iterable[Mapping[str, T]], system: str) -> dict[str, T]:
    """What was measured on the slides of all folds of a system; MaskError when a slide is in two of them."""
    pooled: dict[str, T] = {}
    for fold in folds:
        twice = sorted(pooled.keys() & fold.keys())
        if twice:
            raise MaskError(
                f"{system}: slide {twice[0]} was tested in two folds, wanted once: check the column of folds"
            )
        pooled |= fold
    return pooled
