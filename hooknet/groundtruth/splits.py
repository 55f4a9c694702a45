"""Splits made from the slides' classes: patients stay whole, classes are spread evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# Orders of the patients that are tried, and how far each may stray from "the richest first".
ORDERS = 200
JITTER = (0.5, 1.5)


def make_splits(
    patients: Mapping[str, str], areas: Mapping[str, Sequence[float]], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Slide id -> side (a split or a fold), near the ``shares`` in slides and in every class's area.

    ``patients``: slide id -> patient; ``areas``: slide id -> annotated area per class.  Patients are placed
    one by one, the richest in a rare class about first, each where it brings the sides nearest to their shares;
    of many such orders, drawn from the seed, the best is kept.  Every side gets a patient as long as there are
    enough.
    """
    members: dict[str, list[str]] = {}
    for slide, patient in patients.items():
        members.setdefault(patient, []).append(slide)
    # One row a patient: slides, then area per class, each as a share of the cohort's.
    table = np.array(
        [[len(slides), *np.sum([areas[slide] for slide in slides], axis=0)] for slides in members.values()],
        float,
    )
    table /= np.maximum(table.sum(axis=0), 1e-12)
    sides, names = list(shares), list(members)
    wanted = np.array([shares[side] for side in sides])
    rng = np.random.default_rng(seed)
    tried = [_place(table, wanted, rng) for _ in range(ORDERS)]
    _, best = min(tried, key=lambda one: one[0])
    placed = {slide: sides[best[number]] for number, name in enumerate(names) for slide in members[name]}
    return {slide: placed[slide] for slide in patients}


def _place(
    table: NDArray[np.float64], wanted: NDArray[np.float64], rng: np.random.Generator
) -> tuple[tuple[int, float], list[int]]:
    """The side of each row of ``table``, placed in a random order, and how bad that is.

    Badness: how many classes are missing from a side, then the squared relative error of all shares.
    """
    order = np.argsort(-table.max(axis=1) * rng.uniform(*JITTER, len(table)))
    got = np.zeros((len(wanted), table.shape[1]))
    side_of = [0] * len(table)
    for position, number in enumerate(order):
        side = _best_side(got, table[number], wanted, len(order) - position)
        got[side] += table[number]
        side_of[number] = side
    missing = int(((got == 0) & (table.sum(axis=0) > 0)).sum())
    return (missing, float((((got - wanted[:, None]) / wanted[:, None]) ** 2).sum())), side_of


def _best_side(
    got: NDArray[np.float64], row: NDArray[np.float64], wanted: NDArray[np.float64], left: int
) -> int:
    """The side that ``row`` brings nearest to its share; an empty one when the patients run out."""
    empty = np.flatnonzero(got.sum(axis=1) == 0)
    allowed = empty if len(empty) >= left and len(empty) else np.arange(len(got))
    errors = []
    for side in allowed:
        after = got.copy()
        after[side] += row
        errors.append(float((((after - wanted[:, None]) / wanted[:, None]) ** 2).sum()))
    return int(allowed[int(np.argmin(errors))])
