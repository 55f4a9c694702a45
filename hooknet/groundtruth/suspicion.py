"""What looks wrong about a slide or a cohort though every step works: warnings, for the log and the report."""

from __future__ import annotations

import logging
from collections.abc import Container
from math import sqrt
from pathlib import Path
from statistics import median

from hooknet.config.datasets import DatasetSettings
from hooknet.config.steps import TissueSettings
from hooknet.coordinates import blocks
from hooknet.errors import SlideError
from hooknet.groundtruth.tissue import BLOCK, find_tissue, read_overview
from hooknet.io.masks import Mask
from hooknet.io.records import read_json
from hooknet.io.slides import Slide

logger = logging.getLogger(__name__)

# Shares of what is annotated, and how many times finer or coarser than its cohort a slide is.
MOSTLY = 0.5
FAR = 1.5
# How much of a slide is looked at: what is mostly outside shows at any spacing, and memory does not go with the slide.
MOST_PIXELS = 2**18
# Far coarser than any level: of few px of it many are read.
AT_ONCE = 64


def warn_outside_tissue(slide: Slide, labels: Path, settings: TissueSettings) -> None:
    """Warn where most of what is annotated (the label mask ``labels``) lies on glass, as of another slide's file.

    Of a slice of a volume nothing is said: all of it is tissue.  A slide that cannot be read everywhere is told too.
    """
    if slide.is_slice:
        return
    area = slide.size[0] * slide.spacing.x * slide.size[1] * slide.spacing.y
    spacing = max(settings.spacing, slide.spacing.x, slide.spacing.y, sqrt(area / MOST_PIXELS))
    grid = slide.grid(spacing)
    options = settings.model_dump(exclude={"spacing"})
    try:
        image = read_overview(slide, grid, AT_ONCE)
    except SlideError as error:
        # Training and inference may never look there, or leave it out.
        logger.warning("%s; so it was not looked whether what is annotated lies on tissue", error)
        return
    tissue = find_tissue(image, spacing, **options)
    annotated = outside = 0
    with Mask.open(labels) as mask:
        for column, row, width, height in blocks(grid.width, grid.height, BLOCK):
            drawn = mask.read_as(grid, column, row, width, height) > 0
            annotated += int(drawn.sum())
            outside += int((drawn & ~tissue[row : row + height, column : column + width]).sum())
    if outside > MOSTLY * annotated:
        logger.warning(
            "%s: %.0f %% of what is annotated lies outside tissue; look whether it is this slide's annotation, and "
            "where its coordinates count from (`origin`)",
            slide.path,
            100 * outside / annotated,
        )


def warn_spacings(dataset: DatasetSettings, folder: Path, skipped: Container[str] = ()) -> None:
    """Warn of slides much finer or coarser than the middle one, by the records of those checked so far."""
    records = {one.id: folder / one.id / "slide.json" for one in dataset.slides if one.id not in skipped}
    spacings = {slide: max(read_json(path)["spacing"]) for slide, path in records.items() if path.is_file()}
    usual = median(spacings.values()) if spacings else 0.0
    for slide, spacing in spacings.items():
        if not usual / FAR <= spacing <= usual * FAR:
            logger.warning(
                "%s: %.4g µm/px, where half of the cohort has %.4g or finer; right if it was scanned at another "
                "magnification, else give its `spacing`",
                slide,
                spacing,
                usual,
            )
