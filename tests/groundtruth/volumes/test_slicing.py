"""Volumes become slices px for px: whatever way files run, and with the classes' own names."""

import made_volumes
import numpy as np
import pytest

from hooknet.coordinates import Spacing
from hooknet.errors import MaskError, SlideError
from hooknet.groundtruth.volumes.layouts import LAYOUTS
from hooknet.groundtruth.volumes.normalise import mr
from hooknet.groundtruth.volumes.slicing import read_labelled, upright
from hooknet.io.nifti import read_nifti


def silent(line, path, number):
    raise AssertionError(line)


def first(layout, folder, tell=silent):
    """The first volume of a made cohort."""
    return read_labelled(LAYOUTS[layout].find(folder)[0], LAYOUTS[layout], tell)


def by_name(layout, labels):
    """The names of classes in the place of their values."""
    names = np.array(["", *(one.name for one in LAYOUTS[layout].classes)])
    return names[labels]


def test_slices_are_looked_at_from_the_feet_with_the_front_above():
    voxels = (
        np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.uint8)
    )  # x to the right, y to the front, z to the head
    found = upright(voxels, 2)
    assert found.shape == (4, 3, 2)
    for position in range(4):
        for row in range(3):
            for column in range(2):
                # Column 0 is the right side of the patient, row 0 the front.
                assert found[position, row, column] == voxels[1 - column, 2 - row, position]


@pytest.mark.parametrize(("through", "shape"), [(0, (2, 4, 3)), (1, (3, 4, 2))])
def test_other_slices_have_the_head_above(through, shape):
    voxels = np.zeros((2, 3, 4), np.uint8)
    voxels[:, :, 3] = 1  # the head
    found = upright(voxels, through)
    assert found.shape == shape
    assert (found[:, 0] == 1).all()
    assert (found[:, 1:] == 0).all()


@pytest.mark.parametrize("codes", ["RAS", "LPS", "RAI", "SAR"])
def test_files_of_one_scene_give_the_same_slices_however_they_run(tmp_path, codes):
    plain = list(first("acdc", made_volumes.acdc(tmp_path / "plain", 1)).slices())
    found = list(first("acdc", made_volumes.acdc(tmp_path / "turned", 1, codes=codes)).slices())
    assert len(plain) == len(found) == 5
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.info == other.info


def test_slices_are_the_volumes_px_and_labels_with_its_spacing(tmp_path):
    made_volumes.acdc(tmp_path, 1)
    volume = first("acdc", tmp_path)
    normalised = mr(read_nifti(volume.files.images[0], 3, silent))
    marked = made_volumes.labels((1, 2, 3))
    slices = list(volume.slices())
    assert [one.info.position for one in slices] == [0, 1, 2, 3, 4]
    for one in slices:
        position = one.info.position
        np.testing.assert_array_equal(one.pixels[::-1, ::-1, 0].T, normalised.pixels[:, :, position])
        np.testing.assert_array_equal(one.labels[::-1, ::-1].T, marked[:, :, position] + 1)
        assert one.pixels.shape == (28, 32, 1)
        assert one.info.spacing == Spacing(1500.0, 1250.0)
        assert one.info.fill == (normalised.fill,)
        assert (one.info.volume, one.info.thickness, one.info.bands) == ("patient001_ED", 8.0, ("mr",))


def test_classes_keep_their_names_whatever_a_cohort_numbers_them(tmp_path):
    acdc = first("acdc", made_volumes.acdc(tmp_path / "a", 1))
    mnms = first("mnms", made_volumes.mnms(tmp_path / "m", 1))
    boxes = made_volumes.labels((1, 2, 3))
    for layout, volume, names in (("acdc", acdc, ["rv", "myo", "lv"]), ("mnms", mnms, ["lv", "myo", "rv"])):
        wanted = np.array(["background", *names])[boxes]
        np.testing.assert_array_equal(by_name(layout, volume.labels), wanted)
    # The same value means the same in both.
    np.testing.assert_array_equal(acdc.labels[boxes == 1], 2)
    np.testing.assert_array_equal(mnms.labels[boxes == 1], 4)


def test_frames_of_a_file_are_told_apart(tmp_path):
    folder = made_volumes.mnms(tmp_path, 1)
    ed, es = (read_labelled(one, LAYOUTS["mnms"], silent) for one in LAYOUTS["mnms"].find(folder))
    marked = made_volumes.labels((1, 2, 3))
    for volume, frame in ((ed, 0), (es, 2)):
        alone = made_volumes.write(tmp_path / "one.nii", made_volumes.image(marked, frame))
        np.testing.assert_array_equal(volume.pixels[0], mr(read_nifti(alone, 3, silent)).pixels)


def test_tumours_have_four_bands_and_their_fourth_label_is_the_last_class(tmp_path):
    volume = first("brats", made_volumes.brats(tmp_path, 1))
    boxes = made_volumes.labels((2, 1, 4), (24, 26, 4))
    assert volume.pixels.shape == (4, 24, 26, 4)
    assert volume.fill == (102, 102, 102, 102)
    np.testing.assert_array_equal(volume.pixels[:, boxes == 0], 102)
    assert not np.array_equal(volume.pixels[0], volume.pixels[1])
    wanted = np.array([1, 2, 3, 0, 4])[boxes]
    np.testing.assert_array_equal(volume.labels, wanted)


def test_organs_lie_in_their_window(tmp_path):
    volume = first("synapse", made_volumes.synapse(tmp_path, 1))
    boxes = made_volumes.labels((6, 7, 13))
    np.testing.assert_array_equal(volume.pixels[0][boxes == 0], 0)
    assert volume.pixels[0][boxes > 0].min() > 0
    np.testing.assert_array_equal(volume.labels, boxes + 1)


def replaced(folder, voxels, **how):
    """The first labels of a made ACDC cohort, replaced."""
    made_volumes.acdc(folder, 1)
    return made_volumes.write(folder / "training/patient001/patient001_frame01_gt.nii.gz", voxels, **how)


MARKED = made_volumes.labels((1, 2, 3))


@pytest.mark.parametrize(
    ("voxels", "how", "message"),
    [
        (MARKED[:-1], {}, r"_gt\.nii\.gz: found 31 x 28 x 5 voxels, wanted 32 x 28 x 5 as patient001_frame01\.nii\.gz"),
        (MARKED, {"affine": made_volumes.affine_of(origin=(0, 0, 0))},
         r"_gt\.nii\.gz: its affine places voxels elsewhere than that of patient001_frame01\.nii\.gz"),
        (MARKED + 2, {}, r"_gt\.nii\.gz: found label values 4, 5, wanted 0 background, 1 rv, 2 myo, 3 lv"),
        (MARKED * np.float32(0.5), {}, r"found label values 0\.5, 1\.5, wanted 0 background, 1 rv"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(tmp_path, voxels, how, message):
    replaced(tmp_path, voxels, **how)
    with pytest.raises(MaskError, match=message):
        first("acdc", tmp_path)


def test_labels_of_another_turn_are_not_another_place(tmp_path):
    replaced(tmp_path, MARKED, codes="LPS")
    np.testing.assert_array_equal(first("acdc", tmp_path).labels, MARKED + 1)


def test_missing_files_are_named(tmp_path):
    path = replaced(tmp_path, MARKED)
    path.unlink()
    with pytest.raises(
        MaskError,
        match=r"frame01_gt\.nii\.gz: found no such file, wanted the labels of patient001_ED; add it",
    ):
        first("acdc", tmp_path)
    brats = made_volumes.brats(tmp_path / "b", 1)
    (brats / "BraTS2021_00000" / "BraTS2021_00000_t2.nii.gz").unlink()
    with pytest.raises(
        SlideError, match=r"00000_t2\.nii\.gz: found no such file, wanted an image of BraTS2021_00000"
    ):
        first("brats", brats)


def test_a_band_of_another_shape_is_refused(tmp_path):
    brats = made_volumes.brats(tmp_path, 1)
    path = brats / "BraTS2021_00000" / "BraTS2021_00000_flair.nii.gz"
    made_volumes.write(path, np.ones((24, 26, 3), np.int16), made_volumes.affine_of((1, 1, 1)))
    with pytest.raises(MaskError, match=r"flair\.nii\.gz: found 24 x 26 x 3 voxels, wanted 24 x 26 x 4"):
        first("brats", brats)


def test_frames_that_are_not_there_or_have_no_label_are_refused(tmp_path):
    folder = made_volumes.mnms(tmp_path, 1)
    table = tmp_path / "211230_information.csv"
    text = table.read_text()
    table.write_text(text.replace(",0,2", ",1,2"))
    with pytest.raises(MaskError, match=r"A0B0C_sa_gt\.nii\.gz: frame 1 of A0B0C_ED has no label at all"):
        first("mnms", folder)
    table.write_text(text.replace(",0,2", ",3,2"))
    with pytest.raises(SlideError, match=r"found 3 frames, wanted frame 3 \(from 0\) for A0B0C_ED"):
        first("mnms", folder)
