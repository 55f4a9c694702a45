"""The page of slides whose maps the workflow made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hooknet.config.slides import SlideSettings
from hooknet.objects.quantities import quantities_of
from hooknet.prediction.model import Model
from hooknet.prediction.page import Page, shown, write_page
from hooknet.prediction.preparing import tell_warnings, warned
from hooknet.report.notices import without_folders


def write_overview(
    model: Model, slides: Sequence[SlideSettings], skipped: Mapping[str, str], run_folder: Path, output: Path
) -> None:
    """Write ``output`` of the maps and quantities in ``run_folder``; ``skipped``: slides without a map -> why.

    HookNetError where a slide, its map or its quantities cannot be read.
    """
    pages = []
    for one in slides:
        warnings = warned(model, one)
        tell_warnings(one.id, warnings)
        classes = [each.name for each in model.classes]
        areas = quantities_of(run_folder / "quantities" / f"{one.id}.csv", one.id, classes)
        # Without a page of its own to link to.
        unsure = (
            run_folder / "uncertainty" / f"{one.id}.tif" if model.run.settings.keeps_uncertainty else None
        )
        drawn = shown(one, run_folder / "maps" / f"{one.id}.tif", unsure, areas, warnings)
        pages.append(drawn.small(""))
    reasons = {name: without_folders(why) for name, why in skipped.items()}
    write_page(output.parent, Page(model, tuple(pages), reasons), output.name)
