"""A cohort of volumes becomes a dataset: slices, masks, their sheet, and a section of a datasets file."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hooknet.config.document import PATTERNS, SAFE_NAME
from hooknet.errors import ConfigError, SlideError
from hooknet.groundtruth.volumes.layouts import Layout, VolumeFiles
from hooknet.groundtruth.volumes.slicing import (
    LabelledSlice,
    LabelledVolume,
    check_files,
    mask_path,
    read_labelled,
    slice_id,
    slice_path,
)
from hooknet.io.atomic import atomic, write_text
from hooknet.io.slice_file import read_slice, write_slice
from hooknet.io.slides import SLICE_COARSER_TOLERANCE

logger = logging.getLogger(__name__)

COLUMNS = ("id", "slide", "annotation", "truth", "patient", "volume", "position", "thickness")
RATIOS = {"training": 0.6, "validation": 0.2, "test": 0.2}
# A slice is small, and its neighbours look alike: fewer places of each than of a slide.
CENTRES_PER_CLASS = 50

Told = Callable[[int, int], None]


@dataclass
class _Seen:
    """What the volumes had in common, to be told once."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    spacings: list[tuple[float, float]] = field(default_factory=list)  # least and largest side of a px, in µm
    notes: dict[str, dict[Path, float]] = field(default_factory=dict)
    written: int = 0
    kept: int = 0
    clipped: int = 0
    voxels: int = 0
    labelled: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))

    def tell(self, line: str, path: Path, number: float) -> None:
        """Note what was assumed of a file."""
        self.notes.setdefault(line, {})[path] = number


def import_volumes(
    layout: Layout, folder: Path, output: Path, name: str, progress: Told = lambda done, volumes: None
) -> None:
    """Write ``slices/``, ``masks/``, ``slides.tsv`` and ``datasets.yaml`` (dataset ``name``) to ``output``.

    Files that are there already and are what would be written stay; the sheet and the section come last, so that
    they are there when all is.  ``progress`` is told (volumes done, volumes).  SlideError, MaskError or ConfigError
    for the first thing that cannot be used.
    """
    if re.fullmatch(SAFE_NAME, name) is None:
        raise ConfigError(f"--name: found {name!r}, wanted {PATTERNS[SAFE_NAME]}")
    output = _from_here(output)
    volumes = _found(layout, folder)
    seen = _Seen()
    for number, files in enumerate(volumes):
        progress(number, len(volumes))
        _import(read_labelled(files, layout, seen.tell), output, seen)
    progress(len(volumes), len(volumes))
    spacing = _common_spacing(seen.spacings)
    _write_anew(output / "slides.tsv", _sheet(seen.rows))
    _write_anew(output / "datasets.yaml", _section(layout, name, output, spacing))
    _report(layout, volumes, seen, output)
    _report_spacing(seen.spacings, spacing)


def _found(layout: Layout, folder: Path) -> list[VolumeFiles]:
    """The volumes of a cohort, each once and under a name that a file may have."""
    if not folder.is_dir():
        raise SlideError(f"{folder}: found no such folder; correct the path")
    volumes = layout.find(folder)
    if not volumes:
        raise SlideError(f"{folder}: found no volume of the {layout.about}; is the layout the right one?")
    seen: dict[str, VolumeFiles] = {}
    for one in volumes:
        if re.fullmatch(SAFE_NAME, one.name) is None:
            raise SlideError(
                f"{one.labels.parent}: found {one.name!r}, wanted {PATTERNS[SAFE_NAME]}; rename it"
            )
        first = seen.setdefault(one.name.lower(), one)
        if first is not one:
            raise SlideError(
                f"{one.labels}: volume {one.name!r} stands in {first.labels.parent} too; take one of them out"
            )
        check_files(one)  # of all, before any is read
    return volumes


def _import(volume: LabelledVolume, output: Path, seen: _Seen) -> None:
    name = volume.files.name
    seen.spacings.append((min(volume.px.x, volume.px.y), max(volume.px.x, volume.px.y)))
    seen.clipped += volume.clipped
    seen.voxels += volume.pixels.size
    seen.labelled += np.bincount(volume.labels.ravel(), minlength=256)
    for one in volume.slices():
        position = one.info.position
        image, mask = slice_path(output, name, position), mask_path(output, name, position)
        _keep_or_write(one, image, mask, seen)
        patient, thickness = volume.files.patient, volume.thickness
        seen.rows.append(
            (slice_id(name, position), image, mask, mask, patient, name, position, f"{thickness:.9g}")
        )


def _keep_or_write(one: LabelledSlice, image: Path, mask: Path, seen: _Seen) -> None:
    """Write what is not there as it should be."""
    if _is_slice(image, one):
        seen.kept += 1
    else:
        write_slice(image, one.pixels, one.info)
        seen.written += 1
    if _is_mask(mask, one):
        seen.kept += 1
    else:
        with atomic(mask) as partial:
            Image.fromarray(one.labels).save(partial)
        seen.written += 1


def _is_slice(path: Path, wanted: LabelledSlice) -> bool:
    if not path.is_file():
        return False
    try:
        pixels, info = read_slice(path)
    except SlideError:
        return False
    return info == wanted.info and np.array_equal(pixels, wanted.pixels)


def _is_mask(path: Path, wanted: LabelledSlice) -> bool:
    if not path.is_file():
        return False
    try:
        with Image.open(path) as found:
            return np.array_equal(np.asarray(found), wanted.labels)
    except (UnidentifiedImageError, OSError, SyntaxError):  # Pillow's word for a damaged PNG
        return False


def _write_anew(path: Path, text: str) -> None:
    """Write a text, but leave a file that says the same untouched: what depends on it need not run again."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)


def _sheet(rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _section(layout: Layout, name: str, output: Path, spacing: float) -> str:
    """A datasets file of this one dataset."""
    classes = {
        one.name: {"value": value, "colour": one.colour} for value, one in enumerate(layout.classes, start=1)
    }
    section: dict[str, Any] = {
        "classes": classes,
        "channels": len(layout.bands),
        "slides": str(output / "slides.tsv"),
        "splits": {"ratios": RATIOS},
        "centres": {"per_class": CENTRES_PER_CLASS},
    }
    bands = ", ".join(layout.bands)
    augment = f"elastic_um: {3 * spacing:.7g}, elastic_scale_um: {40 * spacing:.7g}"
    if len(layout.bands) != 3:
        augment += ", stain: 0, saturation: 0"
    return (
        f"# {layout.about}, written by hooknet import-volumes.  Bands of a slice: {bands}.\n"
        f"# Experiments on it: spacings: [{spacing:.7g}] (µm/px) or coarser ones, infer: {{over: everything}},\n"
        f"# augment: {{{augment}}}.\n"
        + yaml.safe_dump({"datasets": {name: section}}, sort_keys=False, default_flow_style=None, width=110)
    )


def _from_here(output: Path) -> Path:
    """Relative to the working directory where it lies below it, as paths in datasets files are."""
    output = Path(os.path.normpath(output))
    return output.relative_to(Path.cwd()) if output.is_relative_to(Path.cwd()) else output


def _common_spacing(spacings: Sequence[tuple[float, float]]) -> float:
    """The middle spacing of the volumes (µm/px), or the finest that slices of all of them can be brought to."""
    coarsest = [largest for _, largest in spacings]
    return max(float(median(coarsest)), max(coarsest) / (1 + SLICE_COARSER_TOLERANCE))


def _report(layout: Layout, volumes: Sequence[VolumeFiles], seen: _Seen, output: Path) -> None:
    patients = len({one.patient for one in volumes})
    logger.info(
        "%s: %d slices of %d volumes of %d patients; %d files written, %d kept as they were",
        output, len(seen.rows), len(volumes), patients, seen.written, seen.kept,
    )  # fmt: skip
    for line, numbers in seen.notes.items():
        worst = max(numbers, key=lambda path: numbers[path])
        less = ", less so" if "{" in line else ""
        more = f" (and {len(numbers) - 1} more{less})" if len(numbers) > 1 else ""
        logger.warning("%s%s: %s", worst, more, line.format(numbers[worst]))
    if seen.clipped:
        logger.warning(
            "%d of %d px (%.3g %%) were beyond what bytes hold and became 0 or 255",
            seen.clipped, seen.voxels, 100 * seen.clipped / seen.voxels,
        )  # fmt: skip
    missing = [one.name for value, one in enumerate(layout.classes, start=1) if not seen.labelled[value]]
    if missing:
        logger.warning(
            "no px of any volume is %s; take the class out of datasets.yaml, or add volumes that show it",
            " or ".join(missing),
        )


def _report_spacing(spacings: Sequence[tuple[float, float]], common: float) -> None:
    low, high = min(one[0] for one in spacings), max(one[1] for one in spacings)
    if low == high:
        logger.info("all px are %g µm wide: experiments take spacings: [%.7g]", low, common)
    else:
        logger.warning(
            "px are %g to %g µm wide, each slice as it was scanned: experiments bring all to one, such as "
            "spacings: [%.7g]", low, high, common,
        )  # fmt: skip
