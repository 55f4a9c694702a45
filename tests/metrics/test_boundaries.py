from __future__ import annotations

from dataclasses import replace
from math import hypot, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hooknet.metrics import boundaries
from hooknet.metrics.boundaries import BoundaryScore, elements, score_boundary

LABELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 7)), elements=st.integers(0, 2))


def found(labels, annotated, value=1):
    """Elements of a whole array, in px."""
    around = ((0, 1), (0, 1))
    return elements(np.pad(labels, around), np.pad(annotated, around), value) / 2


def listed(labels, annotated, value=1):
    """The definition, px by px."""
    height, width = labels.shape
    points = []
    for y in range(height):
        for x in range(width):
            for down, right in ((0, 1), (1, 0)):
                below, beside = y + down, x + right
                if below == height or beside == width or not (annotated[y, x] and annotated[below, beside]):
                    continue
                if (labels[y, x] == value) != (labels[below, beside] == value):
                    points.append((x + (1 if right else 0.5), y + (1 if down else 0.5)))
    return points


def score(truth, prediction, *, spacing=0.5, tolerance=1.0, value=1):
    around = ((0, 1), (0, 1))
    annotated = np.pad(truth != 0, around)
    both = [elements(np.pad(one, around), annotated, value) for one in (truth, prediction)]
    return score_boundary(*both, spacing, tolerance, int((truth == value).sum()))


def halves(column, height=20, width=30):
    """Class 1 left of a column, 2 right of it."""
    labels = np.full((height, width), 2, np.uint8)
    labels[:, :column] = 1
    return labels


def square(left, top, side):
    labels = np.full((60, 80), 2, np.uint8)
    labels[top : top + side, left : left + side] = 1
    return labels


def test_elements_of_one_pixel_are_the_middles_of_its_four_sides():
    labels = np.full((3, 4), 2, np.uint8)
    labels[1, 2] = 1
    everything = np.ones_like(labels, bool)
    points = {(2, 1.5), (3, 1.5), (2.5, 1), (2.5, 2)}
    assert set(map(tuple, found(labels, everything).tolist())) == points
    assert set(map(tuple, found(labels, everything, value=2).tolist())) == points


def test_no_boundary_at_the_rim_nor_where_annotation_ends():
    labels = np.ones((4, 5), np.uint8)
    labels[:, 3:] = 0
    assert len(found(labels, labels != 0)) == 0
    assert len(found(labels, np.ones_like(labels, bool))) == 4


@given(LABELS, LABELS)
def test_elements_are_those_of_the_definition(labels, annotated):
    annotated = np.resize(annotated, labels.shape) != 0
    assert sorted(map(tuple, found(labels, annotated).tolist())) == sorted(listed(labels, annotated))


@pytest.mark.parametrize("shift", [1, 3, 7])
@pytest.mark.parametrize("spacing", [0.5, 0.2277])
def test_a_straight_boundary_that_is_moved_is_as_far_off_everywhere(shift, spacing):
    truth, prediction = halves(10), halves(10 + shift)
    within = score(truth, prediction, spacing=spacing, tolerance=shift * spacing)
    assert (within.truth_elements, within.prediction_elements) == (20, 20)
    assert within.surface_dice == 1
    assert within.hd95_um == pytest.approx(shift * spacing)
    beyond = score(truth, prediction, spacing=spacing, tolerance=shift * spacing * 0.999)
    assert (beyond.truth_within, beyond.prediction_within, beyond.surface_dice) == (0, 0, 0)


@pytest.mark.parametrize("shift", [1, 4])
def test_a_square_that_is_moved_keeps_what_its_sides_have_in_common(shift):
    truth, prediction = square(20, 20, 16), square(20 + shift, 20, 16)
    exact = score(truth, prediction, tolerance=0.0)
    assert exact.truth_elements == exact.prediction_elements == 4 * 16
    assert exact.truth_within == exact.prediction_within == 2 * (16 - shift)
    assert exact.surface_dice == pytest.approx((16 - shift) / 32)
    assert exact.hd95_um == pytest.approx(shift * 0.5)
    assert score(truth, prediction, tolerance=shift * 0.5).surface_dice == 1


def test_the_worse_direction_counts():
    # What is true is met; a third of what is predicted lies far away.
    truth = square(10, 10, 20)
    prediction = truth.copy()
    prediction[40:50, 60:70] = 1
    seen = score(truth, prediction, spacing=1.0, tolerance=0.0)
    assert (seen.truth_within, seen.prediction_within) == (80, 80)
    assert seen.surface_dice == pytest.approx(160 / (80 + 120))
    assert seen.hd95_um > hypot(30, 10)
    back = score(prediction, truth, spacing=1.0, tolerance=0.0)
    assert (back.surface_dice, back.hd95_um) == (seen.surface_dice, seen.hd95_um)


@settings(deadline=None, max_examples=60)
@given(LABELS, LABELS, st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0]))
def test_scores_are_those_of_all_distances(truth, prediction, tolerance):
    prediction = np.resize(prediction, truth.shape)
    annotated = truth != 0
    mine, theirs = (np.array(listed(one, annotated)).reshape(-1, 2) for one in (truth, prediction))
    seen = score(truth, prediction, spacing=0.5, tolerance=tolerance)
    assert (seen.truth_elements, seen.prediction_elements) == (len(mine), len(theirs))
    assert seen.truth_pixels == (truth == 1).sum()
    if not len(mine) or not len(theirs):
        assert isnan(seen.hd95_um)
        assert isnan(seen.surface_dice) if not len(mine) else seen.surface_dice == 0
        return
    distance = 0.5 * np.sqrt(((mine[:, None] - theirs[None]) ** 2).sum(axis=2))
    there, back = distance.min(axis=1), distance.min(axis=0)
    hits = (there <= tolerance + 1e-9).sum(), (back <= tolerance + 1e-9).sum()
    assert (seen.truth_within, seen.prediction_within) == hits
    assert seen.surface_dice == pytest.approx(sum(hits) / (len(mine) + len(theirs)))
    assert seen.hd95_um == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert seen.note == ""


@given(LABELS)
def test_a_map_that_is_the_truth_has_no_distance(truth):
    seen = score(truth, truth, tolerance=0.0)
    if seen.truth_elements:
        assert (seen.surface_dice, seen.hd95_um) == (1, 0)


def test_distances_grow_with_the_spacing_and_the_tolerance_with_them():
    truth, prediction = square(20, 20, 16), square(23, 22, 14)
    fine = score(truth, prediction, spacing=0.25, tolerance=0.5)
    coarse = score(truth, prediction, spacing=2.0, tolerance=4.0)
    assert replace(coarse, hd95_um=coarse.hd95_um / 8, tolerance_um=0.5) == fine


def test_points_asked_for_in_parts_have_the_same_distances(monkeypatch):
    whole = score(square(20, 20, 16), square(24, 22, 9))
    monkeypatch.setattr(boundaries, "CHUNK", 5)
    assert score(square(20, 20, 16), square(24, 22, 9)) == whole


@pytest.mark.parametrize(
    ("truth", "prediction", "dice", "note"),
    [
        (np.full((5, 5), 2), halves(2, 5, 5), None, "no truth of this class"),
        (np.ones((5, 5)), np.ones((5, 5)), None, "no boundary in the truth"),
        (np.ones((5, 5)), halves(2, 5, 5), None, "no boundary in the truth"),
        (halves(2, 5, 5), np.full((5, 5), 2), 0, "no boundary in the prediction: HD95 is undefined"),
        (halves(2, 5, 5), np.zeros((5, 5)), 0, "no boundary in the prediction: HD95 is undefined"),
    ],
)
def test_what_is_undefined_is_nan_and_says_why(truth, prediction, dice, note):
    seen = score(truth.astype(np.uint8), prediction.astype(np.uint8))
    assert isnan(seen.hd95_um)
    assert isnan(seen.surface_dice) if dice is None else seen.surface_dice == dice
    assert seen.note == note


def test_surface_dice_is_the_share_of_both_boundaries():
    assert BoundaryScore(1.0, 9, 10, 30, 5, 6, 2.0).surface_dice == pytest.approx(11 / 40)
