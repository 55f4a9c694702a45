import itertools
import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooknet.config.sides import Side, split_in_run
from hooknet.groundtruth.splits import make_folds, make_splits, quotas

SHARES = {"training": 0.6, "validation": 0.2, "test": 0.2}


def cohort(slides, classes, seed, per_patient=3):
    rng = np.random.default_rng(seed)
    patients = {
        f"s{number}": f"p{rng.integers(0, max(1, slides // per_patient))}" for number in range(slides)
    }
    areas = {slide: (rng.random(classes) ** 4 * 1e6).tolist() for slide in patients}
    return patients, areas


@settings(max_examples=20)
@given(slides=st.integers(1, 40), classes=st.integers(1, 4), seed=st.integers(0, 99), folds=st.integers(2, 5))
def test_patients_stay_whole_and_no_side_is_empty_as_long_as_there_are_enough(slides, classes, seed, folds):
    patients, areas = cohort(slides, classes, seed)
    shares = {str(fold): 1 / folds for fold in range(folds)}
    assigned = make_splits(patients, areas, shares, seed)
    assert list(assigned) == list(patients)
    side = {}
    for slide, patient in patients.items():
        assert side.setdefault(patient, assigned[slide]) == assigned[slide]
    assert len(set(assigned.values())) == min(folds, len(set(patients.values())))


def test_the_same_seed_gives_the_same_splits():
    patients, areas = cohort(40, 3, 1)
    assert make_splits(patients, areas, SHARES, 1) == make_splits(patients, areas, SHARES, 1)


def test_the_seed_settles_ties():
    patients = {f"s{number}": f"s{number}" for number in range(12)}
    areas = {slide: [1.0] for slide in patients}
    assert len({tuple(make_splits(patients, areas, SHARES, seed).values()) for seed in range(6)}) > 1


def test_slides_and_every_class_come_near_their_shares():
    patients, areas = cohort(120, 3, 0, per_patient=2)
    assigned = make_splits(patients, areas, SHARES, 1)
    table = np.array([[1.0, *areas[slide]] for slide in patients])
    table /= table.sum(axis=0)
    for side, share in SHARES.items():
        got = table[[assigned[slide] == side for slide in patients]].sum(axis=0)
        np.testing.assert_allclose(got, share, atol=0.05)


def test_a_rare_class_reaches_every_side():
    # Three slides of thirty have class 2: one for each fold.
    patients = {f"s{number}": f"s{number}" for number in range(30)}
    areas = {slide: [100.0, 10.0 if number in (3, 11, 28) else 0.0] for number, slide in enumerate(patients)}
    assigned = make_splits(patients, areas, {"0": 1 / 3, "1": 1 / 3, "2": 1 / 3}, 5)
    assert {assigned[slide] for slide in ("s3", "s11", "s28")} == {"0", "1", "2"}
    assert sorted(list(assigned.values()).count(fold) for fold in "012") == [10, 10, 10]


def test_a_class_without_area_does_not_disturb():
    patients = {f"s{number}": f"s{number}" for number in range(6)}
    assigned = make_splits(patients, {slide: [1.0, 0.0] for slide in patients}, {"a": 0.5, "b": 0.5}, 0)
    assert sorted(assigned.values()) == ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_patients_than_sides_are_still_placed(count):
    patients = {f"s{number}": f"s{number}" for number in range(count)}
    assigned = make_splits(patients, {slide: [1.0] for slide in patients}, SHARES, 0)
    assert len(set(assigned.values())) == count


@pytest.mark.parametrize("number", range(10))
def test_a_division_in_which_every_side_has_every_class_is_found(number):
    # 12 patients, 5 classes of 4 patients each; one division is planted: 0 and 1 test, 2 and 3 validate.
    rng = np.random.default_rng(number)
    areas = {f"s{patient}": [0.0] * 5 for patient in range(12)}
    for one in range(5):
        for patient in (
            rng.integers(0, 2),
            rng.integers(2, 4),
            *rng.choice(np.arange(4, 12), 2, replace=False),
        ):
            areas[f"s{patient}"][one] = float(rng.uniform(1, 3))
    shares = {"training": 0.6, "validation": 0.2, "test": 0.2}
    sides = make_splits({slide: slide for slide in areas}, areas, shares, seed=1)
    for side in shares:
        found = np.sum([areas[slide] for slide in areas if sides[slide] == side], axis=0)
        assert (found > 0).all(), (side, found)


def one_each(count, classes, seed, share=0.5):
    """A slide a patient; every class on about that share of the slides."""
    rng = np.random.default_rng(seed)
    patients = {f"s{number}": f"p{number}" for number in range(count)}
    areas = {slide: (rng.random(classes) * (rng.random(classes) < share)).tolist() for slide in patients}
    return patients, areas


@pytest.mark.parametrize(
    ("total", "shares", "wanted"),
    [
        (86, [0.5814, 0.2093, 0.2093], [50, 18, 18]),
        (27, [1 / 3] * 3, [9, 9, 9]),
        (28, [1 / 3] * 3, [10, 9, 9]),
        (10, [0.6, 0.2, 0.2], [6, 2, 2]),
        (10, [0.55, 0.25, 0.2], [6, 2, 2]),
        (7, [3, 2, 2], [3, 2, 2]),
        (5, [0.98, 0.01, 0.01], [3, 1, 1]),
        (2, [0.6, 0.2, 0.2], [1, 1, 0]),
        (0, [0.5, 0.5], [0, 0]),
    ],
)
def test_quotas_go_by_the_largest_remainder_and_leave_nobody_without(total, shares, wanted):
    assert quotas(total, shares) == wanted


@given(total=st.integers(0, 500), shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=9))
def test_quotas_add_up_and_miss_their_share_by_less_than_one_where_that_can_be(total, shares):
    found = quotas(total, shares)
    exact = np.array(shares) / sum(shares) * total
    assert sum(found) == total
    if exact.min() >= 1:
        assert np.abs(found - exact).max() < 1
    if total >= len(shares):
        assert min(found) >= 1


@settings(max_examples=15)
@given(
    count=st.integers(3, 40),
    classes=st.integers(1, 5),
    seed=st.integers(0, 999),
    shares=st.tuples(*[st.floats(0.05, 1)] * 3),
)
def test_numbers_of_slides_are_met_exactly_with_a_slide_a_patient(count, classes, seed, shares):
    patients, areas = one_each(count, classes, seed)
    names = dict(zip(SHARES, np.array(shares) / sum(shares), strict=True))
    found = Counter(make_splits(patients, areas, names, seed).values())
    assert [found[name] for name in names] == quotas(count, list(names.values()))


@settings(max_examples=15)
@given(kinds=st.lists(st.integers(3, 9), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_every_class_with_as_many_patients_as_sides_is_on_every_side(kinds, seed):
    # Slides of one class each, the hardest: every slide spreads one class only.
    kind = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(kinds)), kinds))
    areas = {f"s{number}": np.eye(len(kinds))[one].tolist() for number, one in enumerate(kind)}
    sides = make_splits({slide: slide for slide in areas}, areas, {"a": 1, "b": 1, "c": 1}, seed)
    for side in "abc":
        assert {int(np.argmax(areas[slide])) for slide in areas if sides[slide] == side} == set(
            range(len(kinds))
        )


@settings(max_examples=10)
@given(count=st.integers(6, 24), seed=st.integers(0, 99), order=st.randoms(use_true_random=False))
def test_the_order_of_the_slides_in_the_sheet_changes_nothing(count, seed, order):
    patients, areas = cohort(count, 3, seed)
    slides = list(patients)
    order.shuffle(slides)
    moved = {slide: patients[slide] for slide in slides}
    assert make_splits(moved, areas, SHARES, 3) == make_splits(patients, areas, SHARES, 3)
    assert make_folds(moved, areas, 2, 0.4, 3) == make_folds(patients, areas, 2, 0.4, 3)


@pytest.mark.parametrize("seed", range(15))
def test_numbers_then_classes_are_as_near_as_any_division_comes(seed):
    # Few patients of several slides: all divisions can be looked at.
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, rng.integers(3, 7))
    patients = {f"s{one}_{number}": f"p{one}" for one, size in enumerate(sizes) for number in range(size)}
    holds = rng.random((len(sizes), 3)) < 0.6
    areas = {
        slide: (holds[int(name[1:])] * rng.uniform(1, 5, 3)).tolist() for slide, name in patients.items()
    }
    wanted = quotas(len(patients), list(SHARES.values()))

    def badness(sides):
        sides = np.array(sides)
        off = [abs(sizes[sides == side].sum() - wanted[side]) for side in range(3)]
        missing = [
            holds[:, one].any() and not holds[sides == side, one].any()
            for side in range(3)
            for one in range(3)
        ]
        return len(set(range(3)) - set(sides.tolist())), sum(off), sum(missing)

    names = list(SHARES)
    made = make_splits(patients, areas, SHARES, seed)
    found = {name: names.index(made[slide]) for slide, name in patients.items()}
    best = min(map(badness, itertools.product(range(3), repeat=len(sizes))))
    assert badness([found[f"p{one}"] for one in range(len(sizes))]) == best


def test_numbers_that_patients_do_not_allow_are_told(caplog):
    patients = {f"s{number}": f"p{number // 2}" for number in range(6)}
    areas = {slide: [1.0] for slide in patients}
    with caplog.at_level(logging.WARNING):
        make_splits(patients, areas, {"a": 0.5, "b": 0.5}, 0)
    assert [one.message for one in caplog.records] == [
        "with whole patients not all numbers of slides were met: a: 2 instead of 3, b: 4 instead of 3"
    ] or [one.message for one in caplog.records] == [
        "with whole patients not all numbers of slides were met: a: 4 instead of 3, b: 2 instead of 3"
    ]
    caplog.clear()
    make_splits(patients, areas, {"a": 1, "b": 2}, 0)
    assert not caplog.records


def counts_of_runs(sides, folds):
    found = []
    for testing in range(folds):
        splits = [split_in_run(one, testing, tuple(range(folds)), True) for one in sides.values()]
        found.append(tuple(splits.count(one) for one in ("training", "validation", "test")))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_three_folds_of_27_slides_are_12_training_6_validation_9_test(seed):
    patients, areas = one_each(27, 4, seed, share=0.9)
    sides = make_folds(patients, areas, 3, 0.3333, seed)
    assert counts_of_runs(sides, 3) == [(12, 6, 9)] * 3
    for testing in range(3):
        for wanted in ("training", "validation"):
            seen = [
                slide for slide in sides if split_in_run(sides[slide], testing, (0, 1, 2), True) == wanted
            ]
            assert (np.sum([areas[slide] for slide in seen], axis=0) > 0).all()


@settings(max_examples=15)
@given(
    folds=st.integers(2, 4), per_fold=st.integers(2, 7), share=st.floats(0.05, 0.95), seed=st.integers(0, 99)
)
def test_folds_are_equal_and_give_validation_its_share(folds, per_fold, share, seed):
    patients, areas = one_each(folds * per_fold, 2, seed)
    sides = make_folds(patients, areas, folds, share, seed)
    assert list(sides) == list(patients)
    everyone = folds * per_fold
    validating = Counter(one.fold for one in sides.values() if one.split == "validation")
    assert Counter(one.fold for one in sides.values()) == dict.fromkeys(range(folds), per_fold)
    assert max(validating.values()) - min(validating.values()) <= 1
    assert all(1 <= validating[fold] <= per_fold - 1 for fold in range(folds))
    if folds <= share * everyone <= everyone - folds:
        assert abs(sum(validating.values()) - share * everyone) < 1


@settings(max_examples=10)
@given(slides=st.integers(12, 30), seed=st.integers(0, 99))
def test_folds_with_validators_keep_patients_whole(slides, seed):
    patients, areas = cohort(slides, 3, seed)
    sides = make_folds(patients, areas, 2, 0.5, seed)
    first = {}
    for slide, patient in patients.items():
        assert sides[first.setdefault(patient, slide)] == sides[slide]


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_four_patients_trains_and_validates_in_every_run_of_three_folds(seed):
    # It cannot be on all six sides; but each run has to see it in training and in validation.
    patients, areas = one_each(27, 1, seed, share=1.0)
    rare = set(np.random.default_rng(seed).permutation(list(patients))[:4])
    areas = {slide: [*areas[slide], float(slide in rare)] for slide in patients}
    sides = make_folds(patients, areas, 3, 1 / 3, seed)
    assert counts_of_runs(sides, 3) == [(12, 6, 9)] * 3
    for testing in range(3):
        splits = {split_in_run(sides[slide], testing, (0, 1, 2), True) for slide in rare}
        assert splits >= {"training", "validation"}


def test_sides_of_folds_say_their_split():
    patients, areas = one_each(4, 1, 0, share=1.0)
    assert sorted(map(str, make_folds(patients, areas, 2, 0.5, 1).values())) == sorted(
        str(Side(split, fold)) for split in ("training", "validation") for fold in (0, 1)
    )
