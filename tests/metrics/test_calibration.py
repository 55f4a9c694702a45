from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.calibration import calibration_curve

from hooknet.errors import MaskError
from hooknet.metrics.calibration import (
    count_levels,
    ece,
    error_of_least_sure,
    merge_levels,
    reliability,
    risk_coverage,
)

BYTES = st.integers(0, 255)


def levels(pairs):
    """(256,) counts of px and of those that are right, from {level: (px, right)}."""
    pixels, right = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for level, (number, hits) in pairs.items():
        pixels[level], right[level] = number, hits
    return pixels, right


def histograms(level, hit):
    return np.bincount(level, minlength=256), np.bincount(level[hit], minlength=256)


def test_pixels_are_counted_by_level_of_the_likeliest_class_and_of_each():
    truth = np.array([[1, 2, 0], [1, 2, 2]], np.uint8)
    shares = np.array([[[200, 200, 9], [55, 0, 100]], [[55, 55, 9], [200, 0, 155]]], np.uint8)
    seen = count_levels(truth, shares)
    assert seen.unpredicted == 1
    assert seen.classes == 2
    assert {k: int(n) for k, n in enumerate(seen.pixels[0]) if n} == {200: 3, 155: 1}
    assert {k: int(n) for k, n in enumerate(seen.right[0]) if n} == {200: 1, 155: 1}
    assert {k: int(n) for k, n in enumerate(seen.pixels[1]) if n} == {200: 2, 55: 1, 100: 1}
    assert {k: int(n) for k, n in enumerate(seen.right[1]) if n} == {200: 1, 55: 1}
    assert {k: int(n) for k, n in enumerate(seen.right[2]) if n} == {55: 1, 155: 1}


def test_of_equal_levels_the_first_class_is_taken():
    seen = count_levels(np.array([[1, 1, 2]], np.uint8), np.full((2, 1, 3), 128, np.uint8))
    assert (seen.pixels[0, 128], seen.right[0, 128]) == (3, 2)


@settings(deadline=None)
@given(
    hnp.arrays(np.uint8, (6, 5), elements=st.integers(0, 3)),
    hnp.arrays(np.uint8, (3, 6, 5), elements=st.sampled_from([0, 1, 84, 85, 254, 255])),
    st.integers(0, 6),
)
def test_parts_counted_and_merged_are_the_whole_counted(truth, shares, cut):
    whole = count_levels(truth, shares)
    parts = [count_levels(truth[:cut], shares[:, :cut]), count_levels(truth[cut:], shares[:, cut:])]
    merged = merge_levels(parts, 3)
    np.testing.assert_array_equal(merged.pixels, whole.pixels)
    np.testing.assert_array_equal(merged.right, whole.right)
    assert merged.unpredicted == whole.unpredicted
    # Every annotated px is in each row, or unpredicted.
    assert set(whole.pixels.sum(axis=1)) == {np.count_nonzero(truth) - whole.unpredicted}
    assert whole.right[1:].sum() == np.count_nonzero(truth) - whole.unpredicted


def test_what_does_not_fit_is_refused():
    truth, shares = np.ones((2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    with pytest.raises(MaskError, match="wanted one shape"):
        count_levels(truth[:1], shares)
    with pytest.raises(MaskError, match=r"truth holds the value 3, wanted 0\.\.2"):
        count_levels(truth * 3, shares)
    with pytest.raises(MaskError, match="counts are of 2 classes, wanted 3"):
        merge_levels([count_levels(truth, shares)], 3)


def test_error_by_hand():
    # 10 px at 1.0 of which 6 are right, 30 px at 0.2 of which 6 are right: (10 * 0.4 + 30 * 0) / 40
    assert ece(*levels({255: (10, 6), 51: (30, 6)})) == pytest.approx(0.1)
    # Within a bin errors of both signs cancel: 240 and 250 share the last one.
    mean = (240 + 250) / 2 / 255
    assert ece(*levels({240: (5, 5), 250: (5, 3)})) == pytest.approx(abs(0.8 - mean))


def test_nothing_counted_has_no_error():
    assert isnan(ece(*levels({})))


def test_borders_of_bins_belong_to_the_lower_one():
    # 255 / 15 = 17: level 17 is exactly 1/15.
    found = reliability(*levels({0: (1, 0), 17: (2, 0), 18: (4, 0), 34: (8, 0), 255: (16, 0)}))
    assert found.pixels.tolist() == [3, 12, *[0] * 12, 16]
    assert found.confidence[1] == pytest.approx((4 * 18 + 8 * 34) / 12 / 255)
    assert np.isnan(found.accuracy[2:14]).all()
    assert (found.low[1], found.high[1]) == (1 / 15, 2 / 15)


@given(st.lists(st.tuples(BYTES, st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_error_is_that_of_the_px_themselves(px, bins):
    level, hit = (np.array(one) for one in zip(*px, strict=True))
    confidence = level / 255
    wanted = 0.0
    for number in range(bins):
        # Both sides are one division, so borders that are equal compare equal.
        inside = (confidence <= (number + 1) / bins) & ((confidence > number / bins) | (number == 0))
        if inside.any():
            wanted += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert ece(*histograms(level, hit), bins) == pytest.approx(wanted, abs=1e-12)


def test_diagram_is_that_of_sklearn():
    rng = np.random.default_rng(4)
    # sklearn's borders are off by a rounding here and there: keep away from them.
    level = rng.choice([one for one in range(256) if one % 17], 5000)
    hit = rng.random(5000) < (level / 255) ** 2
    found = reliability(*histograms(level, hit))
    accuracy, confidence = calibration_curve(hit, level / 255, n_bins=15)
    np.testing.assert_allclose(found.accuracy, accuracy, rtol=1e-12)
    np.testing.assert_allclose(found.confidence, confidence, rtol=1e-12)
    assert found.pixels.sum() == 5000


def test_what_comes_true_as_often_as_said_has_nearly_no_error():
    rng = np.random.default_rng(0)
    level = rng.integers(0, 256, 200_000)
    hit = rng.random(200_000) < level / 255
    assert ece(*histograms(level, hit)) < 0.01
    sure = np.where(level > 127, 255, 0)
    assert ece(*histograms(sure, hit)) > 0.2


def test_numbers_beyond_what_a_float_holds_exactly_are_kept():
    pixels, right = levels({255: (2**53 + 1, 2**53 + 1)})
    assert reliability(pixels, right).pixels[-1] == 2**53 + 1
    assert ece(pixels, right) == pytest.approx(0, abs=1e-15)


# 100 px: 10 of which 5 are right, 30 with 24, 60 that are all right.
UNSURE = {100: (10, 5), 200: (30, 24), 255: (60, 60)}


def test_errors_fall_as_the_least_sure_are_dropped():
    found = risk_coverage(*levels(UNSURE))
    assert found.level.tolist() == [100, 200, 255]
    assert found.kept == pytest.approx([1.0, 0.9, 0.6])
    assert found.error == pytest.approx([0.11, 6 / 90, 0.0])


@pytest.mark.parametrize(
    ("share", "error"), [(0.1, 0.5), (0.05, 0.5), (0.2, 0.35), (0.4, 11 / 40), (1.0, 0.11)]
)
def test_the_least_sure_are_as_wrong_as_their_levels(share, error):
    # Of 20 px 10 are of level 100, 5 of them wrong, and 10 of level 200, where every fifth is.
    assert error_of_least_sure(*levels(UNSURE), share) == pytest.approx(error)


def test_without_pixels_there_is_no_curve_and_no_error():
    found = risk_coverage(*levels({}))
    assert found.kept.size == found.error.size == 0
    assert isnan(error_of_least_sure(*levels({}), 0.1))


@given(hnp.arrays(np.uint8, 40), hnp.arrays(np.bool_, 40))
def test_the_curve_is_that_of_pixels_dropped_one_level_after_the_other(level, is_right):
    pixels, right = (np.bincount(level[one], minlength=256) for one in (np.ones(40, bool), is_right))
    found = risk_coverage(pixels, right)
    for at, kept, error in zip(found.level, found.kept, found.error, strict=True):
        assert kept == pytest.approx((level >= at).mean())
        assert error == pytest.approx(1 - is_right[level >= at].mean())
    assert error_of_least_sure(pixels, right, 1.0) == pytest.approx(1 - is_right.mean())
    least = level <= np.sort(level)[9]
    if least.sum() == 10:
        assert error_of_least_sure(pixels, right, 0.25) == pytest.approx(1 - is_right[least].mean())
