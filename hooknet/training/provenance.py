"""What is stored with weights about where they come from, for those who meet them later."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hooknet
from hooknet.config.project import digest
from hooknet.config.run import DenseRun, Run
from hooknet.config.steps import TissueSettings
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.errors import SlideError
from hooknet.groundtruth.stain import measure_slide, ranges_of
from hooknet.io.checksums import sha256_of
from hooknet.io.slides import Slide

logger = logging.getLogger(__name__)

#: Of more slides so many are measured, evenly picked: an overview takes up to some seconds to read (docs/predict.md).
MOST_MEASURED = 50
#: Slides that are read at once; each takes up to 250 MB.
AT_ONCE = 2


def versions() -> dict[str, str]:
    """Of what trains."""
    return {
        "hooknet": hooknet.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def provenance(
    run: DenseRun, training: CentreIndex, validation: CentreIndex, measured: bool = True
) -> dict[str, Any]:
    """What a model card tells besides the settings; no date in it, so that the same training gives the same bytes.

    ``cohort``: the ranges of the training slides (:mod:`hooknet.groundtruth.stain`); None where not ``measured``, as
    in a trial of a search, whose weights meet no other slides.
    """
    start = run.settings.starts_from
    return {
        "trained_on": _told(run, training),
        "validated_on": _told(run, validation),
        # What becomes of a px before the network sees it, and what lies outside a slide.
        "normalisation": {"divided_by": 255, "outside": _outside(training)},
        "tissue": run.dataset.tissue.model_dump(mode="json"),
        "cohort": cohort(training.slides, run.dataset.tissue) if measured else None,
        "fingerprint": digest(run.training_settings()),
        "started_from": None if start is None else {"file": start, "sha256": sha256_of(Path(start))},
    }


def _told(run: Run, index: CentreIndex) -> dict[str, Any]:
    """Slides, patients, and how many centres of each class patches are drawn about."""
    counts = np.bincount(index.labels, minlength=len(index.names) + 1)[1:]
    return {
        "slides": len(index.slides),
        "patients": len({run.dataset.slide(one.id).patient_id for one in index.slides}),
        "patches": dict(zip(index.names, map(int, counts), strict=True)),
    }


def _outside(index: CentreIndex) -> list[int]:
    first = index.slides[0]
    with Slide(first.slide, first.spacing) as slide:
        return [int(one) for one in slide.fill]


def cohort(slides: Sequence[SlideFiles], tissue: TissueSettings) -> dict[str, Any]:
    """``slides``: how many were measured; ``ranges``: measure -> [least, largest].

    A slide whose overview cannot be read is left out: damage that training may never meet is no reason to end it.
    """
    step = max(1, -(-len(slides) // MOST_MEASURED))
    with ThreadPoolExecutor(AT_ONCE) as readers:
        measured = list(readers.map(partial(_measured, tissue=tissue), slides[::step]))
    found = [one for one in measured if one is not None]
    return {
        "slides": len(found),
        "ranges": {name: list(ends) for name, ends in ranges_of(found).items()},
    }


def _measured(one: SlideFiles, tissue: TissueSettings) -> dict[str, float] | None:
    try:
        with Slide(one.slide, one.spacing) as slide:
            return measure_slide(slide, tissue)
    except SlideError as error:
        logger.warning("%s: left out of the ranges of the cohort: %s", one.id, error)
        return None
