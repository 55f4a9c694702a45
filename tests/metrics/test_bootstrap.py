from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hooknet.metrics.bootstrap import interval, outside, pooled_f1, resampled_f1
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


@pytest.mark.parametrize(("number", "least"), [(30, 0.92), (12, 0.92), (6, 0.90)])
def test_the_interval_holds_the_true_score_about_as_often_as_it_says(number, least):
    # Patients differ in how well they are segmented: 400 cohorts of them.
    rng = np.random.default_rng(1)

    def patients(number):
        skill = rng.beta(8, 2, number)
        right = rng.binomial(1000, skill)
        rows = [[[0, r, 1000 - r], [0, 1000 - r, r]] for r in right]
        return np.array(rows)

    truth = pooled_f1(patients(200_000).sum(axis=0))[-1]
    held = 0
    for seed in range(400):
        low, high = interval(resampled_f1(patients(number)[None], seed=seed)[:, 0, -1], number)
        held += low <= truth <= high
    assert least <= held / 400 <= 0.98


def test_of_few_patients_fewer_cohorts_are_left_out():
    # t of 5 degrees of freedom leaves 2.5 % beyond 2.5706; times the root of 6 / 5.
    assert outside(6) == pytest.approx(0.0048624, rel=1e-3)
    assert outside(2) < 1e-60
    assert outside(1) == 0
    assert outside(10**6) == pytest.approx(0.05, rel=1e-4)
    many, few = interval(np.arange(1001.0), 10**6), interval(np.arange(1001.0), 6)
    assert many == pytest.approx((25.0, 975.0), abs=0.01)
    assert few == pytest.approx((2.4312, 997.5688), abs=0.01)


def test_a_class_that_a_cohort_lacks_is_left_out():
    with_class, without = [[0, 5, 0], [0, 0, 5]], [[0, 5, 0], [0, 0, 0]]
    found = resampled_f1(np.array([[with_class, without]]), draws=200)[:, 0]
    assert 0.1 < np.isnan(found[:, 1]).mean() < 0.4  # both drawn are the one without: a quarter
    assert (found[:, 2] == 1).all()
    assert interval(found[:, 1], 2) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan]), 2)).all()
