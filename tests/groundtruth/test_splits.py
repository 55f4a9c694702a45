import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.groundtruth.splits import make_splits

SHARES = {"training": 0.6, "validation": 0.2, "test": 0.2}


def cohort(slides, classes, seed, per_patient=3):
    rng = np.random.default_rng(seed)
    patients = {
        f"s{number}": f"p{rng.integers(0, max(1, slides // per_patient))}" for number in range(slides)
    }
    areas = {slide: (rng.random(classes) ** 4 * 1e6).tolist() for slide in patients}
    return patients, areas


@given(slides=st.integers(1, 60), classes=st.integers(1, 4), seed=st.integers(0, 99), folds=st.integers(2, 5))
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
