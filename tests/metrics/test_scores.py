from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.errors import MaskError
from hooknet.metrics.confusion import merge
from hooknet.metrics.scores import row_normalised, scores

# truth rows, predictions 0 (none), 1, 2, 3
COUNTS = np.array([[2, 6, 2, 0], [0, 1, 8, 1], [0, 3, 0, 17]], np.int64)
matrices = arrays(np.int64, (3, 4), elements=st.integers(0, 1000))


def test_hand_numbers_for_every_score():
    found = scores(COUNTS)
    assert found.support.tolist() == [10, 10, 20]
    assert found.precision.tolist() == pytest.approx([6 / 10, 8 / 10, 17 / 18])
    assert found.recall.tolist() == pytest.approx([6 / 10, 8 / 10, 17 / 20])
    assert found.f1.tolist() == pytest.approx([12 / 20, 16 / 20, 34 / 38])
    assert found.iou.tolist() == pytest.approx([6 / 14, 8 / 12, 17 / 21])
    assert found.macro_f1 == pytest.approx((0.6 + 0.8 + 34 / 38) / 3)
    # 31 right, 7 wrong, 2 without a prediction
    assert found.micro_precision == pytest.approx(31 / 38)
    assert found.micro_recall == pytest.approx(31 / 40)
    assert found.micro_f1 == pytest.approx(62 / 78)
    assert found.micro_iou == pytest.approx(31 / 47)


def test_a_pixel_without_a_prediction_costs_recall_but_no_precision():
    predicted = np.array([[0, 10, 0], [0, 0, 10]], np.int64)
    missed = np.array([[5, 5, 0], [0, 0, 10]], np.int64)
    assert scores(predicted).f1.tolist() == [1, 1]
    found = scores(missed)
    assert found.precision.tolist() == [1, 1]
    assert found.recall.tolist() == [0.5, 1]
    assert found.f1[0] == pytest.approx(2 / 3)


def test_an_absent_class_is_left_out_of_the_mean_but_its_false_positives_hurt_the_others():
    slide = np.array([[0, 8, 2], [0, 0, 0]], np.int64)
    found = scores(slide)
    assert isnan(found.f1[1])
    assert isnan(found.recall[1])
    assert isnan(found.iou[1])
    assert found.precision[1] == 0
    assert found.macro_f1 == found.f1[0] == pytest.approx(16 / 18)


def test_false_positives_of_an_absent_class_count_once_slides_are_pooled():
    without = np.array([[0, 8, 2], [0, 0, 0]], np.int64)
    having = np.array([[0, 0, 0], [0, 0, 10]], np.int64)
    assert scores(having).f1[1] == 1
    assert scores(merge([without, having], 2)).f1[1] == pytest.approx(20 / 22)


def test_a_present_class_that_is_never_predicted_has_f1_zero_and_no_precision():
    found = scores(np.array([[0, 5, 0], [0, 5, 0]], np.int64))
    assert found.f1[1] == 0
    assert isnan(found.precision[1])
    assert isnan(found.macro_precision)
    assert found.macro_f1 == pytest.approx((2 / 3) / 2)


def test_nothing_annotated_gives_nan_and_no_warning():
    found = scores(np.zeros((2, 3), np.int64))
    assert isnan(found.macro_f1)
    assert isnan(found.micro_f1)
    assert np.isnan(found.f1).all()


@given(matrices)
def test_f1_is_the_harmonic_mean_of_precision_and_recall_and_follows_from_iou(counts):
    found = scores(counts)
    usable = found.present & (found.precision + found.recall > 0)
    p, r = found.precision[usable], found.recall[usable]
    assert found.f1[usable] == pytest.approx(2 * p * r / (p + r))
    iou = found.iou[found.present]
    assert found.f1[found.present] == pytest.approx(2 * iou / (1 + iou))


@given(matrices, st.permutations([0, 1, 2]))
def test_renaming_the_classes_permutes_the_scores(counts, order):
    moved = counts[order][:, [0, *(1 + np.array(order))]]
    assert scores(moved).f1 == pytest.approx(scores(counts).f1[order], nan_ok=True)
    assert scores(moved).macro_f1 == pytest.approx(scores(counts).macro_f1, nan_ok=True)
    assert scores(moved).micro_f1 == pytest.approx(scores(counts).micro_f1, nan_ok=True)


@given(matrices, st.integers(2, 50))
def test_counting_every_pixel_several_times_changes_no_score(counts, times):
    assert scores(counts * times).f1 == pytest.approx(scores(counts).f1, nan_ok=True)


def test_rows_of_the_normalised_matrix_add_up_to_one_and_absent_rows_are_nan():
    shares = row_normalised(np.array([[1, 3, 0], [0, 0, 0]], np.int64))
    assert shares[0].tolist() == [0.25, 0.75, 0]
    assert np.isnan(shares[1]).all()


def test_a_square_matrix_is_refused():
    with pytest.raises(MaskError, match=r"counts are \(3, 3\), wanted \(K, K \+ 1\)"):
        scores(np.zeros((3, 3), np.int64))
