"""The tissue mask as a map: the design that is called Otsu."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import TissueRun
from hooknet.coordinates import blocks
from hooknet.inference.made import made_of
from hooknet.inference.telling import tell_classes
from hooknet.io.masks import Mask, create_mask
from hooknet.io.slides import Slide

# Px a side of the mask that are painted at once: whole tiles.
BLOCK = 2048


def paint_tissue(run: TissueRun, slide: SlideSettings, tissue: Path, output: Path) -> None:
    """Write the run's class for tissue where the mask is above 0, and that for the rest (or 0) elsewhere.

    On the mask's own grid.  MaskError for a mask of another slide.
    """
    classes, label_map = run.dataset.classes, run.dataset.label_map
    outside = 0 if run.settings.outside is None else classes[run.settings.outside].value
    values = np.array([outside, classes[run.settings.inside].value], np.uint8)
    seen = np.zeros(len(label_map) + 1, np.int64)
    with Mask.open(tissue) as mask:
        grid = mask.grid
        with Slide(str(slide.slide), slide.spacing_override) as opened:
            mask.check_same_slide(opened.grid(grid.spacing))
        made = {**made_of(run, None), "slide": slide.id}
        with create_mask(output, grid, label_map.names, label_map.palette(), made) as writer:
            for place in blocks(grid.width, grid.height, BLOCK):
                painted = values[(mask.read(*place) > 0).astype(np.intp)]
                writer.write(*place[:2], painted)
                seen += np.bincount(painted.ravel(), minlength=len(seen))
    tell_classes(slide.id, label_map.names, seen)
