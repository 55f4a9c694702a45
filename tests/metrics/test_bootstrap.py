from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hooknet.metrics.bootstrap import interval, pooled_f1, resampled_f1
from hooknet.metrics.scores import scores

MATRICES = hnp.arrays(np.int64, (3, 4), elements=st.integers(0, 50))


@given(counts=MATRICES)
def test_f1_is_that_of_the_scores(counts):
    found, wanted = pooled_f1(counts), scores(counts)
    np.testing.assert_allclose(found[:-1], wanted.f1, rtol=1e-12)
    np.testing.assert_allclose(found[-1], wanted.macro_f1, rtol=1e-12)


@given(counts=st.lists(MATRICES, min_size=2, max_size=4))
@how(max_examples=20, deadline=None)
def test_a_cohort_is_a_sum_of_patients_drawn_with_replacement(counts):
    found = resampled_f1(np.stack(counts)[None], draws=5, seed=3)
    times = np.random.default_rng(3).multinomial(len(counts), [1 / len(counts)] * len(counts), size=5)
    for draw, drawn in zip(found[:, 0], times, strict=True):
        cohort = sum(int(n) * one for n, one in zip(drawn, counts, strict=True))
        np.testing.assert_allclose(draw[-1], scores(cohort).macro_f1, rtol=1e-12)


def test_every_system_is_scored_on_the_same_cohorts():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 100, (6, 3, 4))
    found = resampled_f1(np.stack([one, one]), draws=50)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert found[:, 0, -1].std() > 0


def test_the_interval_holds_the_true_score_of_a_large_cohort_about_as_often_as_it_says():
    # Patients differ in how well they are segmented: 200 cohorts of 30 of them.
    rng = np.random.default_rng(1)

    def patients(number):
        skill = rng.beta(8, 2, number)
        right = rng.binomial(1000, skill)
        rows = [[[0, r, 1000 - r], [0, 1000 - r, r]] for r in right]
        return np.array(rows)

    truth = pooled_f1(patients(200_000).sum(axis=0))[-1]
    held = 0
    for number in range(200):
        low, high = interval(resampled_f1(patients(30)[None], draws=300, seed=number)[:, 0, -1])
        held += low <= truth <= high
    assert 0.88 <= held / 200 <= 0.99


def test_a_class_that_a_cohort_lacks_is_left_out():
    with_class, without = [[0, 5, 0], [0, 0, 5]], [[0, 5, 0], [0, 0, 0]]
    found = resampled_f1(np.array([[with_class, without]]), draws=200)[:, 0]
    assert 0.1 < np.isnan(found[:, 1]).mean() < 0.4  # both drawn are the one without: a quarter
    assert (found[:, 2] == 1).all()
    assert interval(found[:, 1]) == (1.0, 1.0)


def test_an_interval_is_the_central_95_per_cent():
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert np.isnan(interval(np.array([np.nan]))).all()
