"""Scores at centres and cohorts of them, against counts by hand."""

import numpy as np
import pytest
from made_points import points

from hooknet.errors import MaskError
from hooknet.search.scoring import groups_of, same_centres, score

LABELS = np.array([1, 1, 1, 1, 2, 2, 2, 2], np.uint8)


def test_f1_is_that_of_counts_by_hand():
    predicted = np.array([1, 1, 1, 2, 2, 2, 1, 1], np.uint8)
    found = score({"one": predicted}, LABELS, list("aabbccdd"), 2)
    # Class 1: 3 right of 4, 5 told; class 2: 2 right of 4, 3 told.
    assert found.of("one") == pytest.approx([6 / 9, 4 / 7, (6 / 9 + 4 / 7) / 2])
    assert found.macro("one") == pytest.approx((6 / 9 + 4 / 7) / 2)


def test_five_patients_are_drawn_whole_and_fewer_centre_by_centre():
    numbers, by_patient = groups_of(["p3", "p1", "p3", "p2", "p4", "p5"])
    assert by_patient
    assert numbers.tolist() == [2, 0, 2, 1, 3, 4]
    numbers, by_patient = groups_of(["p1", "p1", "p2", "p2"])
    assert not by_patient
    assert numbers.tolist() == [0, 1, 2, 3]


def test_a_lead_on_every_patient_is_sure_and_one_on_half_of_them_is_not():
    patients = [f"p{at}" for at in range(20) for _ in range(10)]
    labels = np.tile(np.array([1, 2], np.uint8), 100)
    wrong = 3 - labels
    tenth = np.arange(200) % 10 == 0
    half = np.where(np.arange(200) < 100, tenth, np.arange(200) % 10 == 1)
    found = score(
        {
            "good": labels,
            "worse": np.where(tenth, wrong, labels),
            "elsewhere": np.where(half, wrong, labels),
        },
        labels, patients, 2,
    )  # fmt: skip
    difference, low, high = found.lead("good", "worse")
    assert difference == pytest.approx(low) == pytest.approx(high) == pytest.approx(0.1, abs=0.01)
    assert found.share_ahead("good", "worse") == 1.0
    assert not found.keeps_up("worse", "good", 0.01)
    assert found.keeps_up("worse", "good", 0.2)
    assert found.keeps_up("elsewhere", "worse", 0.01)
    assert found.keeps_up("worse", "elsewhere", 0.01)


def test_trials_that_predicted_other_centres_are_not_compared():
    one, other = points([1, 2], [[0.9, 0.1]] * 2), points([1, 2], [[0.9, 0.1]] * 2, x=[5.0, 7.0])
    assert same_centres({"a": one, "b": one}) is one
    with pytest.raises(MaskError, match="trials a and b predicted different centres"):
        same_centres({"a": one, "b": other})
