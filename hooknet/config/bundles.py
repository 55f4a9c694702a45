"""Which small slides share a job, so that their network is loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hooknet.config.datasets import DatasetSettings, SlideSettings
from hooknet.config.resources import PX_PER_MB, Needs
from hooknet.config.run import DenseRun

Bundle = tuple[SlideSettings, ...]


def bundles(run: DenseRun, slides: Sequence[SlideSettings], sizes: Sequence[float]) -> tuple[Bundle, ...]:
    """Slides in their order, as many together as ``infer.bundle_minutes`` allows; a larger one is alone.

    ``sizes``: MB of their files (:func:`file_mb`).  Minutes are those that jobs ask for
    (:class:`hooknet.config.resources.Needs`).  A slide that is added at the end leaves all bundles but the last as
    they are.
    """
    most, needs = run.settings.infer.bundle_minutes, Needs(run)
    assert most is not None
    found: list[Bundle] = []
    together: Bundle = ()
    megabytes = 0.0
    for slide, more in zip(slides, sizes, strict=True):
        if together and needs.infer_minutes(megabytes + more) > most:
            found.append(together)
            together, megabytes = (), 0.0
        together, megabytes = (*together, slide), megabytes + more
    return (*found, together) if together else tuple(found)


def numbers_of(found: Iterable[Bundle]) -> dict[str, int]:
    """Slide id -> the number of its bundle, from 1."""
    return {slide.id: number for number, one in enumerate(found, start=1) for slide in one}


def file_mb(dataset: DatasetSettings, slide: SlideSettings) -> float:
    """MB of a slide's file; of a generated one, which may not be there yet, what so many px would take."""
    if dataset.phantom is not None:
        return (dataset.phantom.size_um / dataset.phantom.spacing) ** 2 / PX_PER_MB
    return Path(str(slide.slide)).stat().st_size / 1e6
