import nibabel
import numpy as np
import pytest

from hooknet.demo.hearts import LEFT, MUSCLE, RIGHT, HeartSettings, write_hearts
from hooknet.errors import ConfigError

SMALL = HeartSettings(patients=2, side=64, slices=4)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hearts")
    return folder, write_hearts(folder, SMALL)


def voxels(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_each_patient_has_two_volumes_in_the_layout_of_acdc(cohort):
    folder, images = cohort
    names = [str(path.relative_to(folder)) for path in images]
    assert names == [
        f"patient00{number}/patient00{number}_frame{frame}.nii.gz"
        for number in (1, 2)
        for frame in ("01", "10")
    ]
    assert (folder / "patient002" / "Info.cfg").read_text().startswith("ED: 1\nES: 10\n")
    for path in images:
        image = nibabel.load(path)
        assert image.shape == (64, 64, 4)
        across, down, through = image.header.get_zooms()
        assert across == down and 1.3 <= across <= 1.7 and through in (8, 10)  # noqa: PT018


def test_muscle_parts_the_left_from_everything(cohort):
    """Between a voxel of the left ventricle and any other but muscle there is no common side within a slice."""
    for path in cohort[1]:
        labels = voxels(path.with_name(path.name.replace(".nii.gz", "_gt.nii.gz")))
        assert set(np.unique(labels)) == {0, RIGHT, MUSCLE, LEFT}
        for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            beside = other[one == LEFT]
            assert set(np.unique(beside)) <= {MUSCLE, LEFT}


def test_the_heart_is_smaller_in_systole_and_towards_the_apex(cohort):
    for first in (0, 2):
        diastole, systole = (
            voxels(path.with_name(path.name.replace(".nii.gz", "_gt.nii.gz")))
            for path in cohort[1][first : first + 2]
        )
        assert (systole == LEFT).sum() < 0.7 * (diastole == LEFT).sum()
        areas = (diastole == LEFT).sum(axis=(0, 1))
        assert (np.diff(areas) < 0).all()


def test_blood_is_as_bright_on_both_sides(cohort):
    for path in cohort[1]:
        image, labels = voxels(path), voxels(path.with_name(path.name.replace(".nii.gz", "_gt.nii.gz")))
        left, right, muscle = (np.median(image[labels == value]) for value in (LEFT, RIGHT, MUSCLE))
        assert abs(left - right) < 0.25 * left
        assert muscle < 0.6 * min(left, right)


def test_the_same_settings_give_the_same_bytes(cohort, tmp_path):
    again = write_hearts(tmp_path, SMALL)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in cohort[1]]
    other = write_hearts(tmp_path / "other", HeartSettings(patients=1, side=64, slices=4, seed=2))
    assert other[0].read_bytes() != again[0].read_bytes()


@pytest.mark.parametrize("changes", [{"patients": 0}, {"side": 32}, {"slices": 2}])
def test_too_small_a_cohort_is_refused(changes):
    with pytest.raises(ConfigError, match="use 1 patient, 3 slices and 48 px at least"):
        HeartSettings(**changes)
