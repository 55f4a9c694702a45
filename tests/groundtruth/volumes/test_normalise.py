from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.errors import SlideError
from hooknet.groundtruth.volumes.normalise import brain_mr, ct, mr, z_to_byte
from hooknet.io.nifti import Volume


def byte_to_z(values):
    """What z-scores these bytes stand for: 0 for -4, 255 for 6."""
    return values / 255 * 10 - 4


def volume(voxels):
    return Volume(Path("v.nii"), np.asarray(voxels, np.float32), np.eye(4), (1.0, 1.0, 1.0), 2)


@given(arrays(np.float64, 20, elements=st.floats(-4, 6)))
def test_bytes_of_scores_come_back_within_half_a_step_and_keep_their_order(z):
    found, clipped = z_to_byte(z)
    assert clipped == 0
    np.testing.assert_allclose(byte_to_z(found), z, atol=5 / 255 + 1e-9)
    order = np.argsort(z)
    assert (np.diff(found[order].astype(int)) >= 0).all()


@given(arrays(np.uint8, 20))
def test_scores_of_bytes_come_back_to_the_bit(values):
    found, clipped = z_to_byte(byte_to_z(values))
    np.testing.assert_array_equal(found, values)
    assert clipped == 0


def test_scores_beyond_the_bytes_are_cut_off_and_counted():
    # The half step beyond either end still rounds to it.
    found, clipped = z_to_byte(np.array([-9.0, -4.03, -4.01, -4.0, 0.0, 1.0, 6.0, 6.01, 6.03, 50.0]))
    np.testing.assert_array_equal(found, [0, 0, 0, 0, 102, 128, 255, 255, 255, 255])
    assert clipped == 4


def test_mr_is_cut_at_its_percentiles_and_scored():
    values = np.arange(1001.0)
    values[-1] = 1e6
    found = mr(volume(values.reshape(7, 11, 13)))
    cut = np.clip(values, 5.0, 995.0)
    z = (cut - cut.mean()) / cut.std()
    np.testing.assert_array_equal(found.pixels.ravel(), np.rint((z + 4) / 10 * 255))
    assert found.fill == found.pixels.min() == round((z.min() + 4) / 10 * 255)
    assert found.clipped == 0


@given(st.floats(0.1, 100), st.floats(-1000, 1000))
def test_mr_does_not_depend_on_the_scanners_scale(gain, offset):
    values = np.random.default_rng(0).integers(0, 200, (6, 5, 4)).astype(np.float64)
    plain, scaled = mr(volume(values)), mr(volume(values * gain + offset))
    # In single precision a score may fall to the other side of a half.
    assert np.abs(plain.pixels.astype(int) - scaled.pixels).max() <= 1


def test_brain_is_scored_for_itself_and_what_is_outside_is_in_its_middle():
    values = np.zeros((4, 4, 4))
    values[:2] = np.arange(1.0, 33.0).reshape(2, 4, 4)
    found = brain_mr(volume(values))
    z = (np.arange(1.0, 33.0) - 16.5) / np.arange(1.0, 33.0).std()
    np.testing.assert_array_equal(found.pixels[:2].ravel(), np.rint((z + 4) / 10 * 255))
    assert (found.pixels[2:] == 102).all()
    assert found.fill == 102


def test_ct_is_seen_through_its_window():
    found = ct(volume([[[-1000, -160, -159, 40, 239, 240, 3000]]]))
    np.testing.assert_array_equal(found.pixels.ravel(), [0, 0, 1, 128, 254, 255, 255])
    assert (found.fill, found.clipped) == (0, 0)


@pytest.mark.parametrize(
    ("normalise", "value", "message"),
    [
        (mr, 7, "v.nii: all its voxels are 7, wanted an image; copy the file again"),
        (brain_mr, 7, "v.nii: all its voxels are 7, wanted an image; copy the file again"),
        (brain_mr, 0, "v.nii: found zeros only, wanted a brain; copy the file again"),
    ],
)
def test_volumes_that_are_no_images_are_refused(normalise, value, message):
    with pytest.raises(SlideError) as caught:
        normalise(volume(np.full((3, 3, 3), value)))
    assert str(caught.value) == message
