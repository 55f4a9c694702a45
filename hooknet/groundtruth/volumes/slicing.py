"""A labelled volume as slices: checked, normalised, and laid out as people look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hooknet.coordinates import Spacing
from hooknet.errors import MaskError, SlideError
from hooknet.groundtruth.volumes.layouts import Layout, VolumeClass, VolumeFiles
from hooknet.io.nifti import Tell, Volume, read_nifti
from hooknet.io.slice_file import SliceInfo

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledSlice:
    """``pixels`` (height, width, bands) and the ``labels`` (height, width) 1..K of each; ``info`` of its file."""

    pixels: Bytes
    labels: Bytes
    info: SliceInfo


@dataclass(frozen=True)
class LabelledVolume:
    """Bands (bands, x, y, z) of bytes and the labels (x, y, z) 1..K; ``clipped`` voxels were beyond the bytes."""

    files: VolumeFiles
    pixels: Bytes
    labels: Bytes
    fill: tuple[int, ...]
    bands: tuple[str, ...]
    spacing: tuple[float, float, float]
    through: int
    clipped: int

    @property
    def px(self) -> Spacing:
        """The size of a px of the slices in µm: columns and rows."""
        across, down = (mm for axis, mm in enumerate(self.spacing) if axis != self.through)
        return Spacing(_micrometres(across), _micrometres(down))

    @property
    def thickness(self) -> float:
        """Mm from slice to slice."""
        return self.spacing[self.through]

    def slices(self) -> Iterator[LabelledSlice]:
        """From below upwards (from left to right, from back to front where slices are stacked so)."""
        pixels = [upright(band, self.through) for band in self.pixels]
        labels = upright(self.labels, self.through)
        for position, label in enumerate(labels):
            info = SliceInfo(self.px, self.fill, self.bands, self.files.name, position, self.thickness)
            stacked = np.stack([band[position] for band in pixels], axis=-1)
            yield LabelledSlice(stacked, np.ascontiguousarray(label), info)


def upright(voxels: Bytes, through: int) -> Bytes:
    """Voxels (x, y, z) to the right, front and head as slices (position, row, column) across axis ``through``.

    As radiologists look at them: the patient's right side is on the left, the front (of slices that are not
    transverse: the head) above.
    """
    stacked = np.moveaxis(voxels, through, 0)
    return stacked[:, ::-1, ::-1].transpose(0, 2, 1)


def read_labelled(files: VolumeFiles, layout: Layout, tell: Tell) -> LabelledVolume:
    """The volume of these files, normalised; SlideError or MaskError, naming the file, for what cannot be used."""
    check_files(files)
    images = [_frame(read_nifti(path, _dimensions(files), tell), files) for path in files.images]
    # What it says of its place is what the image says, or else the two are refused.
    marked = _frame(read_nifti(files.labels, _dimensions(files), lambda line, path, number: None), files)
    for other in (*images[1:], marked):
        _check_same(images[0], other)
    labels = _classes(marked, layout.classes, files)
    normalised = [layout.normalise(one) for one in images]
    return LabelledVolume(
        files,
        np.stack([one.pixels for one in normalised]),
        labels,
        tuple(one.fill for one in normalised),
        layout.bands,
        images[0].spacing,
        images[0].through,
        sum(one.clipped for one in normalised),
    )


def check_files(files: VolumeFiles) -> None:
    """SlideError or MaskError for a file that is not there."""
    for path in files.images:
        if not path.is_file():
            raise SlideError(f"{path}: found no such file, wanted an image of {files.name}; add it")
    if not files.labels.is_file():
        raise MaskError(f"{files.labels}: found no such file, wanted the labels of {files.name}; add it")


def _dimensions(files: VolumeFiles) -> int:
    return 3 if files.frame is None else 4


def _frame(volume: Volume, files: VolumeFiles) -> Volume:
    """The volume itself, or the one of its frames that is wanted."""
    if files.frame is None:
        return volume
    frames = volume.voxels.shape[3]
    if not 0 <= files.frame < frames:
        raise SlideError(
            f"{volume.path}: found {frames} frames, wanted frame {files.frame} (from 0) for {files.name}; correct the "
            "cohort's CSV file"
        )
    return replace(volume, voxels=volume.voxels[..., files.frame])


def _check_same(one: Volume, other: Volume) -> None:
    if one.shape != other.shape:
        shapes = [" x ".join(map(str, volume.shape)) for volume in (other, one)]
        raise MaskError(
            f"{other.path}: found {shapes[0]} voxels, wanted {shapes[1]} as {one.path.name}; are they of one scan?"
        )
    if not one.lies_as(other):
        raise MaskError(
            f"{other.path}: its affine places voxels elsewhere than that of {one.path.name}; wanted both alike: "
            "resample one to the other"
        )


def _classes(marked: Volume, classes: Sequence[VolumeClass], files: VolumeFiles) -> Bytes:
    """Values 1..K of the classes for the cohort's own; MaskError for values that no class has."""
    found = np.unique(marked.voxels)
    known = {one.raw: value for value, one in enumerate(classes, start=1)}
    unknown = [f"{value:g}" for value in found if float(value) not in known]
    if unknown:
        wanted = ", ".join(f"{one.raw} {one.name}" for one in classes)
        raise MaskError(f"{marked.path}: found label values {', '.join(unknown[:10])}, wanted {wanted}")
    if files.frame is not None and found.tolist() == [0]:
        raise MaskError(
            f"{marked.path}: frame {files.frame} of {files.name} has no label at all; correct the frames in the "
            "cohort's CSV file"
        )
    table = np.zeros(max(known) + 1, np.uint8)
    table[list(known)] = list(known.values())
    return table[marked.voxels.astype(np.intp)]


def _micrometres(mm: float) -> float:
    """Without the digits that only the multiplication made."""
    return round(mm * 1000, 6)


def slice_id(volume: str, position: int) -> str:
    """What a slice is called."""
    return f"{volume}_z{position:03d}"


def slice_path(folder: Path, volume: str, position: int) -> Path:
    """Where its pixels are."""
    return folder / "slices" / f"{slice_id(volume, position)}.slice.tif"


def mask_path(folder: Path, volume: str, position: int) -> Path:
    """Where its labels are."""
    return folder / "masks" / f"{slice_id(volume, position)}.png"
