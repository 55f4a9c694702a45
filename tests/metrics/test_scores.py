from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, jaccard_score, precision_recall_fscore_support

from hooknet.errors import MaskError
from hooknet.metrics.confusion import count, merge
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


def test_prevalence_is_the_share_of_annotated_pixels():
    assert scores(COUNTS).prevalence.tolist() == [0.25, 0.25, 0.5]
    assert np.isnan(scores(np.zeros((3, 4), np.int64)).prevalence).all()


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


# scikit-learn as oracle.  Its conventions and ours:
# - Pixels that are not annotated (truth 0) are left out before it sees them.  ``labels`` are 1..K, so that a
#   prediction 0 is no class of its own: it is a miss of the true one and nobody's false positive.
# - Its ``zero_division`` fills 0 / 0; nan is ours, and its default 0 would drag means down.  Precision and recall
#   are then the same everywhere.  F1 and IoU of a class absent from the truth but predicted somewhere are 0
#   there and nan here; so are means: ours equal its macro over the labels present in the truth.
# - A present class that is never predicted has precision nan; its mean leaves that out, ours becomes nan.


def by_sklearn(truth, prediction, labels, average=None):
    """(precision, recall, F1) of annotated pixels."""
    seen = truth > 0
    *found, _ = precision_recall_fscore_support(
        truth[seen], prediction[seen], labels=labels, average=average, zero_division=np.nan
    )
    return found


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=0)


def assert_as_sklearn(truth, prediction, classes):
    found = scores(count(truth, prediction, classes))
    labels, seen = list(range(1, classes + 1)), truth > 0
    present = [one for one in labels if (truth == one).any()]
    assert found.support.tolist() == [int((truth == one).sum()) for one in labels]
    assert (np.flatnonzero(found.present) + 1).tolist() == present
    precision, recall, f1 = by_sklearn(truth, prediction, labels)
    iou = jaccard_score(truth[seen], prediction[seen], labels=labels, average=None, zero_division=0)
    same(found.precision, precision)
    same(found.recall, recall)
    same(found.f1, np.where(found.present, f1, np.nan))
    same(found.iou, np.where(found.present, iou, np.nan))
    same(
        [found.micro_precision, found.micro_recall, found.micro_f1],
        by_sklearn(truth, prediction, labels, "micro"),
    )
    macro_precision, macro_recall, macro_f1 = by_sklearn(truth, prediction, present, "macro")
    never = np.isnan(precision[found.present]).any()
    same(found.macro_precision, np.nan if never else macro_precision)
    same(found.macro_recall, macro_recall)
    same(found.macro_f1, macro_f1)


@st.composite
def pixels(draw, at_most=4):
    """Truth and prediction of 1..K classes, some of which neither, one or both of them may lack."""
    classes = draw(st.integers(1, at_most))
    allowed = [draw(st.sets(st.integers(0, classes), min_size=1)) for _ in range(2)]
    number = draw(st.integers(1, 60))
    pair = [draw(arrays(np.uint8, number, elements=st.sampled_from(sorted(one)))) for one in allowed]
    pair[0][0] = draw(st.integers(1, classes))  # scikit-learn refuses to score nothing
    return *pair, classes


@given(pixels())
def test_every_score_is_that_of_sklearn(drawn):
    assert_as_sklearn(*drawn)


@given(matrices.filter(lambda counts: counts.any()))
def test_scores_of_counts_are_those_of_sklearn_for_pixels_that_have_these_counts(counts):
    counts = counts % 40
    counts[0, 0] += 1
    row, column = np.indices(counts.shape)
    truth, prediction = np.repeat(row.ravel() + 1, counts.ravel()), np.repeat(column.ravel(), counts.ravel())
    assert (count(truth, prediction, 3) == counts).all()
    both = confusion_matrix(truth, prediction, labels=[0, 1, 2, 3])
    assert (both[1:] == counts).all()
    assert_as_sklearn(truth, prediction, 3)


@given(st.lists(pixels(3), min_size=1, max_size=4))
def test_pooled_scores_are_those_of_sklearn_over_the_pixels_of_all_slides_and_not_a_mean_of_slides(slides):
    truth = np.concatenate([one for one, _, _ in slides])
    prediction = np.concatenate([one for _, one, _ in slides])
    pooled = scores(merge([count(one, other, 3) for one, other, _ in slides], 3))
    present = [one for one in (1, 2, 3) if (truth == one).any()]
    same(pooled.f1[pooled.present], by_sklearn(truth, prediction, present)[2])
    same(pooled.macro_f1, by_sklearn(truth, prediction, present, "macro")[2])
    for one, other, _ in slides:
        assert_as_sklearn(one, other, 3)


def test_a_class_that_only_a_prediction_has_is_where_we_and_sklearn_differ():
    truth, prediction = np.array([1, 1, 1, 1]), np.array([1, 1, 1, 2])
    found = scores(count(truth, prediction, 2))
    assert by_sklearn(truth, prediction, [1, 2])[2].tolist() == pytest.approx([6 / 7, 0])
    assert found.f1.tolist() == pytest.approx([6 / 7, np.nan], nan_ok=True)
    assert found.macro_f1 == pytest.approx(6 / 7)
    assert by_sklearn(truth, prediction, [1, 2], "macro")[2] == pytest.approx(3 / 7)
