"""Tiny cohorts of NIfTI volumes in the layouts of published ones: three patients, a few slices each.

The scene is a body of three nested boxes off the middle, so that no flip or turn of it looks like another.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (32, 28, 5)  # to the right, to the front, to the head
SPACING = (1.5, 1.25, 8.0)  # mm
BOXES = ((slice(4, 22), slice(3, 20), slice(0, 4)), (slice(6, 18), slice(5, 16), slice(1, 4)),
         (slice(7, 12), slice(6, 12), slice(1, 3)))  # fmt: skip


def labels(values, shape=SHAPE):
    """Nested boxes of ``values``, one a box, later ones inside earlier ones; 0 around them."""
    found = np.zeros(shape, np.uint8)
    for value, box in zip(values, BOXES, strict=False):
        found[box] = value
    return found


def image(marked, seed=0, outside=0.0):
    """Intensities that tell the classes apart, with noise; ``outside`` where nothing is marked."""
    rng = np.random.default_rng(seed)
    body = 100 + 40 * marked.astype(np.float64) + rng.normal(0, 10, marked.shape)
    return np.where(marked > 0, body.round(), outside).astype(np.int16)


def affine_of(spacing=SPACING, origin=(-20.0, -30.0, 5.0)):
    """Axes to the right, the front and the head."""
    found = np.diag([*spacing, 1.0])
    found[:3, 3] = origin
    return found


def turned(voxels, affine, codes):
    """The same scene in a file whose axes run to ``codes``, such as LPS."""
    orientation = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(codes)
    )
    moved = nib.orientations.apply_orientation(voxels, orientation)
    return moved, affine @ nib.orientations.inv_ornt_aff(orientation, voxels.shape[:3])


def write(path, voxels, affine=None, codes="RAS", unit="mm", forms=(1, 1)):
    """A NIfTI file, packed where its name says so; ``forms``: the codes of its sform and qform."""
    affine = affine_of() if affine is None else affine
    if codes != "RAS":
        voxels, affine = turned(voxels, affine, codes)
    made = nib.Nifti1Image(voxels, affine)
    made.header.set_xyzt_units(unit)
    made.set_sform(affine, forms[0])
    made.set_qform(affine, forms[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(made.to_bytes(), 1, mtime=0) if path.suffix == ".gz" else made.to_bytes())
    return path


def acdc(folder: Path, patients=3, **how):
    """ED is frame 1 and ES frame 7; a 4D file and another frame's image lie about."""
    for number in range(1, patients + 1):
        name = f"patient{number:03d}"
        place = folder / "training" / name
        for frame in (1, 7):
            marked = labels((1, 2, 3))
            write(place / f"{name}_frame{frame:02d}.nii.gz", image(marked, 10 * number + frame), **how)
            write(place / f"{name}_frame{frame:02d}_gt.nii.gz", marked, **how)
        (place / "Info.cfg").write_text(
            "ED: 1\nES: 7\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
        )
        (place / f"{name}_4d.nii.gz").write_bytes(b"never opened")
    return folder


def mnms(folder: Path, patients=3):
    """ED is frame 0 and ES frame 2 of three; labels are there for these only.  The CSV file lies two above."""
    rows = [",External code,Vendor,Centre,ED,ES"]
    for number in range(patients):
        code = f"A{number}B{number}C"
        place = folder / "Training" / "Labeled" / code
        marked = labels((1, 2, 3))  # LV, myocardium, RV
        frames = np.stack([image(marked, 10 * number + frame) for frame in range(3)], axis=-1)
        write(place / f"{code}_sa.nii.gz", frames)
        write(place / f"{code}_sa_gt.nii.gz", np.stack([marked, 0 * marked, marked], axis=-1))
        rows.append(f"{number},{code},A,1,0,2")
    (folder / "211230_information.csv").write_text("\n".join(rows) + "\n")
    return folder / "Training" / "Labeled"


def brats(folder: Path, patients=3, shape=(24, 26, 4)):
    for number in range(patients):
        name = f"BraTS2021_{number:05d}"
        marked = labels((2, 1, 4), shape)
        for band, seed in (("t1", 1), ("t1ce", 2), ("t2", 3), ("flair", 4)):
            write(
                folder / name / f"{name}_{band}.nii.gz",
                image(marked, 10 * number + seed),
                affine_of((1, 1, 1)),
            )
        write(folder / name / f"{name}_seg.nii.gz", marked, affine_of((1, 1, 1)))
    return folder


def synapse(folder: Path, patients=3):
    for number in range(1, patients + 1):
        marked = labels((6, 7, 13))
        # Air, then soft tissue about 0 to 100 HU.
        voxels = np.where(marked > 0, image(marked, number) - 200, -1000).astype(np.int16)
        write(folder / "img" / f"img{number:04d}.nii.gz", voxels)
        write(folder / "label" / f"label{number:04d}.nii.gz", marked)
    return folder


MAKERS = {"acdc": acdc, "mnms": mnms, "brats": brats, "synapse": synapse}
