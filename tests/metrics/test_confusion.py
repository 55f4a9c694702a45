import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.errors import MaskError
from hooknet.metrics.confusion import count, merge, no_counts

TRUTH = np.array([[0, 1, 1, 2], [2, 2, 0, 3], [3, 3, 3, 0]], np.uint8)
PREDICTION = np.array([[3, 1, 2, 2], [0, 2, 1, 1], [3, 3, 0, 2]], np.uint8)
EXPECTED = np.array(
    [  # predicted 0  1  2  3
        [0, 1, 1, 0],
        [1, 0, 2, 0],
        [1, 1, 0, 2],
    ]
)


def pair(classes=3, side=9):
    values = arrays(np.uint8, (side, side), elements=st.integers(0, classes))
    return st.tuples(values, values)


def test_a_hand_made_pair_gives_the_counts_drawn_beside_it():
    assert count(TRUTH, PREDICTION, 3).tolist() == EXPECTED.tolist()


def test_counts_are_int64_even_for_uint8_masks_and_large_sums():
    one = np.ones((300, 300), np.uint8)
    counts = count(one, one, 200)
    assert counts.dtype == np.int64
    assert counts[0, 1] == 90_000
    assert counts.sum() == 90_000


def test_pixels_without_annotation_are_never_counted():
    assert not count(np.zeros((4, 4), np.uint8), np.full((4, 4), 2, np.uint8), 2).any()


@given(pair())
def test_every_cell_is_the_number_of_pixels_with_that_truth_and_prediction(masks):
    truth, prediction = masks
    counts = count(truth, prediction, 3)
    for row in (1, 2, 3):
        for column in range(4):
            assert counts[row - 1, column] == np.sum((truth == row) & (prediction == column))


@given(pair(), st.integers(1, 8))
def test_counting_in_blocks_and_merging_changes_nothing(masks, cut):
    truth, prediction = masks
    parts = [count(truth[:cut], prediction[:cut], 3), count(truth[cut:], prediction[cut:], 3)]
    assert (merge(parts, 3) == count(truth, prediction, 3)).all()


@given(pair(), st.randoms(use_true_random=False))
def test_the_order_of_pixels_does_not_matter(masks, random):
    truth, prediction = masks
    order = list(range(truth.size))
    random.shuffle(order)
    shuffled = count(truth.ravel()[order], prediction.ravel()[order], 3)
    assert (shuffled == count(truth, prediction, 3)).all()


def test_merging_nothing_gives_zeros_and_does_not_touch_its_parts():
    assert merge([], 2).tolist() == [[0, 0, 0], [0, 0, 0]]
    part = EXPECTED.astype(np.int64)
    merge([part, part], 3)
    assert part.tolist() == EXPECTED.tolist()


def test_counts_of_other_label_maps_cannot_be_merged():
    with pytest.raises(MaskError, match=r"counts are \(2, 3\), wanted \(3, 4\)"):
        merge([no_counts(2)], 3)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (TRUTH, PREDICTION, "truth holds the value 3, wanted 0..2"),
        (np.minimum(TRUTH, 2), PREDICTION, "prediction holds the value 3, wanted 0..2"),
        (TRUTH[:2], PREDICTION, r"truth is \(2, 4\) px, prediction is \(3, 4\) px"),
        (np.array([[1]]), np.array([[-1]]), "prediction holds the value -1"),
    ],
)
def test_masks_that_do_not_fit_are_refused(truth, prediction, message):
    with pytest.raises(MaskError, match=message):
        count(truth, prediction, 2)
