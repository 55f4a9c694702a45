import numpy as np
import pytest

from hooknet.data.samplers import EpochSampler, PixelBalanced, validation_rows

# Class 1: 900 centres in patches full of it; 2: 90 centres, small; 3: 10 centres, tiny.
LABELS = np.repeat([1, 2, 3], [900, 90, 10]).astype(np.uint8)
PIXELS = np.zeros((1000, 3), np.int32)
PIXELS[:900, 0] = 4900
PIXELS[900:990] = (3900, 1000, 0)
PIXELS[990:] = (4000, 0, 100)


def balanced(batch=8, seed=1, labels=LABELS, pixels=PIXELS):
    return PixelBalanced(labels, pixels, batch, seed)


def test_the_first_batch_is_drawn_from_all_centres_alike():
    rows = np.concatenate([[row for _, row in balanced(100, seed).next_batch()] for seed in range(100)])
    # 10,000 draws, 9000, 900, 100 expected.
    found = np.bincount(LABELS[rows], minlength=4)[1:]
    expected = np.array([9000, 900, 100])
    assert ((found - expected) ** 2 / expected).sum() < 13.8  # chi squared, 2 degrees, once in 1000
    assert len(np.unique(rows)) > 900


def test_from_the_second_batch_on_chances_are_inverse_to_the_pixels_shown():
    draws = balanced(20_000)
    draws.next_batch()
    chances = (1 / draws.shown) / (1 / draws.shown).sum()
    rows = [row for _, row in draws.next_batch()]
    found = np.bincount(LABELS[rows], minlength=4)[1:]
    np.testing.assert_allclose(found / 20_000, chances, atol=4 * np.sqrt(0.25 / 20_000))
    assert draws.drawn.tolist() == found.tolist()


def test_within_a_class_every_centre_has_the_same_chance():
    draws = balanced(50_000)
    draws.next_batch()
    rows = np.array([row for _, row in draws.next_batch()])
    counts = np.bincount(rows[LABELS[rows] == 3] - 990, minlength=10)
    expected = counts.sum() / 10
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi squared, 9 degrees, once in 1000


def test_shown_pixels_are_those_of_the_patches_drawn_after_one_of_each():
    draws = balanced()
    rows = [row for _ in range(20) for _, row in draws.next_batch()]
    assert draws.shown.tolist() == (1 + PIXELS[rows].sum(axis=0)).tolist()


def test_in_the_long_run_classes_show_as_many_pixels_as_they_can():
    # Patches of one class each, of very different area: shares of pixels become equal.
    pixels = np.zeros((1000, 3), np.int32)
    pixels[LABELS == 1, 0], pixels[LABELS == 2, 1], pixels[LABELS == 3, 2] = 4900, 1000, 100
    draws = balanced(pixels=pixels)
    draws.skip(4000)
    shares = draws.shown / draws.shown.sum()
    # p_c ∝ 1 / s_c and s_c' = p_c a_c give s_c ∝ sqrt(a_c).
    wanted = np.sqrt([4900, 1000, 100])
    np.testing.assert_allclose(shares, wanted / wanted.sum(), rtol=0.1)


def test_equal_areas_are_shown_equally_however_rare_a_class():
    pixels = np.zeros((1000, 3), np.int32)
    pixels[np.arange(1000), LABELS - 1] = 500
    draws = balanced(pixels=pixels)
    draws.skip(1500)
    np.testing.assert_allclose(draws.shown / draws.shown.sum(), 1 / 3, rtol=0.03)


def test_a_class_without_centres_is_never_drawn():
    labels = LABELS[LABELS != 2]
    draws = balanced(labels=labels, pixels=PIXELS[LABELS != 2])
    draws.skip(50)
    assert draws.drawn[1] == 0
    assert (draws.drawn[[0, 2]] > 0).all()


@pytest.mark.parametrize("steps", [0, 1, 17])
def test_skipping_equals_drawing(steps):
    one, other = balanced(), balanced()
    one.skip(steps)
    for _ in range(steps):
        other.next_batch()
    assert [one.next_batch() for _ in range(3)] == [other.next_batch() for _ in range(3)]


def test_draws_are_numbered_without_a_gap():
    draws = balanced(5)
    numbers = [number for _ in range(4) for number, _ in draws.next_batch()]
    assert numbers == list(range(20))


def test_the_seed_decides():
    assert balanced(seed=1).next_batch() == balanced(seed=1).next_batch()
    assert balanced(seed=1).next_batch() != balanced(seed=2).next_batch()


def test_epochs_share_out_one_sequence():
    sampler, all_at_once = EpochSampler(balanced(), 3), balanced()
    assert len(sampler) == 3
    found = [batch for _ in range(2) for batch in sampler]
    assert found == [all_at_once.next_batch() for _ in range(6)]


def test_pixel_counts_do_not_overflow():
    pixels = np.full((2, 1), 2**30, np.int32)
    draws = PixelBalanced(np.array([1, 1], np.uint8), pixels, 64, 1)
    draws.skip(10)
    assert draws.shown[0] == 1 + 640 * 2**30


def test_validation_takes_equally_many_of_every_class_once():
    rows = validation_rows(LABELS, 90, 1)
    assert np.bincount(LABELS[rows]).tolist() == [0, 30, 30, 10]  # class 3 has no more
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, validation_rows(LABELS, 90, 1))
    assert not np.array_equal(rows, validation_rows(LABELS, 90, 2))


def test_validation_of_nothing_is_nothing():
    assert validation_rows(np.zeros(0, np.uint8), 90, 1).tolist() == []


def test_a_centre_whose_patch_shows_none_of_its_class_is_drawn_by_chance_only():
    # At a coarse spacing the label patch may miss a small region: 10 of the 20 centres of class 2 show nothing.
    labels = np.repeat([1, 2], [80, 20]).astype(np.uint8)
    pixels = np.zeros((100, 2), np.int32)
    pixels[:80, 0] = 100
    pixels[90:, 1] = 100
    draws = balanced(10, 1, labels, pixels)
    draws.next_batch()
    rows = np.array([row for _ in range(50) for _, row in draws.next_batch()])
    assert set(rows[labels[rows] == 2]) <= set(range(90, 100))
    assert 0.4 < (labels[rows] == 2).mean() < 0.6  # the class fills up, so the other is drawn as well
