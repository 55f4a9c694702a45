"""A folder with the maps of slides that shared a job, and what went wrong with those that have none.

FOLDER/SLIDE.tif, FOLDER/probabilities/SLIDE.tif where they are kept, FOLDER/SLIDE.failed: one line.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hooknet.errors import HookNetError, MaskError, SlideError
from hooknet.io.atomic import atomic, write_text


def bundled_map(folder: Path, slide: str) -> Path:
    """Where the map of a slide is."""
    return folder / f"{slide}.tif"


def bundled_probabilities(folder: Path, slide: str) -> Path:
    """Where the probabilities of a slide are."""
    return folder / "probabilities" / f"{slide}.tif"


def tell_failed(folder: Path, slide: str, error: HookNetError) -> None:
    """Write why a slide has no map."""
    write_text(_failed(folder, slide), f"{error}\n")


def take_from_bundle(folder: Path, slide: str, output: Path, probabilities: Path | None) -> None:
    """Put a slide's map and probabilities in place.

    SlideError with the slide's own line where predicting it failed; MaskError where there is neither.
    """
    failed = _failed(folder, slide)
    if failed.is_file():
        raise SlideError(failed.read_text(encoding="utf-8").strip())
    if probabilities is not None:
        # In place before the map is, which says that all is done.
        _take(bundled_probabilities(folder, slide), probabilities)
    _take(bundled_map(folder, slide), output)


def _failed(folder: Path, slide: str) -> Path:
    return folder / f"{slide}.failed"


def _take(file: Path, place: Path) -> None:
    """A second name for a file, or a copy where the disk has no such thing."""
    if not file.is_file():
        raise MaskError(
            f"{file}: found no file, wanted the raster that infer-bundle writes; predict it again"
        )
    with atomic(place) as partial:
        try:
            os.link(file, partial)
        except OSError:
            shutil.copyfile(file, partial)
        os.utime(partial)  # newer than the folder it comes from, or it would be made again
