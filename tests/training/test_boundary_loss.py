import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from hooknet.training.boundary_loss import boundary_loss, boundary_mask, boundary_ramp
from hooknet.training.losses import annotated_cross_entropy


def mask_of(rows, classes):
    labels = torch.tensor([[int(one) for one in row] for row in rows], dtype=torch.uint8)[None]
    return ["".join(".#"[int(one)] for one in row) for row in boundary_mask(labels, classes)[0]]


def test_the_boundary_of_a_straight_border_is_a_px_on_either_side():
    assert mask_of(["11122", "11122", "11122"], 2) == [".." + "##" + "."] * 3


def test_one_class_has_no_boundary_and_nor_has_the_rim_of_the_image():
    assert mask_of(["111", "111", "111"], 3) == ["..."] * 3
    assert mask_of(["3"], 3) == ["."]


def test_a_corner_is_seen_across():
    assert mask_of(["1111", "1111", "1122", "1122"], 2) == ["....", ".###", ".###", ".##."]


def test_borders_towards_what_is_not_annotated_are_none():
    assert mask_of(["11022", "11022", "11022"], 2) == ["....."] * 3
    assert mask_of(["10", "01"], 1) == ["..", ".."]
    # Of the border that there is, the annotated px alone.
    assert mask_of(["1120", "1120", "0020"], 2) == [".##.", ".##.", "..#."]


def test_classes_whose_numbers_cancel_have_a_boundary_all_the_same():
    # Along x of the middle px: (1 + 2·2 + 3) - (2 + 2·2 + 2) = 0, and so along y.
    assert mask_of(["212", "222", "232"], 3)[1][1] == "#"
    assert mask_of(["221", "222", "223"], 3)[1][1] == "#"


def test_the_sides_of_a_line_of_one_px_are_boundary_and_the_line_is_not():
    # At the rim, where nothing goes on, its ends do not cancel.
    assert mask_of(["11211"] * 4, 2) == [".###.", ".#.#.", ".#.#.", ".###."]


def test_neighbours_beside_weigh_twice_those_at_corners():
    # Of the middle px 2 · 1 on the right and 1 + 1 on the left cancel.
    assert mask_of(["211", "112", "211"], 2)[1][1] == "."
    assert mask_of(["211", "112", "111"], 2)[1][1] == "#"


@pytest.mark.parametrize("seed", range(3))
def test_where_all_is_annotated_the_mask_is_that_of_scipys_sobel(seed):
    labels = np.random.default_rng(seed).choice(np.array([1, 2, 3], np.uint8), (80, 80), p=[0.8, 0.15, 0.05])
    # Its "nearest" repeats the px at the rim, as if the image went on: another rule there than ours.
    found = boundary_mask(torch.from_numpy(labels)[None], 3)[0].numpy()
    wanted = np.zeros(labels.shape, bool)
    for number in (1, 2, 3):
        mask = (labels == number).astype(float)
        wanted |= np.hypot(ndimage.sobel(mask, 0), ndimage.sobel(mask, 1)) > 1e-3
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_array_equal(found[inside], wanted[inside])
    assert 0.1 < found[inside].mean() < 0.9


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)),
    st.permutations([1, 2, 3]),
)
def test_the_mask_depends_on_no_numbering_and_turns_with_the_image(labels, order):
    mask = boundary_mask(torch.from_numpy(labels)[None], 3)
    renamed = np.array([0, *order], np.uint8)[labels]
    assert torch.equal(boundary_mask(torch.from_numpy(renamed)[None], 3), mask)
    turned = np.rot90(labels).copy()
    assert torch.equal(boundary_mask(torch.from_numpy(turned)[None], 3)[0], torch.rot90(mask[0]))
    flipped = labels[:, ::-1].copy()
    assert torch.equal(boundary_mask(torch.from_numpy(flipped)[None], 3)[0], mask[0].flip(1))


def test_px_at_a_border_count_twice_by_hand():
    # Classes 1 1 1 2 2: shares of the true class 1/2, 1/4, 1/8, 1/16, 1/32; the third and fourth are boundary.
    shares = torch.tensor([2.0 ** -(n + 1) for n in range(5)], dtype=torch.float64)
    of_1 = torch.cat([shares[:3], 1 - shares[3:]])
    logits = torch.stack([of_1, 1 - of_1]).log()[None, :, None]
    labels = torch.tensor([[[1, 1, 1, 2, 2]]], dtype=torch.uint8)
    by_hand = math.log(2) * (1 + 2 + 2 * 3 + 2 * 4 + 5) / 7
    assert float(boundary_loss(logits, labels)) == pytest.approx(by_hand, rel=1e-14)
    # Without the fourth no border is left: the mean of the four others.
    labels[..., 3] = 0
    by_hand = math.log(2) * (1 + 2 + 3 + 5) / 4
    assert float(boundary_loss(logits, labels)) == pytest.approx(by_hand, rel=1e-14)


def test_without_borders_it_is_cross_entropy():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(2, 3, 5, 5)))
    labels = torch.full((2, 5, 5), 2, dtype=torch.uint8)
    labels[:, 2] = 0
    torch.testing.assert_close(boundary_loss(logits, labels), annotated_cross_entropy(logits, labels))


@pytest.mark.parametrize(
    ("epoch", "share"), [(0, 0.0), (4, 0.0), (5, 0.0), (6, 0.1), (10, 0.5), (14, 0.9), (15, 1.0), (150, 1.0)]
)
def test_the_boundary_comes_in_slowly(epoch, share):
    assert boundary_ramp(epoch) == pytest.approx(share, abs=1e-15)


def test_another_warm_up_and_none():
    assert [boundary_ramp(epoch, 4) for epoch in (1, 2, 3, 6, 7)] == [0.0, 0.0, 0.25, 1.0, 1.0]
    assert boundary_ramp(0, 0) == 1.0
