from __future__ import annotations

import numpy as np
import pytest

from hooknet.evaluation.intervals import intervals
from hooknet.evaluation.system import System

NAMES = ("one", "two")


def counts(right):
    return np.array([[0, right, 100 - right], [0, 100 - right, right]])


def system(name, experiment, rights):
    return System(name, experiment, None, {f"s{number}": counts(one) for number, one in enumerate(rights)})


SYSTEMS = [
    system("a-seed1", "a", [90, 80, 70, 60]),
    system("a-seed2", "a", [80, 70, 60, 50]),
    system("b", "b", [70, 60, 50, 40]),
]
PATIENTS = {"s0": "p0", "s1": "p0", "s2": "p1", "s3": "p2"}


def test_scores_are_means_over_seeds_of_pooled_counts():
    table, _ = intervals(SYSTEMS, NAMES, PATIENTS)
    macro = table[table["class"] == "macro"].set_index("experiment")
    assert macro.loc["a", "f1"] == pytest.approx(0.70)  # 75 % and 65 % right
    assert macro.loc["b", "f1"] == pytest.approx(0.55)
    assert (table["patients"] == 3).all()
    assert list(table["class"]) == ["one", "two", "macro"] * 2


def test_ends_of_an_interval_are_cohorts_of_one_patient_where_there_are_few():
    # Patient 0 has two slides, which count twice as much: alone 80 %, patient 2 alone 55 %.
    table, _ = intervals(SYSTEMS, NAMES, PATIENTS)
    row = table[(table["class"] == "macro") & (table["experiment"] == "a")].iloc[0]
    assert row["low"] == pytest.approx(0.55)
    assert row["high"] == pytest.approx(0.80)


def test_a_constant_difference_has_an_interval_of_no_width_although_scores_vary():
    table, differences = intervals(SYSTEMS, NAMES, PATIENTS)
    row = differences.iloc[0]
    assert (row["first"], row["second"], row["class"]) == ("a", "b", "macro")
    assert (row.difference, row.low, row.high) == pytest.approx((0.15, 0.15, 0.15))
    macro = table[table["class"] == "macro"]
    assert (macro["high"] - macro["low"] > 0.1).all()


def test_slides_that_one_system_lacks_are_left_out_of_all():
    fewer = System("c", "c", None, {"s0": counts(50), "s2": counts(50)})
    table, _ = intervals([SYSTEMS[0], fewer], NAMES, PATIENTS)
    row = table[(table["class"] == "macro") & (table["experiment"] == "a")].iloc[0]
    assert row["f1"] == pytest.approx(0.80)  # 90 % and 70 %
    assert row["patients"] == 2


def test_one_patient_has_no_interval():
    table, differences = intervals(SYSTEMS, NAMES, dict.fromkeys(PATIENTS, "p"))
    assert table.empty
    assert differences.empty


def test_the_same_counts_give_the_same_interval():
    first, second = (intervals(SYSTEMS, NAMES, PATIENTS)[0] for _ in range(2))
    assert first.equals(second)


def test_every_class_has_a_difference_after_macro():
    table, differences = intervals(SYSTEMS, NAMES, PATIENTS)
    assert differences["class"].tolist() == ["macro", "one", "two"]
    scores = table.set_index(["experiment", "class"])["f1"]
    for _, row in differences.iterrows():
        wanted = scores["a", row["class"]] - scores["b", row["class"]]
        assert row["difference"] == pytest.approx(wanted)
        assert row["low"] <= row["difference"] <= row["high"]


def test_a_class_without_truth_has_no_difference():
    only = np.array([[0, 90, 10], [0, 0, 0]])
    systems = [System(name, name, None, {"s0": only, "s2": only}) for name in "ab"]
    _, differences = intervals(systems, NAMES, PATIENTS)
    rows = differences.set_index("class")[["difference", "low", "high"]]
    assert rows.loc["two"].isna().all()
    assert (rows.loc["macro"] == 0).all()


def test_the_order_of_slides_does_not_matter():
    turned = [
        System(one.name, one.experiment, one.seed, dict(reversed(one.slides.items()))) for one in SYSTEMS
    ]
    for table, other in zip(
        intervals(SYSTEMS, NAMES, PATIENTS), intervals(turned, NAMES, PATIENTS), strict=True
    ):
        assert table.equals(other)


def test_a_third_experiment_on_few_slides_changes_no_other_pair():
    patients = {f"s{number}": f"p{number}" for number in range(8)}
    a, b = system("a", "a", range(90, 74, -2)), system("b", "b", range(70, 86, 2))
    few = System("c", "c", None, {name: counts(50) for name in ("s0", "s1")})
    _, alone = intervals([a, b], NAMES, patients)
    _, beside = intervals([a, b, few], NAMES, patients)
    assert beside[(beside["first"] == "a") & (beside["second"] == "b")].reset_index(drop=True).equals(alone)
    others = beside[beside["second"] == "c"]
    assert set(others["patients"]) == {2}
    # 90 and 88 % right against 50 %
    macro = others[(others["first"] == "a") & (others["class"] == "macro")]
    assert macro["difference"].tolist() == [pytest.approx(0.39)]
