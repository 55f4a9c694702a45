"""One page of new slides: their maps over them, areas, warnings, and the card of the model; it needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

import hooknet
from hooknet.config.slides import SlideSettings
from hooknet.io.atomic import write_text
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide
from hooknet.io.uncertainty import read_entropy
from hooknet.objects.quantities import TISSUE, Quantity
from hooknet.prediction.card import NO_RANGES, SOME_RANGES, cards
from hooknet.prediction.model import Model
from hooknet.report import overlays
from hooknet.report.data import ReportClass, ReportOverlay
from hooknet.report.files import uri
from hooknet.report.tables import Cell, Table, count, decimals, pair_table, per_cent
from hooknet.report.views import Panel, Viewed, unsure_panel

PAGE = "index.html"
#: Px of a slide's longer side, on a page of its own and beside many others.
LARGE, SMALL = 1200, 480
LAYER, UNSURE = "Map", "Uncertainty"
#: Weights named at the head of the page.
NAMED = 5


@dataclass(frozen=True)
class Shown:
    """A slide as a page shows it.

    ``overlay``: H&E, the map (``LAYER``) over it and, where it was asked for, how unsure that is (``UNSURE``).
    ``areas``: class -> its quantities, ``(tissue)`` among them where the tissue is known.
    ``link``: its own page, as the common one reaches it.
    """

    overlay: ReportOverlay
    areas: Mapping[str, Quantity]
    warnings: tuple[str, ...]
    link: str = ""

    @property
    def name(self) -> str:
        """The slide's id."""
        return self.overlay.slide

    def small(self, link: str) -> Shown:
        """As it stands beside others."""
        return replace(self, overlay=overlays.fitted(self.overlay, SMALL), link=link)

    @property
    def predicted_mm2(self) -> float:
        """Area of all classes."""
        return sum(one.area_mm2 for name, one in self.areas.items() if name != TISSUE)


@dataclass(frozen=True)
class Page:
    """The model, the slides it predicted, and those it could not (name -> why)."""

    model: Model
    slides: tuple[Shown, ...]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Drawn:
    """A slide as the template takes it; ``shares``: (class, colour, per cent of what is predicted), for the bar."""

    view: Viewed
    link: str
    warnings: tuple[str, ...]
    areas: Table
    shares: tuple[tuple[str, str, float], ...]


def shown(
    slide: SlideSettings,
    map_file: Path,
    unsure_file: Path | None,
    areas: Mapping[str, Quantity],
    warnings: tuple[str, ...],
) -> Shown:
    """Read a slide, its map and its uncertainty (where there is one) at low power."""
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        size_um = max(opened.size[0] * opened.spacing.x, opened.size[1] * opened.spacing.y)
        grid = opened.grid(max(size_um / LARGE, opened.spacing.x, opened.spacing.y))
        image = opened.read_rgb(grid.window(0, 0, grid.width, grid.height), (grid.width, grid.height))
    with Mask.open(map_file) as mask:
        labels = mask.read_as(grid, 0, 0, grid.width, grid.height)
    unsure = {} if unsure_file is None else {UNSURE: read_entropy(unsure_file, grid)}
    overlay = ReportOverlay(slide.id, image, grid.spacing, predictions={LAYER: labels}, unsure=unsure)
    return Shown(overlay, areas, warnings)


def write_page(folder: Path, page: Page, name: str = PAGE) -> Path:
    """Write ``folder``/index.html; its path.  The same page gives the same bytes."""
    classes = page.model.classes
    text = _template().render(
        title=_title(page),
        by=by(page.model),
        classes=classes,
        slides=[_drawn(one, classes) for one in page.slides],
        table=_table(page.slides, classes) if len(page.slides) > 1 else None,
        failed=pair_table(page.failed, ("Slide", "Why")),
        warned=sum(bool(one.warnings) for one in page.slides),
        no_ranges=_no_ranges(page.model),
        card=cards(page.model),
        ramp_colours=overlays.ramp() if any(one.overlay.unsure for one in page.slides) else (),
        version=hooknet.__version__,
    )
    write_text(folder / name, text)
    return folder / name


def by(model: Model) -> str:
    """What predicted, in words."""
    names, settings = list(dict.fromkeys(one.name for one in model.members)), model.run.settings
    told = f"{', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}"
    if model.others:
        told = f"the mean of {len(model.members)} weights ({told})"
    told = f"{told}, {settings.told}"
    return f"{told}; each tile in all eight ways to lay it down" if settings.infer.tta == "dihedral" else told


def _no_ranges(model: Model) -> str:
    without = [one.ranges is None for one in model.cohorts.values()]
    return NO_RANGES if all(without) else SOME_RANGES if any(without) else ""


def _title(page: Page) -> str:
    if len(page.slides) == 1 and not page.failed:
        return page.slides[0].name
    return f"{len(page.slides)} slides predicted" if len(page.slides) != 1 else "1 slide predicted"


def _template() -> Template:
    loader = ChoiceLoader(
        [PackageLoader("hooknet.prediction", "templates"), PackageLoader("hooknet.report", "templates")]
    )
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("predictions.html.j2")


def _drawn(one: Shown, classes: Sequence[ReportClass]) -> Drawn:
    predicted = one.predicted_mm2
    shares = tuple(
        (each.name, each.colour, 100 * one.areas[each.name].area_mm2 / predicted if predicted else 0.0)
        for each in classes
    )
    return Drawn(_viewed(one, classes, shares), one.link, one.warnings, _areas(one, classes), shares)


def _viewed(one: Shown, classes: Sequence[ReportClass], shares: Sequence[tuple[str, str, float]]) -> Viewed:
    overlay = one.overlay
    labels, palette = overlay.predictions[LAYER], {each.value: each.rgb for each in classes}
    height, width = overlay.image.shape[:2]
    length = overlays.bar_length(width, overlay.spacing)
    told = ", ".join(f"{name} {share:.0f} %" for name, _, share in shares if share > 0)
    panel = Panel(
        LAYER,
        "",
        f"{LAYER} over the H&E of {one.name}; of what is predicted: {told or 'nothing'}.",
        uri(overlays.colour(labels, palette), "PNG"),
        uri(overlays.outline(labels, palette), "PNG"),
    )
    return Viewed(
        slide=one.name,
        note="",
        image=uri(np.ascontiguousarray(overlay.image), "JPEG"),
        shape=f"{width} / {height}",
        bar=f"{100 * length / overlay.spacing / width:.4f}",
        bar_text=overlays.length_text(length),
        panels=(panel, *(unsure_panel(one.name, *layer) for layer in overlay.unsure.items())),
    )


def _areas(one: Shown, classes: Sequence[ReportClass]) -> Table:
    """A row a class, then what there is in all."""
    predicted = one.predicted_mm2
    rows = []
    for each in classes:
        found = one.areas[each.name]
        share = found.area_mm2 / predicted if predicted else float("nan")
        rows.append(
            (
                Cell(each.name),
                decimals(found.area_mm2, 3),
                Cell(per_cent(share), number=True, order=share),
                Cell(per_cent(found.tissue_share), number=True, order=found.tissue_share),
                count(found.regions),
            )
        )
    tissue = one.areas.get(TISSUE)
    of = float("nan") if tissue is None else tissue.area_mm2
    rows.append(
        (
            Cell("all predicted"),
            decimals(predicted, 3),
            Cell(per_cent(1.0 if predicted else float("nan")), number=True),
            Cell("" if isnan(of) else f"of {of:,.3f} mm²", number=True),
            Cell(""),
        )
    )
    return Table(("Class", "mm²", "Of what is predicted", "Of the tissue", "Regions"), tuple(rows))


def _table(slides: Sequence[Shown], classes: Sequence[ReportClass]) -> Table:
    """A row a slide: the area of each class and its share."""
    heads = ["Slide", "Predicted mm²"]
    for each in classes:
        heads += [f"{each.name} mm²", f"{each.name} %"]
    rows = []
    for one in slides:
        predicted = one.predicted_mm2
        row = [Cell(one.name), decimals(predicted, 3)]
        for each in classes:
            area = one.areas[each.name].area_mm2
            row += [decimals(area, 3), decimals(100 * area / predicted if predicted else float("nan"))]
        rows.append((*row, Cell("yes" if one.warnings else "")))
    return Table((*heads, "Warned of"), tuple(rows))
