"""Splits made from the slides' classes: patients stay whole, classes are spread evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def make_splits(
    patients: Mapping[str, str], areas: Mapping[str, Sequence[float]], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Slide id -> side (a split or a fold), near the ``shares`` in slides and in every class's area.

    ``patients``: slide id -> patient; ``areas``: slide id -> annotated area per class.  Patients are placed
    one by one, the richest in a rare class first, each where it brings the sides nearest to their shares;
    the seed settles ties.  Every side gets a patient as long as there are enough.
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
    sides = list(shares)
    wanted = np.array([shares[side] for side in sides])
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.permutation(len(table)), -table.max(axis=1)))
    got = np.zeros((len(sides), table.shape[1]))
    placed: dict[str, str] = {}
    names = list(members)
    for position, number in enumerate(order):
        side = _best_side(got, table[number], wanted, len(order) - position)
        got[side] += table[number]
        placed.update(dict.fromkeys(members[names[number]], sides[side]))
    return {slide: placed[slide] for slide in patients}


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
