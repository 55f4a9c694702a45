import math

import numpy as np
import pandas as pd
import pytest

from hooknet.evaluation.compare import compare
from hooknet.evaluation.per_slide import PER_SLIDE
from hooknet.evaluation.system import System

NAMES = ("tumour", "rest")
SCORES = ["recall_mean", "precision_mean", "dice_mean"]


def counts(hit, missed, false, right, none=0):
    """Of tumour ``hit`` px are found and ``missed`` are not, ``none`` without a prediction; of the rest ``false``
    are called tumour."""
    return np.array([[none, hit, missed], [0, false, right]], np.int64)


# Recall 60/100, 90/100, 30/40; precision 60/80, 90/180, 30/30: by hand, so that swapped names would be seen.
SLIDES = {"a": counts(60, 40, 20, 80), "b": counts(90, 10, 90, 10), "c": counts(30, 5, 0, 50, none=5)}
RECALL, PRECISION = np.array([0.6, 0.9, 0.75]), np.array([0.75, 0.5, 1])
DICE = 2 * RECALL * PRECISION / (RECALL + PRECISION)


def told(slides, grades=None):
    table = compare([System("one", "one", None, slides)], NAMES, None, grades).per_slide
    return table.set_index(["class", "grade"])


def test_means_and_sample_deviations_are_over_slides_of_true_positives_over_truth_and_over_predicted():
    row = told(SLIDES).loc[("tumour", "all")]
    assert row["n"] == 3
    for name, values in (("recall", RECALL), ("precision", PRECISION), ("dice", DICE)):
        assert row[f"{name}_mean"] == pytest.approx(values.mean())
        assert row[f"{name}_sd"] == pytest.approx(np.sqrt(((values - values.mean()) ** 2).sum() / 2))


def test_every_slide_counts_the_same_however_large():
    larger = {name: matrix * (1000 if name == "a" else 1) for name, matrix in SLIDES.items()}
    pd.testing.assert_frame_equal(told(larger), told(SLIDES))


def test_each_grade_has_a_row_after_that_of_all_and_a_slide_without_one_is_in_all_only():
    table = told(SLIDES, {"b": "I", "c": "II", "not tested": "III"})
    assert list(table.index) == [(name, grade) for name in NAMES for grade in ("all", "I", "II")]
    assert table.loc["tumour", "n"].tolist() == [3, 1, 1]
    assert table.loc[("tumour", "I"), SCORES].tolist() == pytest.approx([0.9, 0.5, DICE[1]])
    assert table.loc[("tumour", "II"), SCORES].tolist() == pytest.approx([0.75, 1, DICE[2]])
    assert table.loc[("tumour", "I"), ["recall_sd", "precision_sd", "dice_sd"]].isna().all()
    both = told(SLIDES, {"a": "I", "b": "I", "c": "II"}).loc[("tumour", "I")]
    assert (both["n"], both["recall_sd"]) == (2, pytest.approx(0.3 / math.sqrt(2)))


def test_slides_without_truth_of_a_class_are_not_in_its_means():
    lacking = {**SLIDES, "d": counts(0, 0, 50, 50), "bare": counts(0, 0, 0, 0)}
    table = told(lacking, {"d": "I", "bare": "II"})
    pd.testing.assert_series_equal(
        table.loc[("tumour", "all")], told(SLIDES).loc[("tumour", "all")], check_names=False
    )
    assert table.loc[("rest", "all"), "n"] == 4
    assert list(table.index) == [("tumour", "all"), ("rest", "all"), ("rest", "I")]
    first = told(
        {"d": lacking["d"], **SLIDES}
    )  # rows are in the order of classes whichever slide comes first
    assert list(first.index) == [("tumour", "all"), ("rest", "all")]


def test_where_nothing_of_a_class_was_predicted_dice_is_0_and_the_mean_precision_is_not_defined():
    table = told({**SLIDES, "missed": counts(0, 100, 0, 100)}, {"a": "I", "missed": "II"})
    row = table.loc[("tumour", "all")]
    assert (row["n"], row["unpredicted"]) == (4, 1)
    assert row["recall_mean"] == pytest.approx(RECALL.sum() / 4)
    assert row["dice_mean"] == pytest.approx(DICE.sum() / 4)
    assert math.isnan(row["precision_mean"])
    assert math.isnan(row["precision_sd"])
    assert table.loc[("tumour", "I"), "precision_mean"] == pytest.approx(0.75)
    assert table.loc[("tumour", "II"), ["recall_mean", "dice_mean"]].tolist() == [0, 0]


def test_every_system_has_its_rows_but_one_without_slides():
    systems = [System(name, "one", seed, SLIDES) for seed, name in enumerate(("first", "second"))]
    table = compare([*systems, System("idle", "idle", None, {})], NAMES).per_slide
    assert list(table.columns) == list(PER_SLIDE)
    assert table[["system", "class"]].values.tolist() == [
        [one, name] for one in ("first", "second") for name in NAMES
    ]
    assert compare([System("idle", "idle", None, {})], NAMES).per_slide.empty
