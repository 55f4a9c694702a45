"""A cohort of generated hearts as NIfTI volumes, in the layout of ACDC, to try the import of volumes on.

A short-axis stack: the left ventricle is a bright disc in a dark ring of muscle, the right a bright crescent beside it.
Blood is equally bright in both, so only the ring tells them apart; fat that is as bright lies further out.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from hooknet.errors import ConfigError
from hooknet.io.atomic import atomic, write_text

#: Values of ACDC's label volumes.
RIGHT: Final = 1
MUSCLE: Final = 2
LEFT: Final = 3
#: The frames that ACDC labels: at the end of diastole, and of systole.
FRAMES: Final = {"ED": 1, "ES": 10}
# Intensities of lung, of muscle and the body around, and of blood and fat.
_LUNG, _BODY, _BLOOD = 40.0, 110.0, 220.0
_NOISE = 12.0


@dataclass(frozen=True)
class HeartSettings:
    """``patients`` hearts of two volumes each, ``side`` px wide; ``seed`` of the cohort."""

    patients: int = 12
    side: int = 96
    slices: int = 8
    seed: int = 1

    def __post_init__(self) -> None:
        if self.patients < 1 or self.side < 48 or self.slices < 3:
            raise ConfigError(
                f"hearts: {self.patients} patients of {self.slices} slices of {self.side} px; use 1 patient, 3 slices "
                "and 48 px at least"
            )


@dataclass(frozen=True)
class _Heart:
    """What makes a heart: its spacing and thickness (mm), centre (px), and sizes (mm) at the end of diastole."""

    spacing: float
    thickness: float
    centre: tuple[float, float]
    radius: float
    wall: float
    tilt: float
    squeeze: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, side: int) -> _Heart:
        """One by chance."""
        middle = side / 2
        return cls(
            spacing=float(rng.uniform(1.3, 1.7)),
            thickness=float(rng.choice([8.0, 10.0])),
            centre=(middle + rng.uniform(-6, 6), middle + rng.uniform(-6, 6)),
            radius=float(rng.uniform(20, 26)),
            wall=float(rng.uniform(8, 11)),
            tilt=float(rng.uniform(-0.4, 0.4)),
            squeeze=float(rng.uniform(0.55, 0.75)),
        )

    def labels(self, side: int, slices: int, systole: bool) -> NDArray[np.uint8]:
        """(side, side, slices), 0 outside."""
        x, y = np.meshgrid(*[np.arange(side, dtype=float)] * 2, indexing="ij")
        found = np.zeros((side, side, slices), np.uint8)
        beat = self.squeeze if systole else 1.0
        for position in range(slices):
            taper = np.sqrt(max(0.0, 1 - (position / slices) ** 2))  # towards the apex
            inner = self.radius * beat * taper / self.spacing
            outer = inner + self.wall * (1.35 if systole else 1.0) / self.spacing
            away = np.hypot(x - self.centre[0], y - self.centre[1])
            shift = outer * 0.9
            beside = np.hypot(
                x - self.centre[0] + shift * np.cos(self.tilt), y - self.centre[1] + shift * np.sin(self.tilt)
            )
            found[beside < outer * (0.85 if systole else 1.05) * taper, position] = RIGHT
            found[away < outer, position] = MUSCLE
            found[away < inner, position] = LEFT
        return found

    def image(self, labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
        """Intensities as a scanner might give them: shaded, blurred and noisy."""
        side = labels.shape[0]
        x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
        ground = np.where(np.hypot(x, y * 1.1) < 0.8, _BODY, _LUNG)[..., None] * np.ones(labels.shape)
        fat = gaussian_filter(rng.normal(size=labels.shape), (4, 4, 0))
        ground[(fat > np.quantile(fat, 0.93)) & (labels == 0)] = _BLOOD
        values = np.choose(labels, [ground, _BLOOD, _BODY * 0.7, _BLOOD])
        shade = 1 + 0.2 * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y)[..., None]
        blurred = gaussian_filter(values, (0.6, 0.6, 0)) * shade
        real, imaginary = rng.normal(scale=_NOISE, size=(2, *labels.shape))
        found: NDArray[np.float32] = np.hypot(blurred + real, imaginary).astype(np.float32)
        return found  # magnitudes, as a scanner shows


def write_hearts(folder: Path, settings: HeartSettings) -> list[Path]:
    """Write patient001, patient002 ... with two labelled volumes each; the files of images come back.

    The same settings give the same voxels.
    """
    written = []
    for number in range(1, settings.patients + 1):
        rng = np.random.default_rng([settings.seed, number])
        heart = _Heart.drawn(rng, settings.side)
        patient = folder / f"patient{number:03d}"
        frames = "".join(f"{name}: {frame}\n" for name, frame in FRAMES.items())
        write_text(patient / "Info.cfg", f"{frames}Group: GENERATED\nNbFrame: 20\n")
        for name, frame in FRAMES.items():
            labels = heart.labels(settings.side, settings.slices, systole=name == "ES")
            stem = patient / f"{patient.name}_frame{frame:02d}"
            affine = np.diag([heart.spacing, heart.spacing, heart.thickness, 1.0])
            image = stem.with_name(stem.name + ".nii.gz")
            _write(image, heart.image(labels, rng), affine)
            _write(stem.with_name(stem.name + "_gt.nii.gz"), labels, affine)
            written.append(image)
    return written


def _write(path: Path, voxels: NDArray[np.float32] | NDArray[np.uint8], affine: NDArray[np.float64]) -> None:
    image = nibabel.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    with atomic(path) as partial:
        partial.write_bytes(gzip.compress(image.to_bytes(), mtime=0))  # the same bytes at any time
