import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System
from hooknet.evaluation.tukey import TUKEY

NAMES = ("tumour", "rest")


def system(name, right, experiment=None, seed=None):
    """A slide per number, 100 px a class, so many of each right: F1 of both classes is that share."""
    slides = {
        f"s{at}": np.array([[0, one, 100 - one], [0, 100 - one, one]], np.int64)
        for at, one in enumerate(right)
    }
    return System(name, experiment or name, seed, slides)


RIGHT = {"A": [95, 90, 91, 89, 97, 99], "B": [85, 87, 80, 88, 70, 93], "C": [94, 91, 80, 90, 96]}
SYSTEMS = [system(name, right) for name, right in RIGHT.items()]


def of_tumour(table):
    return table[table["class"] == "tumour"].set_index(["first", "second"])


def test_numbers_are_those_of_statsmodels_and_of_scipy():
    table = compare(SYSTEMS, NAMES).tukey
    assert list(table.columns) == list(TUKEY)
    assert table["class"].tolist() == ["tumour"] * 3 + ["rest"] * 3
    rows = of_tumour(table)
    assert list(rows.index) == [("A", "B"), ("A", "C"), ("B", "C")]
    assert rows[["n_first", "n_second"]].values.tolist() == [[6, 6], [6, 5], [6, 5]]
    scores = [np.array(right) / 100 for right in RIGHT.values()]
    labels = np.repeat(list(RIGHT), [len(one) for one in scores])
    wanted = pairwise_tukeyhsd(np.concatenate(scores), labels)  # of the second minus the first
    np.testing.assert_allclose(rows["difference"], -wanted.meandiffs, atol=1e-12)
    np.testing.assert_allclose(rows["low"], -wanted.confint[:, 1], atol=1e-9)
    np.testing.assert_allclose(rows["high"], -wanted.confint[:, 0], atol=1e-9)
    np.testing.assert_allclose(rows["p"], wanted.pvalues, atol=1e-9)
    np.testing.assert_allclose(rows["p"], stats.tukey_hsd(*scores).pvalue[[0, 0, 1], [1, 2, 2]], atol=1e-9)


def test_the_pairing_of_slides_makes_no_difference_to_it_but_to_the_paired_test():
    """B is 1 % behind A on each of ten slides that differ much: only a paired test can see that."""
    right = range(50, 100, 5)
    found = compare([system("A", right), system("B", [one - 1 for one in right])], NAMES)
    shuffled = compare([system("A", right), system("B", [one - 1 for one in reversed(right)])], NAMES)
    assert found.tukey["p"].to_numpy() == pytest.approx(shuffled.tukey["p"].to_numpy())
    assert (found.tukey["p"] > 0.8).all()
    assert (found.comparisons["p_holm"] < 0.05).all()
    assert (shuffled.comparisons["p_holm"] > 0.5).all()


def test_seeds_are_averaged_slide_by_slide_and_experiments_compared():
    seeds = [
        system(f"A #{n}", [one + d for one in RIGHT["A"]], "A", n) for n, d in ((1, 1), (2, -3), (3, -1))
    ]
    rows = of_tumour(compare([*seeds, system("B", RIGHT["B"])], NAMES).tukey)
    alone = of_tumour(
        compare([system("A", [one - 1 for one in RIGHT["A"]]), system("B", RIGHT["B"])], NAMES).tukey
    )
    np.testing.assert_allclose(rows.to_numpy()[:, 1:].astype(float), alone.to_numpy()[:, 1:].astype(float))


def test_systems_that_are_left_out_change_nothing_for_the_others():
    mask = system("Otsu", [40, 70, 55, 30, 60, 90])
    with_mask = compare([mask, *SYSTEMS], NAMES, without_tukey={"Otsu"})
    np.testing.assert_array_equal(with_mask.tukey, compare(SYSTEMS, NAMES).tukey)
    assert "Otsu" in set(with_mask.comparisons["first"])
    assert len(compare([mask, *SYSTEMS], NAMES).tukey) == 2 * 6


def test_only_systems_with_two_slides_of_a_class_are_tested():
    once = system("once", [90])
    np.testing.assert_array_equal(compare([*SYSTEMS, once], NAMES).tukey, compare(SYSTEMS, NAMES).tukey)
    assert compare([SYSTEMS[0], once], NAMES).tukey.empty
    assert compare(SYSTEMS[:1], NAMES).tukey.empty


def test_slides_without_truth_of_a_class_are_not_in_its_test():
    bare = {"bare": np.array([[0, 0, 0], [0, 9, 1]], np.int64)}
    more = [System(one.name, one.experiment, None, {**one.slides, **bare}) for one in SYSTEMS]
    table = compare(more, NAMES).tukey
    np.testing.assert_array_equal(of_tumour(table), of_tumour(compare(SYSTEMS, NAMES).tukey))
    assert table.loc[table["class"] == "rest", "n_first"].tolist() == [7, 7, 7]


@pytest.mark.parametrize("other", [90, 70])
def test_where_no_system_varies_there_is_no_p(other):
    seeds = [system(f"A {n}", [one] * 4, "A", n) for n, one in enumerate((70, 90, 10 + other))]
    table = compare([*seeds, system("B", [other] * 4)], NAMES).tukey
    assert table["difference"].to_numpy() == pytest.approx((170 - 2 * other) / 300)
    assert table[["low", "high", "p"]].isna().all(axis=None)
