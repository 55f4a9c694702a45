from itertools import product
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hooknet.metrics.statistics import holm, smallest_p, wilcoxon


def enumerated_p(difference):
    """Two-sided p by listing all signs: an independent reading of the definition."""
    difference = np.asarray(difference, float)
    difference = difference[difference != 0]
    ranks = stats.rankdata(np.abs(difference))
    sums = np.array([np.dot(signs, ranks) for signs in product((0, 1), repeat=len(ranks))])
    seen = ranks[difference > 0].sum()
    return min(1.0, 2 * min((sums <= seen + 1e-9).mean(), (sums >= seen - 1e-9).mean()))


def test_five_pairs_all_in_favour_give_one_in_sixteen():
    found = wilcoxon([0.9, 0.8, 0.7, 0.6, 0.5], [0.8, 0.6, 0.4, 0.2, 0.0])
    assert (found.n, found.n_nonzero, found.statistic, found.method) == (5, 5, 0, "exact")
    assert found.p == pytest.approx(2 / 2**5)
    assert found.median_difference == pytest.approx(0.3)


def test_eighteen_slides_all_in_favour_reach_two_in_two_to_the_eighteen():
    first = np.linspace(0.1, 0.9, 18)
    assert wilcoxon(first, first - np.arange(1, 19) / 1000).p == pytest.approx(2 / 2**18)


def test_a_hand_ranked_example_with_differences_of_both_signs():
    # |d| has ranks 1, 2, 3, 4 and the 3rd is negative: sums 7 and 3; 10 of 16 sign patterns are as far out
    found = wilcoxon([1, 2, 0, 4], [0, 0, 3, 0])
    assert found.statistic == 3
    assert found.effect == pytest.approx((7 - 3) / 10)
    assert found.p == pytest.approx(10 / 16)


def test_pairs_without_a_difference_are_dropped_and_counted():
    found = wilcoxon([5, 5, 1, 2, 3, 4], [5, 5, 0, 0, 0, 0])
    assert (found.n, found.n_nonzero) == (6, 4)
    assert found.p == pytest.approx(2 / 2**4)
    assert found.median_difference == 1.5


def test_pairs_with_nan_are_left_out_of_everything():
    found = wilcoxon([float("nan"), 1, 2, 3], [0, 0, float("nan"), 1])
    assert (found.n, found.n_nonzero, found.median_difference) == (2, 2, 1.5)


def test_no_differences_give_p_one_and_no_pairs_give_nan():
    same = wilcoxon([0.5, 0.6], [0.5, 0.6])
    assert (same.p, same.n, same.n_nonzero, same.method) == (1.0, 2, 0, "no differences")
    assert same.effect == 0
    none = wilcoxon([], [])
    assert none.n == 0
    assert isnan(none.p)
    assert isnan(none.effect)
    assert none.method == "no pairs"


def test_unequal_lengths_cannot_be_paired():
    with pytest.raises(ValueError, match="cannot be paired"):
        wilcoxon([1, 2], [1])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=8))
def test_small_samples_with_ties_and_zeros_match_the_list_of_all_signs(difference):
    found = wilcoxon(difference, np.zeros(len(difference)))
    expected = enumerated_p(difference) if any(difference) else 1.0
    assert found.p == pytest.approx(expected)


def test_more_than_fifty_pairs_match_scipy_asymptotics():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.2, 1, 60), rng.normal(0, 1, 60)
    expected = stats.wilcoxon(first, second, zero_method="wilcox", method="approx")
    found = wilcoxon(first, second)
    assert (found.p, found.statistic) == (pytest.approx(expected.pvalue), expected.statistic)
    assert found.method == "normal approximation"


def test_swapping_the_systems_keeps_p_and_turns_the_difference_round():
    first, second = [0.9, 0.4, 0.7, 0.8], [0.5, 0.6, 0.6, 0.1]
    there, back = wilcoxon(first, second), wilcoxon(second, first)
    assert there.p == back.p
    assert there.median_difference == -back.median_difference
    assert there.effect == -back.effect != 0


def test_effect_is_one_where_all_slides_agree_and_drops_zeros():
    assert wilcoxon([2, 3, 4, 4], [1, 1, 1, 4]).effect == 1
    assert wilcoxon([1, 1, 1, 4], [2, 3, 4, 4]).effect == -1
    # |d| = 1, 1, 2 have midranks 1.5, 1.5, 3: (3 - 3) / 6
    assert wilcoxon([1, 1, 0], [0, 0, 2]).effect == 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=10).filter(any))
def test_effect_and_statistic_tell_of_the_same_rank_sums(difference):
    found = wilcoxon(difference, np.zeros(len(difference)))
    total = found.n_nonzero * (found.n_nonzero + 1) / 2
    assert abs(found.effect) == pytest.approx(1 - 2 * found.statistic / total)
    assert wilcoxon(np.zeros(len(difference)), difference).effect == -found.effect


@pytest.mark.parametrize("pairs", range(1, 13))
def test_smallest_p_is_what_the_test_gives_when_all_pairs_agree(pairs):
    assert smallest_p(pairs) == wilcoxon(np.arange(1, pairs + 1), np.zeros(pairs)).p


def test_smallest_p_by_hand():
    assert [smallest_p(n) for n in (0, 1, 2, 4, 5, 6)] == [1, 1, 0.5, 0.125, 0.0625, 0.03125]
    assert smallest_p(5000) == 0  # less than a float can say


def holm_by_definition(p):
    """p of rank i among m counts (m - i) times, and no less than those before it."""
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=lambda at: p[at])):
        highest = max(highest, (len(p) - rank) * p[at])
        adjusted[at] = min(1.0, highest)
    return adjusted


@given(st.lists(st.floats(0, 1), max_size=12), st.integers(0, 3))
def test_holm_is_as_defined_and_nan_does_not_count(p, missing):
    adjusted = holm([*p, *[float("nan")] * missing])
    assert adjusted[: len(p)] == pytest.approx(holm_by_definition(p))
    assert np.isnan(adjusted[len(p) :]).all()


def test_holm_leaves_its_argument_as_it_was():
    p = np.array([0.04, 0.01])
    assert holm(p) == pytest.approx([0.04, 0.02])
    assert p.tolist() == [0.04, 0.01]


def test_holm_by_hand():
    # sorted .01 .02 .04 .30 times 4 3 2 1 = .04 .06 .08 .30
    assert holm([0.04, 0.01, 0.30, 0.02]) == pytest.approx([0.08, 0.04, 0.30, 0.06])
    # .03 * 2 = .06, then .031 * 1 may not fall below it; nothing exceeds 1
    assert holm([0.03, 0.031]) == pytest.approx([0.06, 0.06])
    assert holm([0.8, 0.9]) == [1.0, 1.0]


def test_holm_leaves_tests_that_could_not_be_made_out_of_the_number_of_tests():
    adjusted = holm([0.02, float("nan"), 0.5])
    assert adjusted[0] == pytest.approx(0.04)
    assert isnan(adjusted[1])
    assert adjusted[2] == 0.5


def test_many_tied_differences_use_the_approximation_and_say_so():
    difference = np.repeat([1.0, -1.0, 2.0, 3.0], 5)
    found = wilcoxon(difference, np.zeros(20))
    assert found.method == "normal approximation"
    # midranks 5.5, 13, 18; the negative sum is 27.5, its mean 105, its variance 717.5 - (990 + 120 + 120) / 48
    z = (27.5 - 105) / np.sqrt(20 * 21 * 41 / 24 - (990 + 120 + 120) / 48)
    assert found.p == pytest.approx(2 * stats.norm.cdf(z))
