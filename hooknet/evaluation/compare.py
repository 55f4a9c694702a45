"""Compare systems on the slides they were tested on: scores, scores per slide, tests, confusion.

A *system* is one row of the paper's table: an experiment, or one seed of it, with its folds pooled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hooknet.errors import MaskError
from hooknet.evaluation.claims import claims
from hooknet.evaluation.intervals import intervals
from hooknet.evaluation.pairs import pair_tests
from hooknet.evaluation.per_slide import per_slide
from hooknet.evaluation.score_tables import pooled_scores, slide_class_scores, slide_scores
from hooknet.evaluation.slides import NO_PREDICTION
from hooknet.evaluation.system import System
from hooknet.evaluation.tukey import tukey
from hooknet.metrics.confusion import merge
from hooknet.metrics.scores import row_normalised


@dataclass(frozen=True)
class Comparison:
    """Tables of a comparison; scores are 0..1, nan where undefined (see :mod:`hooknet.metrics.scores`).

    scores: system, experiment, seed, class, precision, recall, f1, iou, support (annotated px), prevalence
    (share of the annotated px), with all test slides pooled; one row per class, then ``macro`` and ``micro``.
    slide_scores: system, experiment, slide, patient, support, macro_f1 and one F1 column per class, named
    ``f1 <class>``.
    slide_class_scores: system, experiment, slide, patient, class, precision, recall, f1, iou, support, present
    (whether the class has truth on the slide); one row per class, then ``macro`` and ``micro``.
    per_slide: mean and SD over slides, of all and of each grade; see :func:`hooknet.evaluation.per_slide.per_slide`.
    comparisons: every pair of systems; experiment_comparisons: every pair of experiments by the mean over
    seeds of each slide's F1, empty when no experiment has several seeds.  Both: first, second, class
    (``macro`` for macro F1, then each class), n (slides in common), patients, n_nonzero, median_difference
    (first - second), effect (rank-biserial), statistic, p, p_holm, method; see
    :func:`hooknet.evaluation.pairs.pair_tests`.
    tukey: the published, unpaired test beside them, of experiments where there are several seeds, else of
    systems; see :func:`hooknet.evaluation.tukey.tukey`.
    confusion: system, truth, predicted, pixels, share (of the truth's row).
    summary: experiment, class, seeds, f1_mean, f1_sd (sample SD, nan for one seed), empty as above.
    intervals, differences: see :func:`hooknet.evaluation.intervals.intervals`.
    claims: what may be said of each pair, of experiments where there are several seeds, else of systems; see
    :func:`hooknet.evaluation.claims.claims`.
    warnings: what a reader has to know before comparing rows.
    """

    names: tuple[str, ...]
    scores: pd.DataFrame
    slide_scores: pd.DataFrame
    slide_class_scores: pd.DataFrame
    per_slide: pd.DataFrame
    comparisons: pd.DataFrame
    experiment_comparisons: pd.DataFrame
    tukey: pd.DataFrame
    confusion: pd.DataFrame
    summary: pd.DataFrame
    intervals: pd.DataFrame
    differences: pd.DataFrame
    claims: pd.DataFrame
    warnings: tuple[str, ...] = ()


def compare(
    systems: Sequence[System],
    names: Sequence[str],
    patients: Mapping[str, str] | None = None,
    grades: Mapping[str, str] | None = None,
    without_tukey: Collection[str] = (),
) -> Comparison:
    """All tables for ``systems`` with classes ``names``, value 1 first.

    ``patients``: slide -> patient; slides without one are their own patient.  A slide's macro F1 is over the
    classes with truth on it, the same for every system, and pairs are tested on their slides in common.
    ``grades``: slide -> grade, of those that have one.  ``without_tukey``: names of systems that are not in Tukey's
    test, as a plain tissue mask: how it varies over slides would count for all pairs.
    Raises MaskError when two systems have one name, or counted different truth on one slide.
    """
    _check(systems, names)
    whose = patients or {}
    by_slide = slide_scores(systems, names, whose)
    by_class = slide_class_scores(systems, names, whose)
    overall = pd.concat([pooled_scores(one, names) for one in systems], ignore_index=True)
    with_interval, differences = intervals(systems, names, whose)
    repeated = len({one.experiment for one in systems}) < len(systems)
    tests = pair_tests(by_slide, names, "system")
    of_experiments = pair_tests(by_slide if repeated else by_slide[:0], names, "experiment")
    experiments = {one.name: one.experiment for one in systems}
    return Comparison(
        names=tuple(names),
        scores=overall,
        slide_scores=by_slide,
        slide_class_scores=by_class,
        per_slide=per_slide(by_class, names, grades or {}),
        comparisons=tests,
        experiment_comparisons=of_experiments,
        tukey=tukey(
            by_slide[~by_slide["system"].isin(list(without_tukey))],
            names,
            "experiment" if repeated else "system",
        ),
        confusion=pd.concat([_confusion(one, names) for one in systems], ignore_index=True),
        summary=_summary(overall if repeated else overall[:0]),
        intervals=with_interval,
        differences=differences,
        claims=claims(of_experiments, differences) if repeated else claims(tests, differences, experiments),
        warnings=tuple(_warnings(systems, names)),
    )


def _check(systems: Sequence[System], names: Sequence[str]) -> None:
    if not systems:
        raise MaskError("there are no systems to compare: evaluate at least one experiment")
    truth: dict[str, tuple[str, list[int]]] = {}
    for number, one in enumerate(systems):
        if one.name in {other.name for other in systems[:number]}:
            raise MaskError(f"{one.name}: two systems have this name, wanted one: name them by seed too")
        for slide, counts in one.slides.items():
            if counts.shape != (len(names), len(names) + 1):
                raise MaskError(
                    f"{one.name}: slide {slide} has counts {counts.shape} for {len(names)} classes:"
                    " count all systems with one label map"
                )
            support = [int(pixels) for pixels in counts.sum(axis=1)]
            first, expected = truth.setdefault(slide, (one.name, support))
            if support != expected:
                raise MaskError(
                    f"{one.name}: slide {slide} has {support} annotated px per class, for {first} it had"
                    f" {expected}: evaluate both against one truth"
                )


def _confusion(system: System, names: Sequence[str]) -> pd.DataFrame:
    counts = merge(system.slides.values(), len(names))
    table = pd.DataFrame(
        {
            "truth": np.repeat(list(names), len(names) + 1),
            "predicted": [NO_PREDICTION, *names] * len(names),
            "pixels": counts.ravel(),
            "share": row_normalised(counts).ravel(),
        }
    )
    table.insert(0, "system", system.name)
    return table


def _summary(overall: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation of each F1 over the seeds of an experiment."""
    grouped = overall.groupby(["experiment", "class"], sort=False)["f1"]
    return grouped.agg(seeds="size", f1_mean="mean", f1_sd="std").reset_index()


def _warnings(systems: Sequence[System], names: Sequence[str]) -> list[str]:
    everything = set[str]().union(*(one.slides for one in systems))
    found = []
    for one in systems:
        if len(one.slides) < len(everything):
            missing = sorted(everything - one.slides.keys())
            found.append(
                f"{one.name} was tested on {len(one.slides)} of {len(everything)} slides (not on"
                f" {', '.join(missing)}): its pooled scores cannot be compared with those of the others"
            )
        counts = merge(one.slides.values(), len(names))
        missed, total = int(counts[:, 0].sum()), int(counts.sum())
        if missed:
            share = 100 * missed / total
            found.append(
                f"{one.name} made no prediction on {missed:,} of {total:,} annotated pixels ({share:.2g} %);"
                " they count as missed"
            )
        bare = sorted(slide for slide, one_slide in one.slides.items() if not one_slide.any())
        if bare:
            found.append(f"{one.name}: no annotated pixels on {', '.join(bare)}; left out of tests per slide")
    # pooled over all slides, so the same for every system that saw them all
    pooled = merge((counts for one in systems for counts in one.slides.values()), len(names))
    absent = [name for name, support in zip(names, pooled.sum(axis=1), strict=True) if not support]
    if absent:
        found.append(f"no test slide has truth of {', '.join(absent)}; left out of every macro F1")
    return found
