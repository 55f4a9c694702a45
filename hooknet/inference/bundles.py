"""Small slides that share a job, through one network that is loaded once."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.run import DenseRun
from hooknet.errors import DiskError, HookNetError
from hooknet.inference.kept import journal_beside
from hooknet.inference.made import made_of
from hooknet.inference.whole_slide import MapFiles, predict, prepared
from hooknet.io.bundles import bundled_map, bundled_probabilities, tell_failed
from hooknet.io.staging import staged

logger = logging.getLogger(__name__)


def infer_bundle(
    run: DenseRun,
    slides: Sequence[SlideSettings],
    checkpoint: Path,
    slides_folder: Path,
    folder: Path,
    memory: int | None = None,
) -> None:
    """Write the maps of slides into ``folder``, each as :func:`hooknet.inference.whole_slide.infer` would.

    A slide that cannot be predicted does not take the others with it: why is told in the log and in ``folder``, and
    raised when its map is taken from there.  CheckpointError where the weights do not fit, DiskError where the disk is
    full: that is no fault of a slide.  What is predicted is kept beside ``folder`` until all is done: a killed job's
    folder goes, with the maps that were whole.
    """
    networks = prepared(run, checkpoint, *(slide.id for slide in slides))
    made, kept = made_of(run, checkpoint), journal_beside(folder)
    for number, slide in enumerate(slides, start=1):
        logger.info("%s: slide %d of %d", slide.id, number, len(slides))
        try:
            files = _files(run, slide, slides_folder, folder)
            with staged([str(slide.slide)]):
                predict(run, slide, networks, replace(files, made=made, journal=kept / slide.id), memory)
        except DiskError:
            raise
        except HookNetError as error:
            logger.error("%s: %s", slide.id, error)
            tell_failed(folder, slide.id, error)
    shutil.rmtree(kept, ignore_errors=True)


def _files(run: DenseRun, slide: SlideSettings, slides_folder: Path, folder: Path) -> MapFiles:
    """What is read of a slide, and where its map goes."""
    own = slides_folder / slide.id
    return MapFiles(
        bundled_map(folder, slide.id),
        bundled_probabilities(folder, slide.id) if run.settings.keeps_probabilities else None,
        own / "tissue.tif" if run.settings.predicts_over == "tissue" else None,
        tuple(own / f"{role}.tif" for role in roles_of(slide)),
    )
