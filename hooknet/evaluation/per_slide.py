"""Recall, precision and Dice of slides, as mean and standard deviation over them: the table of H2G-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

# The row of all slides, whatever their grade, those without one too.
ALL = "all"
# What a mean is of -> its column in the scores of slides.
MEANS = {"recall": "recall", "precision": "precision", "dice": "f1"}
PER_SLIDE = (
    "system",
    "class",
    "grade",
    "n",
    *(f"{name}_{what}" for name in MEANS for what in ("mean", "sd")),
    "unpredicted",
)


def per_slide(scores: pd.DataFrame, names: Sequence[str], grades: Mapping[str, str]) -> pd.DataFrame:
    """A row per system, class and grade (see PER_SLIDE): ``all`` first, then each grade that its slides have.

    ``scores``: of :func:`hooknet.evaluation.score_tables.slide_class_scores`.  ``grades``: slide -> grade; a slide
    without one is in ``all`` only.  ``n``: the slides with truth of the class, which the means are over; there is
    no row where there is none.  SD is the sample's, nan for one slide.  Recall = TP / truth and precision =
    TP / predicted, as Pedersen et al. (2022) report them; their released code has the two names swapped.

    A class that was not predicted on a slide that has it: recall and Dice are 0 there, and precision is not
    defined.  Then its mean is not defined either, as in :mod:`hooknet.metrics.scores`: a mean over the other
    slides would flatter, and would be over other slides than the next system's.  ``unpredicted`` counts them.
    """
    present = scores[scores["present"].astype(bool)]
    rows: list[list[object]] = []
    for system, of_system in present.groupby("system", sort=False):
        for name in names:
            of = of_system[of_system["class"] == name]
            parts = [(ALL, of), *of.groupby(of["slide"].map(grades))] if len(of) else []
            rows += [[system, name, grade, *_over(slides)] for grade, slides in parts]
    return pd.DataFrame(rows, columns=list(PER_SLIDE))


def _over(slides: pd.DataFrame) -> list[float]:
    """From ``n`` on: what is told of some slides."""
    found: list[float] = [len(slides)]
    for column in MEANS.values():
        found += [slides[column].mean(skipna=False), slides[column].std(skipna=False)]
    return [*found, int(slides["precision"].isna().sum())]
