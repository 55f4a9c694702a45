"""NIfTI volumes, turned the same way whatever way their files run, with spacings in mm.

A file's axes are reversed and swapped until they run to the patient's right, to the front and to the head (RAS);
nothing is resampled.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import PLAUSIBLE_SLICE_SPACING
from hooknet.errors import SlideError

# Only some of nibabel says its types.
orientations: Any = nib.orientations
affines: Any = nib.affines

Voxels = NDArray[np.float32]
Matrix = NDArray[np.float64]
#: What is told of a file that is taken as it is all the same: a line, which a number may have to be put into; the
#: file; the number.  The same line of several files is one with the largest number.
Tell = Callable[[str, Path, float], None]

#: Scanners' axes rarely lie in the patient's exactly; more degrees than this are worth a line.
OBLIQUE: Final = 1.0
#: Beyond so many degrees the nearest of the patient's axes is a matter of chance.
FAR_OFF: Final = 25.0
#: Two affines differ where they place a corner of the volume more than so many mm apart.
SAME_PLACE: Final = 0.1
#: What nibabel and the packing say of files that are no NIfTI, or not all of one.
DAMAGE: Final = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    MemoryError,
    OverflowError,
    zlib.error,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    nib.wrapstruct.WrapStructError,
)
#: Kinds of voxels that are one number each.
NUMBERS: Final = "iuf"
NIFTI2: Final = (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")  # the size of its header, 540
MM: Final = {"mm": 1.0, "meter": 1e3, "micron": 1e-3, "unknown": 1.0}


@dataclass(frozen=True)
class Volume:
    """``voxels`` (x, y, z), or (x, y, z, frames), to the right, the front and the head; ``affine`` of them in mm.

    ``spacing``: mm from voxel to voxel along each axis.  ``through``: the axis from slice to slice.
    """

    path: Path
    voxels: Voxels
    affine: Matrix
    spacing: tuple[float, float, float]
    through: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along x, y and z."""
        return self.voxels.shape[:3]

    def lies_as(self, other: Volume) -> bool:
        """Whether each voxel of one is a voxel of the other, at the same place."""
        return self.shape == other.shape and _apart(self.affine, other.affine, self.shape) <= SAME_PLACE


def read_nifti(path: Path, dimensions: int, tell: Tell) -> Volume:
    """The volume of a ``.nii`` or ``.nii.gz`` file with 3 or 4 ``dimensions``.

    ``tell`` is told of what had to be assumed.  SlideError for a file that is missing or damaged, has other
    dimensions, says no possible spacing, or has voxels that are no numbers.
    """
    image, voxels = _read(path)
    if voxels.ndim != dimensions:
        raise SlideError(
            f"{path}: found {voxels.ndim} dimensions ({' x '.join(map(str, voxels.shape))}), wanted {dimensions}; "
            "is it a file of the layout?"
        )
    wrong = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
    if wrong:
        raise SlideError(
            f"{path}: found {wrong} voxels that are not finite (NaN or infinite); make the file again"
        )
    affine = _affine(path, image, voxels.shape[:3], tell)
    orientation = _orientation(path, affine, tell)
    shape = voxels.shape[:3]
    voxels = np.asarray(orientations.apply_orientation(voxels, orientation), np.float32)
    affine = affine @ orientations.inv_ornt_aff(orientation, shape)
    spacing = _spacing(path, affine, _header_spacing(image, orientation))
    # Of voxels as wide in all directions the file's third axis is from slice to slice.
    widest = int(np.argmax(spacing))
    clear = spacing[widest] > 1.01 * sorted(spacing)[1]
    return Volume(path, voxels, affine, spacing, widest if clear else int(orientation[2, 0]))


def _read(path: Path) -> tuple[Any, Voxels]:
    """The image and its voxels, axes of one voxel at the end left out."""
    if not path.is_file():
        raise SlideError(f"{path}: found no such file; add it, or take its patient's folder out")
    try:
        packed = path.read_bytes()
        # To the end, where gzip says whether what came before is what was written.
        plain = gzip.decompress(packed) if path.suffix.lower() == ".gz" else packed
        image: Any = (nib.Nifti2Image if plain[:4] in NIFTI2 else nib.Nifti1Image).from_bytes(plain)
        kind = image.get_data_dtype()
        if kind.kind in NUMBERS:
            with np.errstate(over="ignore"):  # what becomes infinite is refused
                voxels = np.asarray(image.dataobj, np.float32)
    except DAMAGE as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise SlideError(
            f"{path}: cannot be read as NIfTI ({told}); the file is damaged: copy it again"
        ) from None
    if kind.kind not in NUMBERS:
        raise SlideError(
            f"{path}: found voxels of type {kind}, wanted one number a voxel; convert the file to float32"
        )
    while voxels.ndim > 3 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    return image, voxels


def _affine(path: Path, image: Any, shape: tuple[int, ...], tell: Tell) -> Matrix:
    """The file's affine in mm; what it leaves open or contradicts is told."""
    header = image.header
    try:
        unit = header.get_xyzt_units()[0]
    except KeyError:
        unit = "unknown"
    if unit == "unknown":
        tell("does not say the unit of its spacing: taken as mm", path, 0)
    to_mm = np.diag([MM[unit]] * 3 + [1.0])
    affine: Matrix = to_mm @ np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise SlideError(f"{path}: its affine gives voxels no size or no place; write the header again")
    if header["sform_code"] > 0 and header["qform_code"] > 0:
        apart = _apart(affine, to_mm @ header.get_qform(), shape)
        if apart > SAME_PLACE:
            tell("has an sform and a qform that lie {:.3g} mm apart: the sform is taken", path, apart)
    elif header["sform_code"] == 0 and header["qform_code"] == 0:
        tell(
            "does not say how it lies in the patient: taken to run to the left, the front and the head",
            path,
            0,
        )
    return affine


def _orientation(path: Path, affine: Matrix, tell: Tell) -> Matrix:
    """Which axis of the patient each axis of the file is, and which way it runs.

    A volume far off the patient's axes keeps its own: those next to them would change from patient to patient.
    """
    angle = float(np.degrees(affines.obliquity(affine)).max())
    if angle > OBLIQUE:
        tell("lies obliquely, by {:.1f}°: slices are those that were scanned", path, angle)
    if angle > FAR_OFF:
        tell("lies too far off the patient's axes to be turned to them: slices lie as in the file", path, 0)
        return np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    found: Matrix = orientations.io_orientation(affine)
    if np.isnan(found).any():
        raise SlideError(f"{path}: its affine gives voxels no size or no place; write the header again")
    return found


def _apart(one: Matrix, other: Matrix, shape: tuple[int, ...]) -> float:
    """The largest distance (mm) between the places of a corner of the volume."""
    corners = np.array(np.meshgrid(*[(0, side - 1) for side in shape], [1])).reshape(4, -1)
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


def _header_spacing(image: Any, orientation: NDArray[np.float64]) -> tuple[float, ...]:
    """The header's own sizes of voxels in mm, for axes as they run now."""
    try:
        to_mm = MM[image.header.get_xyzt_units()[0]]
    except KeyError:
        to_mm = 1.0
    found = [0.0] * 3
    for old, (new, _) in enumerate(orientation):
        found[int(new)] = _shortest(image.header.get_zooms()[old]) * to_mm
    return tuple(found)


def _spacing(path: Path, affine: Matrix, header: tuple[float, ...]) -> tuple[float, float, float]:
    """The affine's, in the header's own digits where it says the same (an oblique affine holds them in sines)."""
    sizes = affines.voxel_sizes(affine)
    x, y, z = (
        round(said if abs(said - size) <= 1e-5 * size else _shortest(size), 9)
        for size, said in zip(sizes, header, strict=True)
    )
    low, high = (one / 1000 for one in PLAUSIBLE_SLICE_SPACING)
    if not all(low <= one <= high for one in (x, y, z)):
        raise SlideError(
            f"{path}: found voxels of {x:g} x {y:g} x {z:g} mm, wanted {low:g}..{high:g} mm: a wrong unit; correct "
            "the file's xyzt_units or its affine"
        )
    return x, y, z


def _shortest(value: float) -> float:
    """The number of fewest digits that single precision, which NIfTI headers have, cannot tell from a value."""
    return float(str(np.float32(value)))
