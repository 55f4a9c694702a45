"""Which patch comes next: hierarchical-balanced draws over grade, slide and class (H2G-Net, poster).

Nothing is cut to disk and no pixel is read: a draw is a walk down a tree of offsets into the sorted index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.data.samplers import Draws
from hooknet.errors import CheckpointError, ConfigError

#: What a draw may be balanced over, in the order of the poster.
LEVELS: Final = ("grade", "slide", "class")

#: How the stratum of the slides without a grade is called.
UNGRADED: Final = "none"


@dataclass(frozen=True)
class PatchColumns:
    """What the index says of its patches.

    ``slides`` (rows,): number of the slide, 0..; ``labels`` (rows,): class of the patch, 1..``classes``;
    ``grades``: the grade of each slide, None where it has none.  ``slide_names`` and ``class_names`` are for
    messages and tables, which have the numbers where there are none.
    """

    slides: NDArray[np.integer[Any]]
    labels: NDArray[np.integer[Any]]
    grades: tuple[str | None, ...]
    classes: int
    slide_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


class Hierarchical:
    """Mini-batches of (draw number, row of the index), each draw even at every level.

    By default a grade is drawn, a slide of that grade, a class, and at last a patch: each evenly over the values
    that are there below what was drawn before.  Slides without a grade are one stratum, beside the grades or
    alone; a level with one value, or one that is not named, changes nothing.  The draws depend on the index, the
    levels and the seed, not on the size of a mini-batch.

    Where a slide lacks a class, the class is drawn among those that it has; that is the same as to draw the class
    again until the slide has it.  So grades and slides keep equal chances whatever the slides hold, and a class
    has the mean over the slides of 1 / (classes of the slide): less than its share where slides lack it.  To
    draw again from the top would not make classes equal either, and would favour slides that have all classes.
    Whoever wants classes to be equal in all cases names them first: ``("class", "grade", "slide")``.
    ``realised`` tells what came out.

    Source: figure on the poster; what it does with slides that lack a class is not said.
    """

    rule = "hierarchical"
    unit = "patches"

    def __init__(self, patches: PatchColumns, levels: Sequence[str], batch: int, seed: int) -> None:
        """``levels``: some of ``LEVELS``, highest first; ConfigError where nothing could be drawn of a value."""
        _check_levels(levels)
        self._patches = patches
        self._levels = tuple(levels)
        self._batch = batch
        grade_names, self._grade_of_slide = _grades(patches.grades)
        self._names = {
            "grade": grade_names,
            "slide": patches.slide_names or tuple(str(number) for number in range(len(patches.grades))),
            "class": patches.class_names or tuple(str(value) for value in range(1, patches.classes + 1)),
        }
        self._check_patches()
        self._order, self._offsets = _tree([self._codes(level) for level in levels], len(patches.labels))
        self._rng = np.random.default_rng([seed, 1])
        self._slides_drawn = np.zeros(len(patches.grades), np.int64)
        self._classes_drawn = np.zeros(patches.classes, np.int64)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each class (K,) in the patches drawn so far; nan before the first mini-batch."""
        total = self._classes_drawn.sum()
        return self._classes_drawn / (total or np.nan)

    def next_batch(self) -> Draws:
        """The next mini-batch."""
        # One row of random numbers a draw: where mini-batches begin does not matter to them.
        random = self._rng.random((self._batch, len(self._offsets)))
        nodes = np.zeros(self._batch, np.int64)
        for offsets, share in zip(self._offsets, random.T, strict=True):
            first, end = offsets[nodes], offsets[nodes + 1]
            nodes = first + (share * (end - first)).astype(np.int64)
        rows = self._order[nodes]
        number = int(self._classes_drawn.sum())
        self._count(rows)
        return [(number + i, int(row)) for i, row in enumerate(rows)]

    def chances(self) -> NDArray[np.float64]:
        """Chance (rows,) of each row of the index to be the next draw."""
        chances = np.ones(1)
        for offsets in self._offsets:
            below = np.diff(offsets)
            chances = np.repeat(chances / below, below)
        by_row = np.empty(len(self._order))
        by_row[self._order] = chances
        return by_row

    def realised(self) -> pd.DataFrame:
        """What was drawn so far, against what was to be expected.

        Columns ``level`` (grade, slide, class, whether balanced over or not), ``value`` (text: the grade or
        ``UNGRADED``, the slide, the class), ``drawn`` (patches), ``share`` (of all drawn; nan before the first
        mini-batch) and ``expected`` (its chance).
        """
        chances = self.chances()
        slides = pd.DataFrame({"drawn": self._slides_drawn, "expected": 0.0})
        slides["expected"] = np.bincount(self._patches.slides, chances, len(slides))
        grades = slides.groupby(self._grade_of_slide).sum()
        expected = np.bincount(self._patches.labels, chances, self._patches.classes + 1)[1:]
        classes = pd.DataFrame({"drawn": self._classes_drawn, "expected": expected})
        parts = {"grade": grades, "slide": slides, "class": classes}
        named = [part.assign(level=level, value=self._names[level]) for level, part in parts.items()]
        table = pd.concat(named, ignore_index=True)
        table["share"] = table["drawn"] / (self._classes_drawn.sum() or np.nan)
        return table[["level", "value", "drawn", "share", "expected"]]

    def state_dict(self) -> dict[str, Any]:
        """What to go on from: plain values that JSON can hold."""
        return {
            **self._identity(),
            "slides_drawn": self._slides_drawn.tolist(),
            "classes_drawn": self._classes_drawn.tolist(),
            "random": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the sampler of the same index whose ``state_dict`` it is; CheckpointError when it cannot be."""
        for what, wanted in self._identity().items():
            if state.get(what) != wanted:
                raise CheckpointError(
                    f"state of a sampler with {what} {state.get(what)}, wanted {wanted}; train afresh"
                )
        self._slides_drawn = np.array(state["slides_drawn"], np.int64)
        self._classes_drawn = np.array(state["classes_drawn"], np.int64)
        self._rng.bit_generator.state = state["random"]

    def _identity(self) -> dict[str, Any]:
        """What two samplers must have in common for one to go on as the other."""
        return {
            "rule": self.rule,
            "levels": list(self._levels),
            "patches": len(self._order),
            "slides": len(self._patches.grades),
            "classes": self._patches.classes,
        }

    def _codes(self, level: str) -> NDArray[np.integer[Any]]:
        """Value (rows,) of each patch at a level: its place among the names."""
        of = self._patches
        grades: NDArray[np.int64] = self._grade_of_slide[of.slides]
        return {"grade": grades, "slide": of.slides, "class": of.labels - 1}[level]

    def _check_patches(self) -> None:
        """Raise ConfigError for an index without patches, or with none of a value that the levels name."""
        if not len(self._patches.labels):
            raise ConfigError(
                "index of patches: it is empty, wanted some to draw from; annotate the training slides"
            )
        wanted = {
            "grade": set(self._grade_of_slide[[one is not None for one in self._patches.grades]].tolist()),
            "class": set(range(self._patches.classes)),
        }
        for level in [one for one in self._levels if one in wanted]:
            missing = sorted(wanted[level] - set(np.unique(self._codes(level)).tolist()))
            if missing:
                name = self._names[level][missing[0]]
                raise ConfigError(
                    f"index of patches: {level} {name} has none, wanted some of each {level}; annotate training "
                    f"slides with it, or leave {level} out of train.levels"
                )

    def _count(self, rows: NDArray[np.int64]) -> None:
        self._slides_drawn += np.bincount(self._patches.slides[rows], minlength=len(self._slides_drawn))
        labels = self._patches.labels[rows]
        self._classes_drawn += np.bincount(labels, minlength=len(self._classes_drawn) + 1)[1:]


def _check_levels(levels: Sequence[str]) -> None:
    if not set(levels) <= set(LEVELS) or len(set(levels)) != len(levels):
        raise ConfigError(
            f"train.levels: found {', '.join(levels)}, wanted some of {', '.join(LEVELS)}, each once"
        )


def _grades(grades: Sequence[str | None]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the strata, sorted, that of no grade last; and the number of each slide's."""
    names: list[str | None] = [*sorted({one for one in grades if one is not None})]
    if None in grades:
        names.append(None)
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.array([numbers[one] for one in grades], np.int64)
    return tuple(UNGRADED if name is None else name for name in names), codes


def _tree(
    keys: Sequence[NDArray[np.integer[Any]]], rows: int
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """The rows sorted by ``keys``, and for each level, patches last, the offsets of the nodes' children.

    Children of node n of a level are the nodes ``offsets[n]`` up to ``offsets[n + 1]`` of the one below; nodes of
    the last are positions in the sorted rows.
    """
    order = np.lexsort([*reversed(keys)]) if keys else np.arange(rows)
    offsets = []
    starts = np.zeros(1, np.int64)
    differs = np.zeros(rows - 1, bool)  # from the row before, at this level or one above
    for key in keys:
        values = key[order]
        differs |= values[1:] != values[:-1]
        below = np.concatenate([[0], np.flatnonzero(differs) + 1])
        offsets.append(np.searchsorted(below, np.append(starts, rows)))
        starts = below
    return order, [*offsets, np.append(starts, rows)]
