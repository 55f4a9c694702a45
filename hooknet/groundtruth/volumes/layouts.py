"""Published cohorts of volumes: which files they have, whose they are, and what their label values mean."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hooknet.errors import SlideError
from hooknet.groundtruth.volumes import normalise
from hooknet.groundtruth.volumes.normalise import Normalise
from hooknet.labels import BACKGROUND

PHASES: Final = ("ED", "ES")
SUFFIXES: Final = (".nii.gz", ".nii")


@dataclass(frozen=True)
class VolumeFiles:
    """The files of one labelled volume: ``images``, one a band, and ``labels``.

    ``frame``: which of a four-dimensional file's volumes it is, None where files are three-dimensional.
    """

    name: str
    patient: str
    images: tuple[Path, ...]
    labels: Path
    frame: int | None = None


@dataclass(frozen=True)
class VolumeClass:
    """A class: the value that its voxels have in the cohort's files, and its colour in maps."""

    name: str
    raw: int
    colour: str


@dataclass(frozen=True)
class Layout:
    """One published cohort; ``classes`` are in the order of the values 1, 2, ... that their masks get."""

    about: str
    bands: tuple[str, ...]
    classes: tuple[VolumeClass, ...]
    normalise: Normalise
    find: Callable[[Path], list[VolumeFiles]]


def find_acdc(folder: Path) -> list[VolumeFiles]:
    """``patientNNN/patientNNN_frameNN.nii.gz`` with ``_gt``; ``Info.cfg`` says which frames are ED and ES."""
    patients = {path.parent for path in (*_files(folder, "Info.cfg"), *_niftis(folder, "*_frame*"))}
    found = []
    for patient in sorted(patients):
        frames = _info(patient / "Info.cfg")
        for phase in PHASES:
            stem = f"{patient.name}_frame{frames[phase]:02d}"
            images, labels = (_nifti(patient, stem),), _nifti(patient, f"{stem}_gt")
            found.append(VolumeFiles(f"{patient.name}_{phase}", patient.name, images, labels))
    return found


def find_mnms(folder: Path) -> list[VolumeFiles]:
    """``CODE/CODE_sa.nii.gz`` with ``_gt``, 4D; a CSV file above them says which frames (from 0) are ED and ES."""
    places = sorted({(path.parent, _stem(path).removesuffix("_sa")) for path in _niftis(folder, "*_sa")})
    frames = _phases(folder) if places else {}
    found = []
    for parent, code in places:
        image, labels = _nifti(parent, f"{code}_sa"), _nifti(parent, f"{code}_sa_gt")
        if code not in frames:
            raise SlideError(f"{image}: the CSV file of the cohort has no row for {code!r}; add it")
        for phase, frame in zip(PHASES, frames[code], strict=True):
            found.append(VolumeFiles(f"{code}_{phase}", code, (image,), labels, frame))
    return found


def find_brats(folder: Path) -> list[VolumeFiles]:
    """``BraTS2021_NNNNN/BraTS2021_NNNNN_t1.nii.gz``, ``_t1ce``, ``_t2``, ``_flair`` and ``_seg``."""
    found = []
    for patient in sorted({path.parent for path in _niftis(folder, "BraTS*_*")}):
        images = tuple(_nifti(patient, f"{patient.name}_{band}") for band in BRATS_BANDS)
        found.append(VolumeFiles(patient.name, patient.name, images, _nifti(patient, f"{patient.name}_seg")))
    return found


def find_synapse(folder: Path) -> list[VolumeFiles]:
    """``img/imgNNNN.nii.gz`` and ``label/labelNNNN.nii.gz``; a number is a patient."""
    numbers = {
        (path.parent.parent, _stem(path).removeprefix(kind))
        for kind in ("img", "label")
        for path in _niftis(folder, f"{kind}[0-9]*")
        if path.parent.name == kind
    }
    return [
        VolumeFiles(
            f"case{number}",
            f"case{number}",
            (_nifti(above / "img", f"img{number}"),),
            _nifti(above / "label", f"label{number}"),
        )
        for above, number in sorted(numbers)
    ]


def _files(folder: Path, pattern: str) -> list[Path]:
    """All files of the pattern below a folder; not those that begin with a dot, which some systems leave."""
    return sorted(one for one in folder.rglob(pattern) if one.is_file() and not one.name.startswith("."))


def _niftis(folder: Path, stem: str) -> list[Path]:
    return [path for suffix in SUFFIXES for path in _files(folder, stem + suffix)]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _nifti(folder: Path, stem: str) -> Path:
    """The file of that stem, packed or not; where there is none, what it should be called."""
    possible = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return next((one for one in possible if one.is_file()), possible[0])


def _info(path: Path) -> dict[str, int]:
    """The numbers of the frames ED and ES in an ``Info.cfg``; SlideError where they are not there."""
    if not path.is_file():
        raise SlideError(f"{path}: found no such file, which says the frames ED and ES; add it")
    text = path.read_text(encoding="utf-8", errors="replace")
    found = {}
    for phase in PHASES:
        match = re.search(rf"^\s*{phase}\s*:\s*(\d+)\s*$", text, re.MULTILINE)
        if match is None:
            raise SlideError(
                f"{path}: found no line such as '{phase}: 1', wanted the number of that frame; add it"
            )
        found[phase] = int(match[1])
    return found


def _phases(folder: Path) -> dict[str, tuple[int, int]]:
    """Code -> frames of ED and ES, from the CSV file of the cohort, in the folder or up to two above it."""
    places = (folder, *folder.resolve().parents[:2])
    for table in (one for place in places for one in sorted(place.glob("*.csv"))):
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            rows = csv.DictReader(text)
            with contextlib.suppress(csv.Error):  # some other file
                if {"External code", *PHASES} <= set(rows.fieldnames or ()):
                    return {row["External code"]: _frames(table, row) for row in rows}
    raise SlideError(
        f"{folder}: found no CSV file with the columns 'External code', 'ED' and 'ES' there or up to two folders "
        "above; add the one that comes with the cohort"
    )


def _frames(table: Path, row: dict[str, str]) -> tuple[int, int]:
    try:
        first, second = (int(row[phase]) for phase in PHASES)
    except (TypeError, ValueError):
        raise SlideError(
            f"{table}: row {row['External code']!r} has ED {row['ED']!r} and ES {row['ES']!r}, wanted the numbers of "
            "the frames; correct it"
        ) from None
    return first, second


BRATS_BANDS: Final = ("t1", "t1ce", "t2", "flair")
_OUTSIDE: Final = VolumeClass(BACKGROUND, 0, "#d9d9d9")
# In the order of ACDC; M&Ms swap the ventricles.  Masks have the same values, so that one network may serve both.
HEART: Final = {"rv": "#1b6f66", "myo": "#e9c46a", "lv": "#c1121f"}
ORGANS: Final = {
    "spleen": "#993df5", "right_kidney": "#da0b0b", "left_kidney": "#f98686", "gallbladder": "#3df53d",
    "oesophagus": "#f9f986", "liver": "#7a1f63", "stomach": "#daa60b", "aorta": "#da0ba6",
    "inferior_vena_cava": "#080891", "portal_and_splenic_vein": "#0ba6da", "pancreas": "#f986f9",
    "right_adrenal_gland": "#08912a", "left_adrenal_gland": "#086f91",
}  # fmt: skip


def _heart(*names: str) -> tuple[VolumeClass, ...]:
    """The classes of the heart; ``names`` in the order of the values 1, 2, 3 of the cohort's files."""
    return (_OUTSIDE, *(VolumeClass(name, 1 + names.index(name), colour) for name, colour in HEART.items()))


def _numbered(colours: Iterable[tuple[str, str]]) -> tuple[VolumeClass, ...]:
    return (
        _OUTSIDE,
        *(VolumeClass(name, raw, colour) for raw, (name, colour) in enumerate(colours, start=1)),
    )


LAYOUTS: Final[dict[str, Layout]] = {
    "acdc": Layout(
        "Automated Cardiac Diagnosis Challenge (cine MR, short axis)",
        ("mr",), _heart("rv", "myo", "lv"), normalise.mr, find_acdc,
    ),
    "mnms": Layout(
        "Multi-Centre, Multi-Vendor and Multi-Disease cardiac segmentation (cine MR, short axis)",
        ("mr",), _heart("lv", "myo", "rv"), normalise.mr, find_mnms,
    ),
    "brats": Layout(
        "Brain Tumour Segmentation 2021 (MR, four sequences)",
        BRATS_BANDS,
        (
            _OUTSIDE, VolumeClass("necrotic_core", 1, "#4361ee"), VolumeClass("oedema", 2, "#e9c46a"),
            VolumeClass("enhancing_tumour", 4, "#c1121f"),
        ),
        normalise.brain_mr, find_brats,
    ),
    "synapse": Layout(
        "Synapse multi-organ (CT of the abdomen)", ("ct",), _numbered(ORGANS.items()), normalise.ct, find_synapse
    ),
}  # fmt: skip
