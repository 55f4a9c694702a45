import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System
from hooknet.report import difference_tables, score_tables, tables
from hooknet.report.data import ReportSystem

NAMES = ("gland", "a|b")


def result(*, seeds=False, grades=None):
    def one(right):
        return np.array([[0, right, 100 - right], [0, 100 - right, right]], np.int64)

    first = System("HookNet", "hooknet", 1 if seeds else None, {"s1": one(90), "s2": one(80)})
    second = System("U-Net", "hooknet" if seeds else "unet", 2, {"s1": one(70), "s2": one(85)})
    return compare([first, second], NAMES, {"s1": "p", "s2": "p"}, grades)


SYSTEMS = (
    ReportSystem("HookNet", "hooknet", (0.5, 8.0), 0.75, 50_000_000, {"patch": "284 px", "hook": "4"}),
    ReportSystem("U-Net", "unet", (0.2431,), settings={"patch": "252 px"}),
)


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_score_table_is_the_papers_table():
    table = score_tables.score_table(SYSTEMS, result())
    assert table.columns == ("System", "Model", "Spacings (µm/px)", "λ", "gland", "a|b", "macro F1")
    assert texts(table) == [
        ["HookNet", "hooknet", "0.5, 8", "0.75", "0.850", "0.850", "0.850"],
        ["U-Net", "unet", "0.2431", "–", "0.775", "0.775", "0.775"],
    ]
    assert [[cell.best for cell in row[3:]] for row in table.rows] == [[False, True, True, True], [False] * 4]


def test_other_scores_can_stand_in_the_same_table():
    table = score_tables.score_table(SYSTEMS, result(), "recall")
    assert table.columns[-1] == "macro recall"
    assert texts(table)[1][4:] == ["0.775", "0.775", "0.775"]


def test_values_that_read_the_same_are_all_best_unless_the_whole_column_is_equal():
    rows = [
        tuple(tables.number(value) for value in (0, 0, 0, 0, *row))
        for row in ([0.90001, 0.5], [0.9, 0.5], [0.8, 0.5])
    ]
    marked = score_tables.mark_columns(rows)
    assert [row[4].best for row in marked] == [True, True, False]
    assert [row[5].best for row in marked] == [False, False, False]


def test_a_missing_score_is_a_dash_and_never_the_best():
    marked = tables.mark([tables.number(float("nan")), tables.number(0.2), tables.number(0.3)])
    assert [(one.text, one.best) for one in marked] == [("–", False), ("0.200", False), ("0.300", True)]


def test_one_system_alone_is_not_the_best():
    assert not tables.mark([tables.number(0.9)])[0].best


def test_a_system_that_was_not_described_still_has_its_scores():
    table = score_tables.score_table(SYSTEMS[:1], result())
    assert texts(table)[1][:4] == ["U-Net", "–", "–", "–"]


def test_details_end_with_the_averages():
    table = score_tables.detail_table(result(), "U-Net")
    assert [row[0] for row in texts(table)] == ["gland", "a|b", "macro average", "micro average"]
    assert texts(table)[0] == ["gland", "0.775", "0.775", "0.775", f"{155 / 245:.3f}", "200", "50.0 %"]


def test_the_slide_table_marks_the_best_of_each_slide():
    table = score_tables.slide_table(result(), patients=True)
    assert table.columns == ("Slide", "Patient", "Annotated px", "Classes on it", "HookNet", "U-Net")
    assert texts(table) == [
        ["s1", "p", "200", "2 of 2", "0.900", "0.700"],
        ["s2", "p", "200", "2 of 2", "0.800", "0.850"],
    ]
    assert [[cell.best for cell in row[4:]] for row in table.rows] == [[True, False], [False, True]]


def test_the_slide_table_tells_of_no_patient_unless_it_is_asked_to():
    table = score_tables.slide_table(result(), patients=False)
    assert "Patient" not in table.columns
    assert texts(table)[0] == ["s1", "200", "2 of 2", "0.900", "0.700"]


def test_a_class_that_a_slide_lacks_is_counted_out_and_makes_its_score_neither_0_nor_1():
    counts = np.array([[0, 90, 10], [0, 0, 0]], np.int64)
    table = score_tables.slide_table(compare([System("a", "a", None, {"s": counts})], NAMES), patients=False)
    # F1 of the one class there: 2 * 90 / (100 + 90)
    assert texts(table) == [["s", "100", "1 of 2", f"{180 / 190:.3f}"]]


def test_the_counts_behind_a_matrix_are_whole_numbers():
    table = score_tables.confusion_table(result(), "U-Net")
    assert table.columns == ("Annotated", "gland", "a|b", "no prediction")
    assert texts(table) == [["gland", "155", "45", "0"], ["a|b", "45", "155", "0"]]


def test_the_test_table_says_what_was_compared_and_how():
    rows = texts(difference_tables.wilcoxon_table(result().comparisons))
    # differences .20 and -.05: ranks 2 and 1, so the effect is (2 - 1) / 3
    assert rows[0] == [
        "HookNet − U-Net",
        "macro F1",
        "2",
        "1",
        "2",
        "+0.075",
        "+0.333",
        "1.000",
        "1.000",
        "exact",
    ]
    assert [row[1] for row in rows] == ["macro F1", *NAMES]


def test_claims_say_what_so_few_slides_allow():
    table = difference_tables.claims_table(result())
    row = texts(table)[0]
    assert row[:3] == ["HookNet − U-Net", "2", "1"]
    assert row[4] == "0.500"  # two slides: 2 / 2^2
    assert "no p below 0.5" in row[-1]


def test_differences_have_a_column_for_macro_f1_and_each_class():
    def system(name, right):
        counts = np.array([[0, right, 100 - right], [0, 0, 100]], np.int64)
        return System(name, name, None, {f"s{at}": counts for at in range(3)})

    found = compare([system("a", 90), system("b", 80)], NAMES)
    table = difference_tables.difference_table(found)
    assert table.columns == ("Pair", "macro F1", *NAMES)
    gland = 180 / 190 - 160 / 180
    assert texts(table)[0][2] == f"{gland:+.3f} [{gland:+.3f}, {gland:+.3f}]"


@pytest.mark.parametrize(("patients", "warned"), [(4, True), (5, False)])
def test_intervals_over_very_few_patients_are_not_to_be_relied_on(patients, warned):
    counts = np.array([[0, 90, 10], [0, 10, 90]], np.int64)
    slides = {f"s{at}": counts for at in range(patients)}
    found = compare([System(name, name, None, slides) for name in ("a", "b")], NAMES)
    for table in (score_tables.interval_table(found), difference_tables.difference_table(found)):
        assert ("do not rely on them" in table.caption) == warned


def test_means_over_slides_have_a_table_per_class_with_grades_where_they_are_asked_for():
    # Of both classes recall and precision are equal: .90 and .80, then .70 and .85.
    gland, other = score_tables.over_slides_tables(result(), graded=False)
    assert gland.columns == ("System", "Slides", "Recall", "Precision", "Dice")
    assert texts(gland) == texts(other) == [
        ["HookNet", "2", *["0.850 ± 0.071"] * 3],
        ["U-Net", "2", *["0.775 ± 0.106"] * 3],
    ]  # fmt: skip
    assert gland.caption == "gland: mean ± sample standard deviation over slides."
    assert score_tables.over_slides_tables(result(), graded=True) == ()
    table = score_tables.over_slides_tables(result(grades={"s1": "III"}), graded=True)[1]
    assert table.columns == ("System", "Grade", "Slides", "Recall", "Precision", "Dice")
    assert texts(table) == [
        ["HookNet", "III", "1", *["0.900"] * 3],
        ["U-Net", "III", "1", *["0.700"] * 3],
    ]


def test_a_mean_that_is_not_defined_is_a_dash():
    missed = np.array([[0, 0, 10], [0, 0, 10]], np.int64)
    found = compare([System("a", "a", None, {"s": missed})], NAMES)
    assert texts(score_tables.over_slides_tables(found, graded=False)[0]) == [
        ["a", "1", "0.000", "–", "0.000"]
    ]


def test_tukeys_test_stands_beside_the_paired_one():
    table = difference_tables.tukey_table(result())
    row = texts(table)[0]
    assert row[:4] == ["gland", "HookNet − U-Net", "2", "2"]
    # .85 and .775, variances .005 and .01125, 2 degrees of freedom: Student's t where there are two systems
    error = np.sqrt((0.005 + 0.01125) / 2)
    reach = stats.t.ppf(0.975, 2) * error
    assert row[4] == f"+0.075 [{0.075 - reach:+.3f}, {0.075 + reach:+.3f}]".replace("-", "−")
    assert row[5:] == [f"{2 * stats.t.sf(0.075 / error, 2):.3f}", "1.000"]
    assert [one[0] for one in texts(table)] == list(NAMES)


def test_tukeys_table_is_of_experiments_and_has_dashes_where_nothing_varies():
    def seed(name, experiment, right):
        counts = np.array([[0, right, 100 - right], [0, 100 - right, right]], np.int64)
        return System(name, experiment, 1, {"s1": counts, "s2": counts})

    found = compare([seed("a 1", "a", 90), seed("a 2", "a", 80), seed("b", "b", 80)], NAMES)
    row = texts(difference_tables.tukey_table(found))[0]
    assert row == ["gland", "a − b", "2", "2", "+0.050", "–", "1.000"]


def test_the_summary_gives_mean_and_deviation_over_seeds():
    row = texts(score_tables.summary_table(result(seeds=True)))[0]
    assert row[:2] == ["hooknet", "2"]
    assert row[-1] == f"0.812 ± {0.075 / np.sqrt(2):.3f}"


def test_settings_stand_side_by_side_with_dashes_for_what_a_system_lacks():
    table = tables.settings_table(SYSTEMS)
    assert table.columns == ("Setting", "HookNet", "U-Net")
    assert texts(table) == [["patch", "284 px", "252 px"], ["hook", "4", "–"]]


@pytest.mark.parametrize(
    ("p", "text"), [(0.0009, "< 0.001"), (0.001, "0.001"), (0.719, "0.719"), (float("nan"), "–")]
)
def test_p_values_below_a_thousandth_are_said_to_be(p, text):
    assert tables.p_value(p) == text


def test_differences_carry_their_sign():
    assert [tables.signed(one) for one in (0.08, -0.08, float("nan"))] == ["+0.080", "−0.080", "–"]


def test_any_frame_becomes_a_table_with_dashes_for_what_is_missing():
    frame = pd.DataFrame({"slide": ["a", None], "fold": [1, 2], "spacing": [0.2431, float("nan")]})
    table = tables.frame_table(frame)
    assert texts(table) == [["a", "1", "0.2431"], ["–", "2", "–"]]
    assert [cell.number for cell in table.rows[0]] == [False, True, True]


def trained(*rows, **columns):
    """Curves whose share of the first class at each epoch is given."""
    shares = np.array(rows)
    table = {"epoch": np.arange(1, len(rows) + 1), "share_gland": shares, "share_a|b": 1 - shares}
    return pd.DataFrame(table | columns)


def test_the_shares_of_pixels_are_those_of_each_trainings_last_epoch_beside_equal_shares():
    folds = pd.concat([trained(0.9, 0.5125, fold=1), trained(0.25, 0.4, 0.49, fold=2)])
    systems = [
        ReportSystem("a", "unet", (0.5,), curves=trained(0.75, 0.666)),
        ReportSystem("b", "unet", (1.0,), curves=folds),
        ReportSystem("older", "unet", (2.0,), curves=pd.DataFrame({"epoch": [1], "loss": [0.3]})),
        ReportSystem("not trained", "unet", (4.0,)),
    ]
    table = score_tables.shown_table(systems, NAMES)
    assert table.columns == ("System", "Fold", "gland", "a|b", "Equal share")
    assert texts(table) == [
        ["a", "–", "66.6 %", "33.4 %", "50.0 %"],
        ["b", "1", "51.2 %", "48.8 %", "50.0 %"],
        ["b", "2", "49.0 %", "51.0 %", "50.0 %"],
    ]
    assert [cell.number for cell in table.rows[0]] == [False, False, True, True, True]


def test_a_fold_that_did_not_record_its_shares_is_left_out():
    older = pd.DataFrame({"epoch": [1, 2], "loss": [0.3, 0.2], "fold": 1})
    system = ReportSystem("a", "unet", (0.5,), curves=pd.concat([older, trained(0.5, fold=2)]))
    assert [row[1] for row in texts(score_tables.shown_table([system], NAMES))] == ["2"]


def test_without_recorded_shares_there_is_no_table_of_them():
    older = ReportSystem("a", "unet", (0.5,), curves=pd.DataFrame({"epoch": [1], "loss": [0.3]}))
    assert score_tables.shown_table([older, *SYSTEMS], NAMES) is None
