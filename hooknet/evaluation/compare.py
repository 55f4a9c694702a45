"""Compare systems on the slides they were tested on: scores, scores per slide, tests, confusion.

A *system* is one row of the paper's table: an experiment, or one seed of it, with its folds pooled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from hooknet.errors import MaskError
from hooknet.evaluation.intervals import intervals
from hooknet.evaluation.slides import NO_PREDICTION
from hooknet.evaluation.system import MACRO, MICRO, System
from hooknet.metrics.confusion import Counts, merge
from hooknet.metrics.scores import row_normalised, scores
from hooknet.metrics.statistics import holm, wilcoxon


@dataclass(frozen=True)
class Comparison:
    """Tables of a comparison; scores are 0..1, nan where undefined (see :mod:`hooknet.metrics.scores`).

    scores: system, experiment, seed, class, precision, recall, f1, iou, support (annotated px), with all test
    slides pooled; one row per class, then ``macro`` and ``micro``.
    slide_scores: system, experiment, slide, patient, support, macro_f1 and one F1 column per class, named
    ``f1 <class>``.
    comparisons: every pair of systems; experiment_comparisons: every pair of experiments by the mean over
    seeds of each slide's macro F1, empty when no experiment has several seeds.  Both: first, second, n
    (slides in common), patients, n_nonzero, median_difference (first - second), statistic, p, p_holm, method.
    confusion: system, truth, predicted, pixels, share (of the truth's row).
    summary: experiment, class, seeds, f1_mean, f1_sd (sample SD, nan for one seed), empty as above.
    intervals, differences: see :func:`hooknet.evaluation.intervals.intervals`.
    warnings: what a reader has to know before comparing rows.
    """

    names: tuple[str, ...]
    scores: pd.DataFrame
    slide_scores: pd.DataFrame
    comparisons: pd.DataFrame
    experiment_comparisons: pd.DataFrame
    confusion: pd.DataFrame
    summary: pd.DataFrame
    intervals: pd.DataFrame
    differences: pd.DataFrame
    warnings: tuple[str, ...] = ()


def pool_folds(folds: Iterable[Mapping[str, Counts]], system: str) -> dict[str, Counts]:
    """The counts of all slides of a system's folds; MaskError when a slide was tested in two of them."""
    pooled: dict[str, Counts] = {}
    for fold in folds:
        twice = sorted(pooled.keys() & fold.keys())
        if twice:
            raise MaskError(
                f"{system}: slide {twice[0]} was tested in two folds, wanted once: check the column of folds"
            )
        pooled |= fold
    return pooled


def compare(
    systems: Sequence[System], names: Sequence[str], patients: Mapping[str, str] | None = None
) -> Comparison:
    """All tables for ``systems`` with classes ``names``, value 1 first.

    ``patients``: slide -> patient; slides without one are their own patient.  A slide's macro F1 is over the
    classes with truth on it, the same for every system, and pairs are tested on their slides in common.
    Raises MaskError when two systems have one name, or counted different truth on one slide.
    """
    _check(systems, names)
    whose = patients or {}
    slide_scores = _slide_scores(systems, names, whose)
    overall = pd.concat([_pooled_scores(one, names) for one in systems], ignore_index=True)
    with_interval, differences = intervals(systems, names, whose)
    repeated = len({one.experiment for one in systems}) < len(systems)
    return Comparison(
        names=tuple(names),
        scores=overall,
        slide_scores=slide_scores,
        comparisons=_comparisons(slide_scores, "system"),
        experiment_comparisons=_comparisons(slide_scores if repeated else slide_scores[:0], "experiment"),
        confusion=pd.concat([_confusion(one, names) for one in systems], ignore_index=True),
        summary=_summary(overall if repeated else overall[:0]),
        intervals=with_interval,
        differences=differences,
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


def _pooled_scores(system: System, names: Sequence[str]) -> pd.DataFrame:
    found = scores(merge(system.slides.values(), len(names)))
    total = int(found.support.sum())
    table = pd.DataFrame(
        {
            "class": [*names, MACRO, MICRO],
            "precision": [*found.precision, found.macro_precision, found.micro_precision],
            "recall": [*found.recall, found.macro_recall, found.micro_recall],
            "f1": [*found.f1, found.macro_f1, found.micro_f1],
            "iou": [*found.iou, found.macro_iou, found.micro_iou],
            "support": [*found.support, total, total],
        }
    )
    return _headed(table, system)


def _headed(table: pd.DataFrame, system: System) -> pd.DataFrame:
    table.insert(0, "system", system.name)
    table.insert(1, "experiment", system.experiment)
    table.insert(2, "seed", pd.Series([system.seed] * len(table), dtype="Int64"))
    return table


def _slide_scores(
    systems: Sequence[System], names: Sequence[str], patients: Mapping[str, str]
) -> pd.DataFrame:
    rows = []
    for one in systems:
        for slide, counts in one.slides.items():
            found = scores(counts)
            row: dict[str, str | float] = {"system": one.name, "experiment": one.experiment, "slide": slide}
            row |= {"patient": patients.get(slide, slide), "support": int(found.support.sum())}
            row |= {"macro_f1": found.macro_f1}
            rows.append(row | {f"f1 {name}": f1 for name, f1 in zip(names, found.f1, strict=True)})
    head = ["system", "experiment", "slide", "patient", "support", "macro_f1"]
    return pd.DataFrame(rows, columns=[*head, *(f"f1 {name}" for name in names)])


def _comparisons(slide_scores: pd.DataFrame, by: str) -> pd.DataFrame:
    """Wilcoxon tests of every pair of systems or of experiments, Holm's p over all pairs of the table."""
    patient = dict(zip(slide_scores["slide"], slide_scores["patient"], strict=True))
    usable = slide_scores.dropna(subset=["macro_f1"])
    means = {str(name): _slide_means(rows) for name, rows in usable.groupby(by, sort=False)}
    order = list(dict.fromkeys(slide_scores[by]))
    records = []
    for first, second in combinations(order, 2):
        one, other = (means.get(name, pd.Series(dtype=float)) for name in (first, second))
        common = sorted(set(one.index) & set(other.index))
        test = wilcoxon(one.loc[common].to_numpy(), other.loc[common].to_numpy())
        records.append(
            {
                "first": first,
                "second": second,
                "n": test.n,
                "patients": len({patient[slide] for slide in common}),
                "n_nonzero": test.n_nonzero,
                "median_difference": test.median_difference,
                "statistic": test.statistic,
                "p": test.p,
                "method": test.method,
            }
        )
    columns = [
        "first",
        "second",
        "n",
        "patients",
        "n_nonzero",
        "median_difference",
        "statistic",
        "p",
        "method",
    ]
    table = pd.DataFrame(records, columns=columns)
    table.insert(columns.index("method"), "p_holm", holm(list(table["p"])))
    return table


def _slide_means(rows: pd.DataFrame) -> pd.Series[float]:
    """Slide -> mean macro F1 of the systems in ``rows``; slides that one of them lacks are left out."""
    slides = rows.groupby("slide")["macro_f1"]
    return slides.mean()[slides.size() == rows["system"].nunique()]


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
