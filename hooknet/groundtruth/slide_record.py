"""What is known of a slide before anything is done with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hooknet.config.slides import SlideSettings
from hooknet.coordinates import Window
from hooknet.errors import SlideError
from hooknet.io.slice_file import read_slice
from hooknet.io.slide_checks import check_directories
from hooknet.io.slides import Slide
from hooknet.io.staging import read_from

logger = logging.getLogger(__name__)

PROBE = 64  # px a side


def describe_slide(slide: Slide, spacings: Sequence[float]) -> dict[str, Any]:
    """Size, levels, spacing, bounds of a slide as a JSON record, once every level has been read here and there.

    SlideError when a level cannot be read, or the slide is too coarse for one of ``spacings`` (µm/px), which the
    record does not depend on.
    """
    for spacing in slide.require_all(spacings):
        # Of slices half a cohort is: its spacing lies in the middle of theirs.
        level, slightly = (logging.INFO, "") if slide.is_slice else (logging.WARNING, "slightly ")
        logger.log(
            level,
            "%s: at %s µm/px, %scoarser than %g: interpolated",
            slide.path,
            slide.spacing,
            slightly,
            spacing,
        )
    # That of Hamamatsu's TIFFs counts in other bytes.
    if slide.properties.get("openslide.vendor") != "hamamatsu":
        check_directories(Path(read_from(slide.path)))
    _probe(slide)
    file_spacing = slide.file_spacing
    if file_spacing is not None and slide.spacing != file_spacing:
        logger.warning("%s: the file says %s µm/px, the settings %s", slide.path, file_spacing, slide.spacing)
    return {
        "slide": str(slide.path),
        "vendor": slide.properties.get("openslide.vendor", ""),
        "size": list(slide.size),
        "channels": slide.channels,
        "spacing": [slide.spacing.x, slide.spacing.y],
        "file_spacing": None if file_spacing is None else [file_spacing.x, file_spacing.y],
        "bounds_offset": list(slide.bounds_offset),
        "levels": [
            {
                "size": [one.width, one.height],
                "spacing": [one.step_x * slide.spacing.x, one.step_y * slide.spacing.y],
            }
            for one in slide.levels
        ],
        "bytes": slide.path.stat().st_size,
    }


def check_place(slide: Slide, settings: SlideSettings) -> None:
    """SlideError where the sheet puts a slice of a volume elsewhere than its file does."""
    if not slide.is_slice or settings.volume is None:
        return
    info = read_slice(slide.path)[1]
    for key in ("volume", "position", "thickness"):
        said, found = getattr(settings, key), getattr(info, key)
        if said != found:
            raise SlideError(
                f"{slide.path}: found {key} {found}, the sheet says {said}; correct the sheet, or make both again with "
                "import-volumes"
            )


def _probe(slide: Slide) -> None:
    """Read a corner and the middle of every level."""
    width, height = slide.size
    for level in slide.levels:
        side_x, side_y = PROBE * level.step_x, PROBE * level.step_y
        for x, y in (
            (0.0, 0.0),
            ((width - side_x) / 2, (height - side_y) / 2),
            (width - side_x, height - side_y),
        ):
            slide.read(Window(x, y, side_x, side_y), (PROBE, PROBE))
