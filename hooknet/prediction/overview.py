"""The page of slides whose maps the workflow made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hooknet.config.slides import SlideSettings
from hooknet.io.skipped import reason_in
from hooknet.objects.quantities import read_quantities
from hooknet.prediction.model import Model
from hooknet.prediction.page import Page, shown, write_page
from hooknet.prediction.preparing import tell_warnings, warned


def write_overview(model: Model, slides: Sequence[SlideSettings], run_folder: Path, output: Path) -> None:
    """Write ``output`` of the maps and quantities in ``run_folder``; skipped slides are listed with why.

    HookNetError where a slide, its map or its quantities cannot be read.
    """
    pages, failed = [], {}
    for one in slides:
        path = run_folder / "maps" / f"{one.id}.tif"
        reason = reason_in(path)
        if reason is not None:
            failed[one.id] = reason
            continue
        warnings = warned(model, one)
        tell_warnings(one.id, warnings)
        areas = read_quantities(run_folder / "quantities" / f"{one.id}.csv")[one.id]
        # Without a page of its own to link to.
        pages.append(shown(one, path, areas, warnings).small(""))
    write_page(output.parent, Page(model, tuple(pages), failed), output.name)
