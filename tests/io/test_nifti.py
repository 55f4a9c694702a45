"""NIfTI files of one scene, however their axes run and whatever their units, are one volume."""

import gzip

import made_volumes
import nibabel as nib
import numpy as np
import pytest

from hooknet.errors import SlideError
from hooknet.io.nifti import read_nifti

SCENE = made_volumes.image(made_volumes.labels((1, 2, 3)))


def told():
    """A list of what was told, and the function that is told it."""
    lines = []
    return lines, lambda line, path, number: lines.append((line.format(number), path.name))


def silent(line, path, number):
    raise AssertionError(line)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "RPI", "SAR", "PIR", "ASL"])
@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_a_scene_is_the_same_however_its_axes_run(tmp_path, codes, name):
    path = made_volumes.write(tmp_path / name, SCENE, codes=codes)
    assert "".join(nib.aff2axcodes(nib.load(path).affine)) == codes
    found = read_nifti(path, 3, silent)
    np.testing.assert_array_equal(found.voxels, SCENE)
    np.testing.assert_allclose(found.affine, made_volumes.affine_of(), atol=1e-6)
    assert found.spacing == made_volumes.SPACING
    assert found.through == 2


@pytest.mark.parametrize(("codes", "through"), [("RAS", 2), ("SAR", 0), ("RSA", 1), ("PRS", 2)])
def test_of_voxels_as_wide_in_all_directions_the_files_third_axis_counts(tmp_path, codes, through):
    voxels = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    path = made_volumes.write(tmp_path / "v.nii", voxels, made_volumes.affine_of((1, 1, 1)), codes=codes)
    assert read_nifti(path, 3, silent).through == through


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("meter", 1000.0), ("micron", 0.001)])
def test_units_become_mm(tmp_path, unit, factor):
    affine = made_volumes.affine_of()
    affine[:3] /= factor
    found = read_nifti(made_volumes.write(tmp_path / "v.nii", SCENE, affine, unit=unit), 3, silent)
    assert found.spacing == pytest.approx(made_volumes.SPACING, rel=1e-6)
    np.testing.assert_allclose(found.affine, made_volumes.affine_of(), rtol=1e-6)


def test_an_unknown_unit_is_taken_as_mm_and_told(tmp_path):
    lines, tell = told()
    path = made_volumes.write(tmp_path / "v.nii", SCENE, unit="unknown")
    assert read_nifti(path, 3, tell).spacing == made_volumes.SPACING
    assert lines == [("does not say the unit of its spacing: taken as mm", "v.nii")]


def rotated(degrees, spacing=made_volumes.SPACING):
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ made_volumes.affine_of(spacing)


@pytest.mark.parametrize("degrees", [0.9, 1.1, 24.0])
def test_an_oblique_volume_is_told_with_its_angle_and_keeps_its_voxels_and_spacing(tmp_path, degrees):
    lines, tell = told()
    spacing = (1.3672, 0.7, 9.6)
    found = read_nifti(made_volumes.write(tmp_path / "v.nii", SCENE, rotated(degrees, spacing)), 3, tell)
    wanted = [(f"lies obliquely, by {degrees:.1f}°: slices are those that were scanned", "v.nii")]
    assert lines == (wanted if degrees > 1 else [])
    np.testing.assert_array_equal(found.voxels, SCENE)
    assert found.spacing == spacing  # in the digits that were meant, not in those of single precision


@pytest.mark.parametrize("degrees", [26.0, 42.0, 48.0])
def test_far_off_the_patients_axes_slices_lie_as_in_the_file(tmp_path, degrees):
    """Of 42° and 48° other axes of the patient are the nearest: the same scan would be turned in one of them."""
    lines, tell = told()
    found = read_nifti(made_volumes.write(tmp_path / "v.nii", SCENE, rotated(degrees)), 3, tell)
    np.testing.assert_array_equal(found.voxels, SCENE)
    assert lines[1] == (
        "lies too far off the patient's axes to be turned to them: slices lie as in the file",
        "v.nii",
    )


def test_voxels_that_are_not_one_number_are_refused(tmp_path):
    for dtype in (np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])):
        image = nib.Nifti1Image(np.zeros((3, 4, 5), dtype), np.eye(4))
        nib.save(image, tmp_path / "v.nii")
        with pytest.raises(SlideError, match=r"v.nii: found voxels of type .*, wanted one number a voxel"):
            read_nifti(tmp_path / "v.nii", 3, told()[1])


def test_a_header_of_a_volume_larger_than_memory_is_one_line(tmp_path):
    path = made_volumes.write(tmp_path / "v.nii", SCENE)
    raw = bytearray(path.read_bytes())
    raw[42:48] = np.array([32000] * 3, "<i2").tobytes()
    path.write_bytes(raw)
    with pytest.raises(SlideError, match=r"v\.nii: cannot be read as NIfTI"):
        read_nifti(path, 3, told()[1])


def test_nifti_2_is_read_too(tmp_path):
    nib.save(nib.Nifti2Image(SCENE, made_volumes.affine_of()), tmp_path / "v.nii")
    np.testing.assert_array_equal(read_nifti(tmp_path / "v.nii", 3, told()[1]).voxels, SCENE)


def test_sform_and_qform_that_contradict_are_told_and_the_sform_counts(tmp_path):
    path = made_volumes.write(tmp_path / "v.nii", SCENE)
    image = nib.load(path)
    image.set_qform(made_volumes.affine_of(origin=(-20.0, -27.0, 5.0)), 1)
    nib.save(image, tmp_path / "w.nii")
    lines, tell = told()
    found = read_nifti(tmp_path / "w.nii", 3, tell)
    assert lines == [("has an sform and a qform that lie 3 mm apart: the sform is taken", "w.nii")]
    np.testing.assert_allclose(found.affine, made_volumes.affine_of())


def test_a_file_without_either_is_told(tmp_path):
    lines, tell = told()
    path = made_volumes.write(tmp_path / "v.nii", SCENE, forms=(0, 0))
    found = read_nifti(path, 3, tell)
    assert lines[0][0].startswith("does not say how it lies in the patient: taken to run to the left")
    np.testing.assert_array_equal(found.voxels, SCENE[::-1])


def test_slopes_and_intercepts_are_applied(tmp_path):
    made = nib.Nifti1Image(SCENE, made_volumes.affine_of())
    made.header.set_xyzt_units("mm")
    made.header.set_slope_inter(0.5, -1000)
    nib.save(made, tmp_path / "v.nii.gz")
    found = read_nifti(tmp_path / "v.nii.gz", 3, silent)
    np.testing.assert_allclose(found.voxels, nib.load(tmp_path / "v.nii.gz").get_fdata())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers_are_refused(tmp_path, value):
    voxels = SCENE.astype(np.float32)
    voxels[3, 4, :2] = value
    path = made_volumes.write(tmp_path / "v.nii", voxels)
    with pytest.raises(SlideError, match=r"v\.nii: found 2 voxels that are not finite"):
        read_nifti(path, 3, silent)


def test_other_dimensions_are_refused_but_axes_of_one_voxel(tmp_path):
    four = np.stack([SCENE, SCENE], axis=-1)
    path = made_volumes.write(tmp_path / "v.nii", four)
    with pytest.raises(SlideError, match=r"found 4 dimensions \(32 x 28 x 5 x 2\), wanted 3"):
        read_nifti(path, 3, silent)
    assert read_nifti(path, 4, silent).voxels.shape == (32, 28, 5, 2)
    with pytest.raises(SlideError, match=r"found 3 dimensions .*, wanted 4"):
        read_nifti(made_volumes.write(tmp_path / "w.nii", SCENE), 4, silent)
    single = made_volumes.write(tmp_path / "s.nii", SCENE[..., None])
    np.testing.assert_array_equal(read_nifti(single, 3, silent).voxels, SCENE)


def test_damaged_files_are_refused(tmp_path):
    path = made_volumes.write(tmp_path / "v.nii.gz", SCENE)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-6] ^= 0xFF  # the sum that gzip checks: the voxels themselves unpack without complaint
    plain = gzip.decompress(whole)
    for name, damaged in (
        ("v.nii.gz", whole[: len(whole) // 2]), ("v.nii.gz", bytes(flipped)), ("v.nii.gz", b""),
        ("v.nii.gz", b"\x1f\x8b"), ("v.nii", plain[: len(plain) - 100]), ("v.nii", b"no NIfTI at all" * 40),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(
            SlideError, match=r"cannot be read as NIfTI \(.+\); the file is damaged: copy it again"
        ):
            read_nifti(tmp_path / name, 3, silent)
    with pytest.raises(SlideError, match="found no such file"):
        read_nifti(tmp_path / "w.nii.gz", 3, silent)


@pytest.mark.parametrize("spacing", [(0.01, 1.0, 5.0), (1.0, 1.0, 25.0), (1500.0, 1250.0, 8000.0)])
def test_voxels_of_a_wrong_unit_are_refused(tmp_path, spacing):
    path = made_volumes.write(tmp_path / "v.nii", SCENE, made_volumes.affine_of(spacing))
    with pytest.raises(SlideError, match=r"wanted 0\.02\.\.20 mm: a wrong unit"):
        read_nifti(path, 3, silent)


def test_an_affine_without_volume_is_refused(tmp_path):
    affine = made_volumes.affine_of()
    affine[2, 2] = 0
    path = made_volumes.write(tmp_path / "v.nii", SCENE, forms=(0, 0))
    image = nib.Nifti1Image(SCENE, None, nib.load(path).header)
    image.header.set_sform(affine, 1)
    path.write_bytes(image.to_bytes())
    with pytest.raises(SlideError, match="its affine gives voxels no size or no place"):
        read_nifti(path, 3, silent)


def test_volumes_lie_alike_within_a_tenth_of_a_mm(tmp_path):
    def at(name, **how):
        affine = made_volumes.affine_of(**how)
        return read_nifti(made_volumes.write(tmp_path / name, SCENE, affine), 3, silent)

    one = at("a.nii")
    assert one.lies_as(at("b.nii", origin=(-20.05, -30.0, 5.0)))
    assert not one.lies_as(at("c.nii", origin=(-20.2, -30.0, 5.0)))
    assert not one.lies_as(at("d.nii", spacing=(1.5, 1.26, 8.0)))
