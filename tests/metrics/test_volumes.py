from __future__ import annotations

from itertools import permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hooknet.metrics.volumes import VolumeScore, box_around, score_volume, surface

SIZE = (0.5, 1.25, 8.0)  # of a voxel: x, y, z in mm
LABELS = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)), elements=st.integers(0, 2)
)


def box(z, y, x, shape=(12, 14, 16)):
    """Class 1 in a box of slices, 2 around it."""
    labels = np.full(shape, 2, np.uint8)
    labels[z, y, x] = 1
    return labels


def listed(labels, annotated, value=1):
    """The surface voxels (z, y, x) of the definition, one by one."""
    found = []
    for place in np.argwhere((labels == value) & annotated):
        for axis in range(3):
            for step in (-1, 1):
                other = place.copy()
                other[axis] += step
                if (other < 0).any() or (other >= labels.shape).any():
                    continue
                if annotated[tuple(other)] and labels[tuple(other)] != value:
                    found.append(tuple(place.tolist()))
    return sorted(set(found))


@pytest.mark.parametrize("shift", [1, 3])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_that_is_moved_is_off_by_its_way_in_millimetres(axis, shift):
    truth, prediction = (np.full((10, 11, 12), 2, np.uint8) for _ in range(2))
    np.moveaxis(truth, axis, 0)[:4] = 1
    np.moveaxis(prediction, axis, 0)[: 4 + shift] = 1
    seen = score_volume(truth, prediction, 1, SIZE)
    across = truth.size // truth.shape[axis]
    assert (seen.tp, seen.fp, seen.fn) == (4 * across, shift * across, 0)
    assert seen.truth_surface == seen.prediction_surface == across
    assert seen.hd95_mm == pytest.approx(shift * SIZE[2 - axis])
    assert seen.dice == pytest.approx(8 / (8 + shift))
    assert (seen.precision, seen.recall) == (pytest.approx(4 / (4 + shift)), 1)


def test_two_boxes_that_are_moved_along_the_slices():
    # 4 slices of 6 x 8 voxels, moved by 2 slices of 8 mm: half of each lies in the other.
    truth = box(slice(2, 6), slice(4, 10), slice(4, 12))
    prediction = box(slice(4, 8), slice(4, 10), slice(4, 12))
    seen = score_volume(truth, prediction, 1, SIZE)
    assert (seen.tp, seen.fp, seen.fn) == (96, 96, 96)
    assert (seen.dice, seen.iou, seen.precision, seen.recall) == (0.5, pytest.approx(1 / 3), 0.5, 0.5)
    # All but the 2 slices of 4 x 6 voxels inside.
    assert seen.truth_surface == seen.prediction_surface == 4 * 48 - 2 * 24
    # The face of 6 x 8 voxels is two slices from the other's, the ring of the next slice one; what lies in the other is
    # at its sides or near them.
    there = distances_by_hand(truth, prediction)
    assert np.count_nonzero(there == 16) == 48
    assert np.count_nonzero(there == 8) == 24
    assert there.max() == 16
    assert seen.hd95_mm == 16
    assert seen.note == ""


def distances_by_hand(truth, prediction, size=SIZE, value=1):
    """All distances at once, from each surface voxel of the truth to the nearest of the prediction's."""
    mine, theirs = (np.array(listed(one, truth != 0, value)).reshape(-1, 3) for one in (truth, prediction))
    steps = np.array(size[::-1])
    return np.sqrt((((mine[:, None] - theirs[None]) * steps) ** 2).sum(axis=2)).min(axis=1)


def test_single_voxels_are_as_far_off_as_their_centres():
    truth = box(slice(3, 4), slice(5, 6), slice(2, 3))
    prediction = box(slice(4, 5), slice(8, 9), slice(6, 7))
    seen = score_volume(truth, prediction, 1, SIZE)
    assert (seen.tp, seen.fp, seen.fn, seen.truth_surface, seen.prediction_surface) == (0, 1, 1, 1, 1)
    assert seen.hd95_mm == pytest.approx(np.hypot(np.hypot(4 * 0.5, 3 * 1.25), 8.0))
    assert (seen.dice, seen.iou, seen.precision, seen.recall) == (0, 0, 0, 0)
    assert not seen.unpredicted


def test_a_prediction_that_is_too_small_is_not_at_distance_0():
    # From surface to region, all of a smaller box would lie in the larger.
    truth = box(slice(2, 11), slice(2, 11), slice(2, 11))
    prediction = box(slice(4, 9), slice(4, 9), slice(4, 9))
    seen = score_volume(truth, prediction, 1, (1.0, 1.0, 1.0))
    back = distances_by_hand(prediction, truth, (1.0, 1.0, 1.0))
    assert set(back) == {2.0}
    # Of the larger one's 386 surface voxels 8 corners are sqrt(12) away and 24 beside them 3: 8 % at 3 or more.
    assert seen.hd95_mm == 3


@settings(deadline=None, max_examples=60)
@given(LABELS, LABELS)
def test_scores_are_those_of_all_voxels_and_all_distances(truth, prediction):
    prediction = np.resize(prediction, truth.shape)
    seen = score_volume(truth, prediction, 1, SIZE)
    known = truth != 0
    mine, theirs = truth == 1, (prediction == 1) & known
    voxels = [one.sum() for one in (mine & theirs, theirs & ~mine, mine & ~theirs)]
    assert [seen.tp, seen.fp, seen.fn] == voxels
    there, back = (listed(one, known) for one in (truth, prediction))
    assert (seen.truth_surface, seen.prediction_surface) == (len(there), len(back))
    if not there or not back:
        assert isnan(seen.hd95_mm)
        assert seen.note
        return
    apart = (np.array(there)[:, None] - np.array(back)[None]) * np.array(SIZE[::-1])
    distance = np.sqrt((apart**2).sum(axis=2))
    ways = [np.percentile(distance.min(axis=axis), 95) for axis in (0, 1)]
    assert seen.hd95_mm == pytest.approx(max(ways))


@given(LABELS, st.data())
def test_surfaces_are_those_of_the_definition(labels, data):
    annotated = data.draw(hnp.arrays(bool, labels.shape))
    inside = (labels == 1) & annotated
    assert sorted(map(tuple, np.argwhere(surface(inside, annotated)).tolist())) == listed(labels, annotated)


@given(LABELS, LABELS)
def test_truth_and_prediction_may_be_exchanged_where_all_is_annotated(one, other):
    one = one % 2 + 1
    other = np.resize(other % 2 + 1, one.shape)
    there, back = score_volume(one, other, 1, SIZE), score_volume(other, one, 1, SIZE)
    assert (there.fp, there.fn, there.truth_surface) == (back.fn, back.fp, back.prediction_surface)
    assert there.hd95_mm == back.hd95_mm or (isnan(there.hd95_mm) and isnan(back.hd95_mm))
    if there.present and back.present:
        assert (there.dice, there.iou) == (back.dice, back.iou)
        assert there.recall == back.precision or there.unpredicted


def test_turned_and_mirrored_volumes_have_the_same_scores():
    rng = np.random.default_rng(4)
    blot = np.ones((2, 3, 3), np.uint8)
    truth, prediction = (np.kron(rng.integers(0, 3, (3, 3, 4), np.uint8), blot) for _ in range(2))
    wanted = score_volume(truth, prediction, 1, SIZE)
    assert wanted.hd95_mm > 0
    for order in permutations(range(3)):
        size = tuple(SIZE[::-1][axis] for axis in order)[::-1]
        for flipped in ((), (0,), (1, 2), (0, 1, 2)):
            pair = (np.flip(one.transpose(order), flipped) for one in (truth, prediction))
            seen = score_volume(*pair, 1, size)
            assert (seen.tp, seen.fp, seen.fn) == (wanted.tp, wanted.fp, wanted.fn)
            assert seen.hd95_mm == pytest.approx(wanted.hd95_mm)


def test_what_lies_around_does_not_matter():
    truth = box(slice(2, 5), slice(2, 7), slice(3, 9))
    prediction = box(slice(3, 6), slice(2, 6), slice(2, 9))
    wide = [np.pad(one, 5, constant_values=2) for one in (truth, prediction)]
    assert score_volume(*wide, 1, SIZE) == score_volume(truth, prediction, 1, SIZE)


def test_a_box_holds_what_is_there_and_its_neighbours():
    inside = np.zeros((5, 6, 7), bool)
    assert box_around(inside) == (slice(0), slice(0), slice(0))
    inside[0, 2:4, 6] = True
    assert box_around(inside) == (slice(0, 2), slice(1, 5), slice(5, 8))


def test_nothing_is_counted_and_there_is_no_surface_where_nothing_is_annotated():
    truth = box(slice(0, 12), slice(0, 14), slice(0, 8))
    truth[:, :, 8:] = 0
    prediction = np.ones_like(truth)
    seen = score_volume(truth, prediction, 1, SIZE)
    assert (seen.tp, seen.fp, seen.fn) == (12 * 14 * 8, 0, 0)
    assert (seen.dice, seen.truth_surface, seen.prediction_surface) == (1, 0, 0)
    assert isnan(seen.hd95_mm)
    assert seen.note == "no surface in the truth: HD95 is undefined"


def test_a_class_without_truth_is_absent_whatever_was_predicted():
    for prediction in (box(slice(1), slice(1), slice(1)), np.full((12, 14, 16), 2, np.uint8)):
        seen = score_volume(np.full((12, 14, 16), 2, np.uint8), prediction, 1, SIZE)
        assert (seen.present, seen.unpredicted, seen.note) == (False, False, "no truth of this class")
        assert all(map(isnan, (seen.dice, seen.iou, seen.precision, seen.recall, seen.hd95_mm)))


@pytest.mark.parametrize("value", [0, 2])
def test_a_class_that_was_not_predicted_is_missed_and_at_no_distance(value):
    truth = box(slice(3, 6), slice(3, 6), slice(3, 6))
    seen = score_volume(truth, np.full_like(truth, value), 1, SIZE)
    assert (seen.tp, seen.fp, seen.fn, seen.present, seen.unpredicted) == (0, 0, 27, True, True)
    assert (seen.dice, seen.iou, seen.recall) == (0, 0, 0)
    assert isnan(seen.precision)
    assert isnan(seen.hd95_mm)
    assert seen.note == "not predicted: precision and HD95 are undefined"


def test_a_prediction_without_a_surface_has_no_distance():
    truth = box(slice(3, 6), slice(3, 6), slice(3, 6))
    seen = score_volume(truth, np.ones_like(truth), 1, SIZE)
    assert isnan(seen.hd95_mm)
    assert seen.note == "no surface in the prediction: HD95 is undefined"
    assert seen.dice == pytest.approx(54 / (27 + truth.size))


def test_scores_are_ratios_of_voxels():
    seen = VolumeScore(30, 10, 20, SIZE, 5, 6, 1.5)
    assert (seen.dice, seen.iou) == (pytest.approx(60 / 90), pytest.approx(30 / 60))
    assert (seen.precision, seen.recall, seen.note) == (0.75, 0.6, "")
