"""One page, index.html, that holds everything it shows; its figures and tables as files beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from hooknet.io.atomic import write_text
from hooknet.report import figures, overlays, plots, score_tables, search, sections, stages, tables
from hooknet.report.data import ReportData, ReportStages, ReportSystem
from hooknet.report.files import Files, Picture, slug
from hooknet.report.summary import summary_text
from hooknet.report.views import Viewed, view_region, view_slide
from hooknet.report.volumes import volumes

PAGE = "index.html"


def write_report(data: ReportData, folder: str | Path, viewer: str | None = None) -> Path:
    """Write ``folder``/index.html, summary.json, figures/*.png and *.svg, tables/*.csv; the page's path.

    The page needs no other file and no network.  Overlays are shown and saved with at most 1200 px a side.
    ``viewer``: a page beside it with the slides to zoom into, which the page links to.  The same data gives the
    same bytes.
    """
    files = Files(Path(folder))
    measured = [
        sections.measure(data, name, one, files, _prefix(data, number))
        for number, (name, one) in enumerate(data.results.items(), start=1)
    ]
    page = _template().render(
        data=data,
        measured=measured,
        viewer=viewer,
        systems=[_system(one) for one in data.systems],
        details=tables.settings_table(data.systems),
        cards={name: _link(path, files.folder) for name, path in data.cards.items()},
        slides=tables.frame_table(data.slides, "Slides of this run."),
        settings=tables.pair_table(data.settings, ("Setting", "Value")),
        volumes=volumes(data.extras, files),
        beyond=sections.beyond(data.extras, files),
        curves=_curves(data, files),
        shown=score_tables.shown_table(data.systems, [one.name for one in data.classes]),
        shown_figure=_shown(data, files),
        viewed=[view_slide(data, number, one, files) for number, one in enumerate(data.overlays, start=1)],
        ramp_colours=overlays.ramp() if any(one.unsure for one in data.overlays) else (),
        regions=_regions(data, files),
        stages=_stages(data, files),
        searches=[search.show(one, data.classes, files) for one in data.searches],
        skipped=tables.pair_table(
            data.skipped, ("Slide", "Why"), "Slides that could not be used; they are in no score."
        ),
        warnings=all_warnings(data),
        provenance=_provenance(data),
    )
    if not data.slides.empty:
        files.table(data.slides, "slides")
    write_text(files.folder / "summary.json", summary_text(data, all_warnings(data)))
    write_text(files.folder / PAGE, page)
    return files.folder / PAGE


def _link(path: Path, folder: Path) -> str:
    """A file as a page in a folder links to it."""
    return quote(os.path.relpath(path, folder))


def _template() -> Template:
    loader = PackageLoader("hooknet.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _curves(data: ReportData, files: Files) -> Picture | None:
    table = figures.curves_table(data.systems)
    if table.empty:
        return None
    files.table(table, "training_curves")
    best = table.groupby("system", sort=False)["validation_macro_f1"].max()
    alt = "Training loss and validation macro F1 by epoch; highest macro F1: "
    alt += ", ".join(f"{name} {tables.share(float(value))}" for name, value in best.items()) + "."
    return files.figure(figures.curves(data.systems), "training_curves", alt)


def _shown(data: ReportData, files: Files) -> Picture | None:
    figure = plots.shown_shares(data.systems, data.classes)
    alt = "Share of each class in the annotated pixels that each training was shown; the numbers are below."
    return None if figure is None else files.figure(figure, "shown_shares", alt)


def _regions(data: ReportData, files: Files) -> dict[str, list[Viewed]]:
    """``worst`` and ``best`` -> the parts of slides, where there are any."""
    found: dict[str, list[Viewed]] = {}
    for number, one in enumerate(data.regions, start=1):
        found.setdefault(one.kind, []).append(view_region(data, number, one, files))
    return found


def _stages(data: ReportData, files: Files) -> list[tuple[ReportStages, Picture]]:
    """Each refiner with its picture."""
    found = []
    for one in data.stages:
        alt = f"Test slides: the heat map of {one.parent}, its map, what {one.system} made of it, and the truth."
        found.append((one, files.figure(stages.draw(one, data.classes), f"stages_{slug(one.system)}", alt)))
    return found


def _system(system: ReportSystem) -> dict[str, Any]:
    weights = tables.NOTHING if system.parameters is None else f"{system.parameters:,}"
    return {
        "about": system,
        "spacings": tables.spacings_text(system.spacings),
        "weight": tables.NOTHING if system.loss_weight is None else f"{system.loss_weight:g}",
        "parameters": weights,
    }


def _provenance(data: ReportData) -> list[tables.Table]:
    """Tables of where the numbers come from; those that say something."""
    told = data.provenance
    found = [
        tables.pair_table(told.code, ("Code", ""), "The pipeline that ran."),
        tables.pair_table(told.versions, ("Software", "Version"), "Versions."),
        tables.pair_table(told.seeds, ("What is drawn", "Seed"), "Seeds."),
        tables.pair_table(
            told.files, ("File", "SHA-256"), "What was configured, and the weights that predicted."
        ),
        sections.steps_table(told.steps),
    ]
    return [one for one in found if one.rows]


def all_warnings(data: ReportData) -> list[str]:
    """The warnings of the run, then those of each comparison."""
    several = len(data.results) > 1
    found = [
        f"{name}: {one}" if several else one
        for name, result in data.results.items()
        for one in result.warnings
    ]
    return [*data.warnings, *found]


def _prefix(data: ReportData, number: int) -> str:
    """What files of the second and further comparisons start with."""
    return "" if number == 1 else f"{slug(list(data.results)[number - 1])}_"
