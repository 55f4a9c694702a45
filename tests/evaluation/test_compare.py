import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import jaccard_score, precision_recall_fscore_support
from statsmodels.stats.multitest import multipletests

from hooknet.errors import MaskError
from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System, pool_folds

NAMES = ("stroma", "gland")


def counts(a_as_a, a_as_b, b_as_a, b_as_b, a_none=0, b_none=0):
    return np.array([[a_none, a_as_a, a_as_b], [b_none, b_as_a, b_as_b]], np.int64)


def slides(right):
    """Six slides of 100 px a class; on slide i a system has right[i] of each class right."""
    return {f"s{i}": counts(one, 100 - one, 100 - one, one) for i, one in enumerate(right)}


def macro(table):
    """The rows of macro F1."""
    return table[table["class"] == "macro"]


GOOD = System("HookNet", "hooknet", None, slides([95, 90, 91, 89, 97, 99]))
POOR = System("U-Net", "unet", None, slides([85, 87, 80, 88, 70, 93]))


def test_pooled_scores_are_of_all_slides_counts_together_not_means_of_slides():
    system = System("one", "one", None, {"big": counts(900, 100, 0, 0), "small": counts(0, 0, 0, 10)})
    table = compare([system], NAMES).scores.set_index("class")
    assert list(table.index) == ["stroma", "gland", "macro", "micro"]
    assert table.loc["stroma", "f1"] == pytest.approx(1800 / 1900)
    assert table.loc["gland", "f1"] == pytest.approx(20 / 120)
    assert table.loc["macro", "f1"] == pytest.approx((1800 / 1900 + 20 / 120) / 2)
    assert table.loc["micro", "f1"] == pytest.approx(910 / 1010)
    assert table.loc["gland", "precision"] == pytest.approx(10 / 110)
    assert table.loc["stroma", "iou"] == pytest.approx(900 / 1000)
    assert table["support"].tolist() == [1000, 10, 1010, 1010]
    assert table["prevalence"].tolist() == pytest.approx([1000 / 1010, 10 / 1010, 1, 1])


def test_a_slide_is_scored_on_the_classes_it_has():
    system = System("one", "one", None, {"big": counts(900, 100, 0, 0), "small": counts(0, 0, 0, 10)})
    table = compare([system], NAMES, {"big": "p1"}).slide_scores.set_index("slide")
    assert table.loc["big", "macro_f1"] == pytest.approx(1800 / 1900)
    assert math.isnan(table.loc["big", "f1 gland"])
    assert table.loc["small", "macro_f1"] == 1
    assert table["patient"].to_dict() == {"big": "p1", "small": "small"}


def pixels(matrix):
    """Truth and prediction of every px that a matrix counts."""
    truth, predicted = np.indices(matrix.shape)
    return (np.repeat(one.ravel(), matrix.ravel()) for one in (truth + 1, predicted))


def test_scores_of_a_slide_and_class_are_those_of_its_pixels():
    matrix = counts(70, 20, 5, 30, a_none=10, b_none=3)
    table = compare([System("one", "one", None, {"s": matrix})], NAMES, {"s": "p1"}).slide_class_scores
    assert table["class"].tolist() == ["stroma", "gland", "macro", "micro"]
    assert table[["system", "experiment", "slide", "patient"]].drop_duplicates().values.tolist() == [
        ["one", "one", "s", "p1"]
    ]
    truth, predicted = pixels(matrix)
    for rows, average in (([0, 1], None), ([2], "macro"), ([3], "micro")):
        wanted = precision_recall_fscore_support(truth, predicted, labels=[1, 2], average=average)[:3]
        wanted = [*wanted, jaccard_score(truth, predicted, labels=[1, 2], average=average)]
        seen = table.loc[rows, ["precision", "recall", "f1", "iou"]].to_numpy().T
        np.testing.assert_allclose(seen, np.reshape(wanted, seen.shape))
    assert table["support"].tolist() == [100, 38, 138, 138]
    assert table["present"].all()


def test_a_class_that_a_slide_lacks_has_no_score_there():
    system = System("one", "one", None, {"s": counts(900, 100, 0, 0), "bare": counts(0, 0, 0, 0)})
    table = compare([system], NAMES).slide_class_scores.set_index(["slide", "class"])
    scored = ["precision", "recall", "f1", "iou"]
    assert table.loc[("s", "gland"), scored].isna().all()
    assert table.loc["bare", scored].isna().all(axis=None)
    assert table["present"].tolist() == [True, False, True, True, False, False, False, False]
    assert table.loc[("s", "macro"), "f1"] == table.loc[("s", "stroma"), "f1"]
    assert table.loc[("s", "micro"), "recall"] == pytest.approx(0.9)


def test_every_class_is_tested_on_the_slides_that_have_it():
    def of_stroma(system):
        return {f"t{n}": counts(*row, 0, 0) for n, row in enumerate(system)}

    good = System("A", "a", None, {**GOOD.slides, **of_stroma([(9, 1), (8, 2)])})
    poor = System("B", "b", None, {**POOR.slides, **of_stroma([(7, 3), (8, 2)])})
    result = compare([good, poor], NAMES)
    rows = result.comparisons.set_index("class")
    assert list(rows.index) == ["macro", "stroma", "gland"]
    assert rows["n"].tolist() == rows["patients"].tolist() == [8, 8, 6]
    assert rows["n_nonzero"].tolist() == [7, 7, 6]
    for name in NAMES:
        table = result.slide_scores.pivot(index="slide", columns="system", values=f"f1 {name}").dropna()
        assert rows.loc[name, "p"] == pytest.approx(stats.wilcoxon(table["A"], table["B"]).pvalue)
    assert rows["effect"].tolist() == [1, 1, 1]


def test_macro_f1_and_classes_are_families_of_their_own():
    third = System("MRN", "mrn", None, slides([94, 91, 90, 90, 96, 98]))
    table = compare([GOOD, POOR, third], NAMES).comparisons
    for family, tests in ((table["class"] == "macro", 3), (table["class"] != "macro", 6)):
        rows = table[family]
        assert len(rows) == tests
        assert rows["p_holm"].tolist() == pytest.approx(multipletests(rows["p"], method="holm")[1])
    # By hand: 1/32, then one of .4375 (sums 6 and 15) and 1/32.
    p = macro(table)["p"]
    assert sorted(p)[:2] == [1 / 32, 1 / 32]
    assert macro(table)["p_holm"].tolist() == pytest.approx([min(1, max(3 / 32, one)) for one in p])


COUNTS_OF_SLIDES = st.lists(
    st.lists(st.integers(0, 9), min_size=6, max_size=6).map(lambda row: np.reshape(row, (2, 3))),
    min_size=2,
    max_size=5,
)


def same_truth(matrices):
    """Counts of another system on the same slides: what it took for what is turned round."""
    return [one[:, ::-1] for one in matrices]


@settings(deadline=None, max_examples=10)
@given(COUNTS_OF_SLIDES)
def test_systems_the_other_way_round_differ_by_as_much_the_other_way(matrices):
    one = System("A", "A", None, {f"s{n}": matrix for n, matrix in enumerate(matrices)})
    other = System("B", "B", None, {f"s{n}": matrix for n, matrix in enumerate(same_truth(matrices))})
    there, back = compare([one, other], NAMES), compare([other, one], NAMES)
    for name in ("p", "p_holm", "n", "n_nonzero", "statistic"):
        np.testing.assert_array_equal(there.comparisons[name], back.comparisons[name])
    for name in ("effect", "median_difference"):
        np.testing.assert_array_equal(there.comparisons[name], -back.comparisons[name])
    for name, turned in (("difference", "difference"), ("low", "high"), ("high", "low")):
        np.testing.assert_allclose(there.differences[name], -back.differences[turned], atol=1e-12)


def test_identical_systems_do_not_differ():
    twin = System("twin", "twin", None, GOOD.slides)
    result = compare([GOOD, twin], NAMES)
    assert (result.comparisons[["p", "p_holm"]] == 1).all(axis=None)
    assert (result.comparisons[["median_difference", "effect", "n_nonzero"]] == 0).all(axis=None)
    assert (result.differences[["difference", "low", "high"]] == 0).all(axis=None)
    assert result.claims["claim"].tolist() == [
        "p (Holm) 1 and the interval holds 0: not shown to differ; this does not show that they are equal"
    ]


def test_a_claim_stands_for_every_pair_by_system_or_by_experiment():
    result = compare([GOOD, POOR], NAMES)
    (row,) = result.claims.to_dict("records")
    wanted = macro(result.differences).iloc[0]
    assert (row["first"], row["second"], row["n"], row["patients"]) == ("HookNet", "U-Net", 6, 6)
    assert (row["difference"], row["low"], row["high"]) == tuple(wanted[["difference", "low", "high"]])
    assert (row["smallest_p"], row["smallest_p_holm"], row["p_holm"]) == (2 / 64, 2 / 64, 2 / 64)
    assert row["claim"] == (
        "p (Holm) 0.031 and the interval excludes 0: HookNet scores higher than U-Net on these patients' slides,"
        " under this training"
    )
    seeds = [System(f"HookNet #{n}", "hooknet", n, GOOD.slides) for n in (1, 2)]
    repeated = compare([*seeds, POOR], NAMES).claims
    assert repeated[["first", "second"]].values.tolist() == [["hooknet", "unet"]]
    assert repeated["claim"].iloc[0].endswith("on these patients' slides, on average over these trainings")


def test_the_comparison_of_two_systems_is_the_wilcoxon_test_of_their_slides():
    result = compare([GOOD, POOR], NAMES)
    row = result.comparisons.iloc[0]
    assert (row["first"], row["second"], row["n"], row["n_nonzero"]) == ("HookNet", "U-Net", 6, 6)
    assert row["p"] == pytest.approx(2 / 2**6)
    assert row["p"] == row["p_holm"]
    assert row["median_difference"] == pytest.approx(0.08)  # of .10 .03 .11 .01 .27 .06
    table = result.slide_scores.pivot(index="slide", columns="system", values="macro_f1")
    assert row["p"] == pytest.approx(stats.wilcoxon(table["HookNet"], table["U-Net"]).pvalue)


def test_every_pair_is_compared_once_and_p_is_adjusted_for_the_number_of_pairs():
    third = System("MRN", "mrn", None, slides([94, 91, 90, 90, 96, 98]))
    table = macro(compare([GOOD, POOR, third], NAMES).comparisons)
    assert list(zip(table["first"], table["second"], strict=True)) == [
        ("HookNet", "U-Net"),
        ("HookNet", "MRN"),
        ("U-Net", "MRN"),
    ]
    assert table["p_holm"].iloc[0] == pytest.approx(3 * 2 / 2**6)
    assert (table["p_holm"] >= table["p"]).all()


def test_only_slides_in_common_are_tested_and_the_reader_is_warned():
    fewer = System("U-Net", "unet", None, {k: v for k, v in POOR.slides.items() if k not in ("s0", "s4")})
    result = compare([GOOD, fewer], NAMES)
    assert macro(result.comparisons)["n"].tolist() == [4]
    assert result.comparisons["median_difference"].iloc[0] == pytest.approx(0.045)  # of .03 .11 .01 .06
    assert result.warnings == (
        "U-Net was tested on 4 of 6 slides (not on s0, s4): its pooled scores cannot be compared with those"
        " of the others",
    )


def test_slides_of_one_patient_are_told_apart_from_patients():
    patients = {f"s{i}": f"p{i // 2}" for i in range(6)}
    row = compare([GOOD, POOR], NAMES, patients).comparisons.iloc[0]
    assert (row["n"], row["patients"]) == (6, 3)


def test_systems_without_a_slide_in_common_have_no_p():
    other = System("U-Net", "unet", None, {"elsewhere": counts(1, 0, 0, 1)})
    row = compare([GOOD, other], NAMES).comparisons.iloc[0]
    assert (row["n"], row["method"]) == (0, "no pairs")
    assert math.isnan(row["p"])


def test_confusion_is_normalised_by_the_truth_and_keeps_the_pixels_without_a_prediction():
    result = compare([System("one", "one", None, {"s": counts(6, 2, 1, 9, a_none=2)})], NAMES)
    table = result.confusion.set_index(["truth", "predicted"])
    assert table.loc[("stroma", "(none)"), "share"] == pytest.approx(0.2)
    assert table.loc[("stroma", "stroma"), "share"] == pytest.approx(0.6)
    assert table.loc[("gland", "stroma"), "pixels"] == 1
    assert table.groupby("truth")["share"].sum().tolist() == pytest.approx([1, 1])
    assert result.warnings == (
        "one made no prediction on 2 of 20 annotated pixels (10 %); they count as missed",
    )


def test_each_seed_is_a_row_and_the_summary_is_their_mean_and_sample_deviation():
    first = System("HookNet #1", "hooknet", 1, slides([90] * 6))
    second = System("HookNet #2", "hooknet", 2, slides([94] * 6))
    result = compare([first, second, POOR], NAMES)
    row = result.summary.set_index(["experiment", "class"]).loc[("hooknet", "macro")]
    assert (row["seeds"], row["f1_mean"]) == (2, pytest.approx(0.92))
    assert row["f1_sd"] == pytest.approx(0.02 * math.sqrt(2))
    assert math.isnan(result.summary.set_index(["experiment", "class"]).loc[("unet", "macro"), "f1_sd"])
    seeds = result.scores.drop_duplicates("system")["seed"]
    assert seeds.tolist()[:2] == [1, 2]
    assert pd.isna(seeds.tolist()[2])


def test_experiments_are_compared_by_the_mean_over_seeds_of_each_slide():
    first = System("HookNet #1", "hooknet", 1, slides([95, 90, 91, 89, 97, 99]))
    second = System("HookNet #2", "hooknet", 2, slides([93, 92, 91, 91, 95, 97]))
    result = compare([first, second, POOR], NAMES)
    assert len(macro(result.comparisons)) == 3
    tested = macro(result.experiment_comparisons)
    assert tested[["first", "second", "n"]].values.tolist() == [["hooknet", "unet", 6]]
    # means .94 .91 .91 .90 .96 .98 less .85 .87 .80 .88 .70 .93
    assert result.experiment_comparisons["median_difference"].iloc[0] == pytest.approx(0.07)


def test_without_repeated_seeds_the_tables_over_seeds_are_empty():
    result = compare([GOOD, POOR], NAMES)
    assert result.summary.empty
    assert result.experiment_comparisons.empty


def test_slides_without_truth_are_in_no_test_and_named():
    bare = {"empty": np.zeros((2, 3), np.int64)}
    result = compare(
        [System("a", "a", None, {**GOOD.slides, **bare}), System("b", "b", None, {**POOR.slides, **bare})],
        NAMES,
    )
    assert macro(result.comparisons)["n"].tolist() == [6]
    assert result.warnings[0] == "a: no annotated pixels on empty; left out of tests per slide"


def test_a_class_without_truth_anywhere_is_named():
    result = compare([System("a", "a", None, {"s": counts(5, 1, 0, 0)})], NAMES)
    assert result.warnings == ("no test slide has truth of gland; left out of every macro F1",)
    assert result.scores.set_index("class").loc["macro", "f1"] == pytest.approx(10 / 11)


def test_folds_are_pooled_and_a_slide_in_two_of_them_is_an_error():
    folds = [{"a": counts(1, 0, 0, 1)}, {"b": counts(0, 1, 1, 0)}]
    assert list(pool_folds(folds, "HookNet")) == ["a", "b"]
    with pytest.raises(MaskError, match="HookNet: slide a was tested in two folds"):
        pool_folds([*folds, {"a": counts(1, 0, 0, 1)}], "HookNet")


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ([], "there are no systems"),
        ([GOOD, GOOD], "HookNet: two systems have this name"),
        (
            [GOOD, System("U-Net", "unet", None, {"s0": counts(1, 0, 0, 1)})],
            r"U-Net: slide s0 has \[1, 1\] annotated px per class, for HookNet it had \[100, 100\]",
        ),
        (
            [System("a", "a", None, {"s": np.zeros((3, 4), np.int64)})],
            r"a: slide s has counts \(3, 4\) for 2",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(systems, message):
    with pytest.raises(MaskError, match=message):
        compare(systems, NAMES)


def test_a_system_without_test_slides_has_a_row_of_nothing_and_a_warning():
    result = compare([GOOD, System("idle", "idle", None, {})], NAMES)
    idle = result.scores[result.scores["system"] == "idle"]
    assert idle["f1"].isna().all()
    assert idle["support"].tolist() == [0, 0, 0, 0]
    assert result.comparisons.empty
    assert result.warnings[0].startswith("idle was tested on 0 of 6 slides")
