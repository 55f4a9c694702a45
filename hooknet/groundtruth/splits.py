"""Splits made from the slides' classes: patients stay whole, numbers of slides are met, classes are spread evenly."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hooknet.config.sides import Side

# How many first divisions are tried and improved (fewest of large cohorts), and what a patient's riches are multiplied
# with, at random, before the richest is placed first.
DIVISIONS = (4, 20)
PATIENTS_TRIED = 600
JITTER = (0.0, 1.0)

log = logging.getLogger(__name__)

Numbers = NDArray[np.float64]
Place = TypeVar("Place", bound=str | int)


def quotas(total: int, shares: Sequence[float]) -> list[int]:
    """How many of ``total`` each share gets: largest remainders, and one at least as long as there are enough.

    The shares need not add up to 1; of equal remainders the first goes first.
    """
    exact = np.array(shares, float) / sum(shares) * total
    whole = np.floor(exact + 1e-9).astype(int)
    for side in np.argsort(-np.round(exact - whole, 9), kind="stable")[: total - whole.sum()]:
        whole[side] += 1
    while total >= len(whole) and whole.min() == 0:
        whole[int(whole.argmax())] -= 1
        whole[int(whole.argmin())] += 1
    return [int(one) for one in whole]


def make_splits(
    patients: Mapping[str, str],
    areas: Mapping[str, Sequence[float]],
    shares: Mapping[Place, float],
    seed: int,
) -> dict[str, Place]:
    """Slide id -> side (a split or a fold), the ``shares`` met in slides and as nearly in every class's area.

    ``patients``: slide id -> patient; ``areas``: slide id -> annotated area per class.  What goes first: every side
    has a patient, then the numbers of slides (:func:`quotas`), then every side has every class, then areas.  The
    result depends on the seed, not on the order of the slides.
    """
    sides = list(shares)
    wanted = np.array(quotas(len(patients), list(shares.values())))
    placed = _divide(patients, areas, Goal(wanted, np.eye(len(sides)), len(sides)), seed)
    _tell(sides, wanted, list(placed.values()))
    return {slide: sides[placed[slide]] for slide in patients}


def make_folds(
    patients: Mapping[str, str],
    areas: Mapping[str, Sequence[float]],
    folds: int,
    validation: float,
    seed: int,
) -> dict[str, Side]:
    """Slide id -> fold, and whether it trains or validates while another fold tests.

    As :func:`make_splits`, for folds of which each gives the share ``validation`` of its slides to validation: in
    every run that share of the slides that do not test validates.
    """
    sides = [Side(split, fold) for split in ("training", "validation") for fold in range(folds)]
    sizes = quotas(len(patients), [1 / folds] * folds)
    most = [max(size - 1, 1) for size in sizes]
    validating = np.clip(quotas(quotas(len(patients), [validation, 1 - validation])[0], sizes), 1, most)
    wanted = np.concatenate([np.array(sizes) - validating, validating])
    # What works together: in the run of each fold the others' training, the others' validation; and the fold itself.
    own, others = np.eye(folds), 1 - np.eye(folds)
    runs = np.kron(np.eye(2), others)
    groups = np.unique(np.vstack([np.eye(2 * folds), np.hstack([own, own])]), axis=0)
    goal = Goal(wanted, np.vstack([runs, groups]), len(runs))
    placed = _divide(patients, areas, goal, seed)
    _tell(sides, wanted, list(placed.values()))
    return {slide: sides[placed[slide]] for slide in patients}


@dataclass(frozen=True)
class Goal:
    """What is wanted: slides on each side, and groups of sides (0/1, group x side) in which classes are spread.

    The first ``needed`` groups have to have every class.
    """

    slides: NDArray[np.int_]
    groups: Numbers
    needed: int

    def share(self, slides: NDArray[Any]) -> Numbers:
        """Of all slides; half a slide's where there are fewer patients than sides."""
        found: Numbers = np.maximum(slides, 0.5) / self.slides.sum()
        return found

    def badness(self, states: Numbers) -> tuple[NDArray[np.int64], Numbers]:
        """Of divisions (division x side x [patients, slides, holders of each class, area of each class]).

        A number that goes first: sides without a patient, then slides too many or too few, then classes missing
        from groups; and the squared relative error of the groups' areas.
        """
        classes = (states.shape[2] - 2) // 2
        found = self.groups @ states
        wanted = self.groups @ self.slides
        empty = (states[:, :, 0] == 0).sum(axis=1)
        off = np.abs(found[:, :, 1] - wanted).sum(axis=1).round().astype(np.int64)
        lacking = found[:, :, 2 : 2 + classes] == 0
        first = empty.astype(np.int64)
        for count in (off, lacking[:, : self.needed].sum(axis=(1, 2)), lacking.sum(axis=(1, 2))):
            first = first * 10_000 + np.minimum(count, 9_999)
        share = self.share(wanted)[:, None]
        error = (((found[:, :, 2 + classes :] - share) / share) ** 2).sum(axis=(1, 2))
        # Its last digits depend on the order of sums, and on the machine.
        return first, np.round(error, 9)


def _divide(
    patients: Mapping[str, str], areas: Mapping[str, Sequence[float]], goal: Goal, seed: int
) -> dict[str, int]:
    """Slide id -> number of its side: the best of several divisions, each improved as far as exchanges do."""
    members: dict[str, list[str]] = {}
    for slide in sorted(patients):
        members.setdefault(patients[slide], []).append(slide)
    order = sorted(members)
    sums = np.array([np.sum([areas[slide] for slide in members[name]], axis=0) for name in order], float)
    sums = sums[:, sums.sum(axis=0) > 0]
    slides = np.array([len(members[name]) for name in order], float)
    table = np.column_stack([np.ones(len(order)), slides, sums > 0, sums / sums.sum(axis=0)])
    rng = np.random.default_rng(seed)
    fewest, most = DIVISIONS
    tried = [
        _improved(_placed(table, goal, rng), table, goal, rng)
        for _ in range(min(most, max(fewest, PATIENTS_TRIED // len(order))))
    ]
    _, side_of = min(tried, key=lambda one: one[0])
    return {slide: int(side) for name, side in zip(order, side_of, strict=True) for slide in members[name]}


def _placed(table: Numbers, goal: Goal, rng: np.random.Generator) -> NDArray[np.int_]:
    """The side of each row of ``table``: one by one, the richest about first, where there is room and most need."""
    rows = np.column_stack([table[:, 1] / goal.slides.sum(), table[:, 2 + (table.shape[1] - 2) // 2 :]])
    wanted = goal.share(goal.slides)[:, None]
    got = np.zeros((len(wanted), rows.shape[1]))
    side_of = np.zeros(len(table), int)
    for number in np.argsort(-rows.max(axis=1) * rng.uniform(*JITTER, len(table))):
        row = rows[number]
        # What the squared relative error grows by, side by side.
        errors = ((row * (row + 2 * (got - wanted))) / wanted**2).sum(axis=1)
        full = got[:, 0] + row[0] > wanted[:, 0] + 1e-9
        side = int(np.argmin(errors if full.all() else np.where(full, np.inf, errors)))
        got[side] += row
        side_of[number] = side
    return side_of


def _improved(
    side_of: NDArray[np.int_], table: Numbers, goal: Goal, rng: np.random.Generator
) -> tuple[tuple[int, float], list[int]]:
    """How bad a division is and the side of each row, after all moves and exchanges of two that make it better."""
    state = np.zeros((len(goal.slides), table.shape[1]))
    np.add.at(state, side_of, table)
    now = _first(goal.badness(state[None]), 0)
    tried_in_vain = 0
    turn = list(rng.permutation(len(table)))
    while tried_in_vain < len(turn):
        one = turn.pop(0)
        turn.append(one)
        tried_in_vain += 1
        states, partners, sides = _neighbours(one, side_of, state, table)
        if not len(states):
            continue
        first, error = goal.badness(states)
        best = int(np.lexsort((error, first))[0])
        after = _first((first, error), best)
        if after < now:
            if partners[best] >= 0:
                side_of[partners[best]] = side_of[one]
            side_of[one] = sides[best]
            now, state, tried_in_vain = after, states[best], 0
    return now, [int(one) for one in side_of]


def _first(badness: tuple[NDArray[np.int64], Numbers], number: int) -> tuple[int, float]:
    return int(badness[0][number]), float(badness[1][number])


def _neighbours(
    one: int, side_of: NDArray[np.int_], state: Numbers, table: Numbers
) -> tuple[Numbers, NDArray[np.int_], NDArray[np.int_]]:
    """The states after ``one`` has changed places with each row of another side, or moved there alone (partner -1)."""
    home = side_of[one]
    rows = np.flatnonzero(side_of != home)
    alone = np.array([side for side in range(len(state)) if side != home], int)
    partners = np.concatenate([rows, np.full(len(alone), -1)])
    sides = np.concatenate([side_of[rows], alone])
    change = table[one] - np.vstack([table[rows], np.zeros((len(alone), table.shape[1]))])
    states = np.repeat(state[None], len(partners), axis=0)
    states[np.arange(len(partners)), sides] += change
    states[:, home] -= change
    return states, partners, sides


def _tell(sides: Sequence[object], wanted: NDArray[np.int_], placed: list[int]) -> None:
    """Say where patients of several slides kept the numbers of slides from being met."""
    off = [
        f"{side}: {placed.count(number)} instead of {wanted[number]}"
        for number, side in enumerate(sides)
        if placed.count(number) != wanted[number]
    ]
    if off:
        log.warning("with whole patients not all numbers of slides were met: %s", ", ".join(off))
