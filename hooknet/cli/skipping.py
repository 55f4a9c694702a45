"""Steps of one slide, when a run goes on without slides that cannot be used (``on_error: skip``)."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hooknet.errors import AnnotationError, MaskError, SlideError

# Step -> its options that name files it writes.
OUTPUTS = {
    "check_slide": ("output",),
    "read_annotations": ("output",),
    "rasterise": ("output", "counts"),
    "detect_tissue": ("output",),
    "infer": ("output", "probabilities", "uncertainty"),
    "join_bands": ("output", "probabilities"),
    "unbundle": ("output", "probabilities"),
    "classify_patches": ("output", "probabilities"),
    "refine": ("output", "probabilities"),
    "paint_tissue": ("output",),
    "export": ("output",),
    "evaluate": ("output", "windows"),
    "measure_boundaries": ("output",),
    "measure_volume": ("output",),
    "measure_calibration": ("output",),
    "quantify": ("output",),
    "detect_objects": ("output",),
    "match_objects": ("output",),
}
# What a slide's own files are to blame for.  Settings and weights are the same for all slides.
THE_SLIDES_OWN = (SlideError, AnnotationError, MaskError)

logger = logging.getLogger(__name__)


def skippable(step: str, run: Callable[..., None]) -> Callable[..., None]:
    """The command of a step; where slides are skipped, one that says in the place of its outputs why there are none.

    That a slide was skipped by an earlier step is known by what stands in the place of an input, and is handed on.
    Where slides are not skipped it is an error.  Steps that are not of one slide are as they were.
    """
    if step not in OUTPUTS:
        return run

    @functools.wraps(run)
    def careful(**options: Any) -> None:
        from hooknet.io.skipped import reason_in, refuse_skipped, skipping, write_reason

        outputs = [options[name] for name in OUTPUTS[step] if options.get(name) is not None]
        before = {path: reason_in(path) for path in _paths(options) if path not in outputs}
        if not skipping():
            for path, found in before.items():
                refuse_skipped(path, found)
        reason = next((one for one in before.values() if one is not None), None)
        if reason is None:
            try:
                return run(**options)
            except THE_SLIDES_OWN as error:
                if not skipping():
                    raise
                reason = f"{step.replace('_', '-')}: {' '.join(str(error).split())}"
        logger.error("skipped: %s", reason)
        for output in outputs:
            write_reason(output, reason)

    return careful


def _paths(options: dict[str, Any]) -> Iterator[Path]:
    """The files and folders among a command's options."""
    for value in options.values():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(one, Path):
                yield one
