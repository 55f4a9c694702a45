"""One page, report.html, that holds everything it shows; its figures and tables as files beside it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hooknet.evaluation.cohort import TABLES
from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.system import MACRO
from hooknet.io.atomic import atomic, write_text
from hooknet.report import figures, overlays, tables
from hooknet.report.data import ReportData, ReportOverlay, ReportSystem

JPEG_QUALITY = 88
# More pairs than six systems have are a wall of numbers.
MANY_PAIRS = 15


@dataclass(frozen=True)
class Picture:
    """An image inside the page: a data URI, its text for those who do not see it, and what it is of."""

    uri: str
    alt: str
    title: str = ""


@dataclass(frozen=True)
class Panel:
    """A label map over the H&E: fill and contours apart, so that the reader can fade the fill."""

    title: str
    score: str
    alt: str
    fill: str
    lines: str


@dataclass(frozen=True)
class Viewed:
    """A slide to look at; ``bar`` is the width of the scale bar in per cent of the picture's."""

    slide: str
    note: str
    image: str
    shape: str
    bar: str
    bar_text: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Measured:
    """What is shown of one comparison."""

    name: str
    lead: str
    scores: tables.Table
    seeds: tables.Table | None
    intervals: tables.Table | None
    differences: tables.Table | None
    details: tuple[tables.Table, ...]
    confusions: tuple[Picture, ...]
    strips: Picture
    slides: tables.Table
    tests: tuple[tables.Table, ...]
    all_tests: tables.Table
    patients: int
    clustered: bool


def write_report(data: ReportData, folder: str | Path) -> Path:
    """Write ``folder``/report.html, ``folder``/figures/*.png and *.svg, ``folder``/tables/*.csv; the page's path.

    The page needs no other file and no network.  Overlays are shown and saved with at most 1200 px a side.
    The same data gives the same bytes.
    """
    folder = Path(folder)
    measured = [
        _measured(data, name, one, folder, _prefix(data, number))
        for number, (name, one) in enumerate(data.results.items(), start=1)
    ]
    page = _template().render(
        data=data,
        measured=measured,
        systems=[_system(one) for one in data.systems],
        details=tables.settings_table(data.systems),
        slides=tables.frame_table(data.slides, "Slides of this run."),
        settings=tables.pair_table(data.settings, ("Setting", "Value")),
        versions=tables.pair_table(data.versions, ("Software", "Version")),
        curves=_curves(data, folder),
        shown=tables.shown_table(data.systems, [one.name for one in data.classes]),
        viewed=[_viewed(data, number, one, folder) for number, one in enumerate(data.overlays, start=1)],
        warnings=_warnings(data),
    )
    if not data.slides.empty:
        _csv(data.slides, folder, "slides")
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _template() -> Template:
    loader = PackageLoader("hooknet.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _measured(data: ReportData, name: str, comparison: Comparison, folder: Path, prefix: str) -> Measured:
    for what in TABLES:
        frame = getattr(comparison, what)
        if not frame.empty:
            _csv(frame, folder, prefix + what)
    systems = list(dict.fromkeys(comparison.scores["system"]))
    strips = _figure(
        figures.slide_scores(comparison), folder, f"{prefix}slide_scores",
        "Macro F1 of every test slide, one column of dots per system; the same numbers are in the table below.",
    )  # fmt: skip
    shown = shown_tests(comparison)
    return Measured(
        name=name,
        lead=lead(comparison),
        scores=tables.score_table(data.systems, comparison),
        seeds=None if comparison.summary.empty else tables.summary_table(comparison),
        intervals=None if comparison.intervals.empty else tables.interval_table(comparison),
        differences=None if comparison.differences.empty else tables.difference_table(comparison),
        details=tuple(tables.detail_table(comparison, one) for one in systems),
        confusions=tuple(
            _confusion(comparison, one, folder, f"{prefix}confusion_{number:02d}_{_slug(one)}")
            for number, one in enumerate(systems, start=1)
        ),
        strips=strips,
        slides=tables.slide_table(comparison),
        tests=tuple(tables.wilcoxon_table(one) for one in shown),
        all_tests=tables.wilcoxon_table(comparison.comparisons),
        patients=comparison.slide_scores["patient"].nunique(),
        clustered=any((one["patients"] < one["n"]).any() for one in shown),
    )


def shown_tests(comparison: Comparison) -> list[pd.DataFrame]:
    """What need not be unfolded: experiments rather than seeds; of many pairs those with the best system."""
    shown, by = comparison.comparisons, "system"
    if not comparison.experiment_comparisons.empty:
        shown, by = comparison.experiment_comparisons, "experiment"
    if len(shown) > MANY_PAIRS:
        rows = comparison.scores[comparison.scores["class"] == MACRO]
        best = rows.groupby(by)["f1"].mean().idxmax()
        shown = shown[(shown["first"] == best) | (shown["second"] == best)]
    return [] if shown.empty else [shown]


def lead(comparison: Comparison) -> str:
    """The one sentence a reader wants first; no claim, only what was measured."""
    if comparison.summary.empty:
        table, by, score, what = comparison.scores, "system", "f1", "macro F1"
    else:
        table, by, score, what = comparison.summary, "experiment", "f1_mean", "macro F1 (mean over seeds)"
    rows = table[table["class"] == MACRO].dropna(subset=[score])
    f1 = {str(name): float(value) for name, value in zip(rows[by], rows[score], strict=True)}
    slides = comparison.slide_scores
    tested = (
        f"{_many(slides['slide'].nunique(), 'test slide')} of {_many(slides['patient'].nunique(), 'patient')}"
    )
    if not f1:
        return f"Nothing could be scored on {tested}: there were no annotated pixels."
    best, *others = sorted(f1, key=f1.__getitem__, reverse=True)
    if not others:
        return f"{best} has a {what} of {f1[best]:.3f}, pooled over {tested}."
    rank = (
        f"the highest {what} of {len(f1)} {by}s: {f1[best]:.3f}, next is {others[0]} with {f1[others[0]]:.3f}"
    )
    return f"{best} has {rank} (pooled over {tested})."


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _confusion(comparison: Comparison, system: str, folder: Path, name: str) -> Picture:
    table = comparison.confusion[comparison.confusion["system"] == system]
    right = table[table["truth"] == table["predicted"]].dropna(subset=["share"])
    shares = ", ".join(f"{row['truth']} {100 * row['share']:.0f} %" for _, row in right.iterrows())
    alt = f"Confusion matrix of {system}; correct: {shares}."
    return _figure(figures.confusion(comparison, system), folder, name, alt, system)


def _curves(data: ReportData, folder: Path) -> Picture | None:
    table = figures.curves_table(data.systems)
    if table.empty:
        return None
    _csv(table, folder, "training_curves")
    best = table.groupby("system", sort=False)["validation_macro_f1"].max()
    alt = "Training loss and validation macro F1 by epoch; highest macro F1: "
    alt += ", ".join(f"{name} {tables.share(float(value))}" for name, value in best.items()) + "."
    return _figure(figures.curves(data.systems), folder, "training_curves", alt)


def _viewed(data: ReportData, number: int, overlay: ReportOverlay, folder: Path) -> Viewed:
    overlay = overlays.fitted(overlay)
    height, width = overlay.image.shape[:2]
    name = f"overlay_{number:02d}_{_slug(overlay.slide)}"
    for layer, title in enumerate(("H&E", *overlay.layers())):
        picture = overlays.compose(overlay, title, data.classes)
        path = folder / "figures" / f"{name}_{layer:02d}_{_slug(title)}.png"
        with atomic(path) as partial:
            Image.fromarray(picture).save(partial, format="PNG")
    length = overlays.bar_length(width, overlay.spacing)
    return Viewed(
        slide=overlay.slide,
        note=overlay.note,
        image=_uri(overlay.image, "JPEG"),
        shape=f"{width} / {height}",
        bar=f"{100 * length / overlay.spacing / width:.4f}",
        bar_text=overlays.length_text(length),
        panels=tuple(_panel(data, overlay, title) for title in overlay.layers()),
    )


def _panel(data: ReportData, overlay: ReportOverlay, title: str) -> Panel:
    labels = overlay.layers()[title]
    pixels = np.bincount(labels.ravel(), minlength=256)
    covered = [one for one in data.classes if pixels[one.value]]
    shares = ", ".join(f"{one.name} {100 * pixels[one.value] / labels.size:.0f} %" for one in covered)
    return Panel(
        title=title,
        score=_slide_score(data, overlay.slide, title),
        alt=f"{title} over the H&E of {overlay.slide}; of the picture: {shares or 'nothing'}.",
        fill=_uri(overlays.colour(labels, data.palette), "PNG"),
        lines=_uri(overlays.outline(labels, data.palette), "PNG"),
    )


def _slide_score(data: ReportData, slide: str, system: str) -> str:
    table = next(iter(data.results.values())).slide_scores
    found = table.loc[(table["slide"] == slide) & (table["system"] == system), "macro_f1"].dropna()
    return f"macro F1 {found.iloc[0]:.3f}" if len(found) else ""


def _system(system: ReportSystem) -> dict[str, Any]:
    weights = tables.NOTHING if system.parameters is None else f"{system.parameters:,}"
    return {
        "about": system,
        "spacings": tables.spacings_text(system.spacings),
        "weight": tables.NOTHING if system.loss_weight is None else f"{system.loss_weight:g}",
        "parameters": weights,
    }


def _warnings(data: ReportData) -> list[str]:
    several = len(data.results) > 1
    found = [
        f"{name}: {one}" if several else one
        for name, result in data.results.items()
        for one in result.warnings
    ]
    return [*data.warnings, *found]


def _prefix(data: ReportData, number: int) -> str:
    """What files of the second and further comparisons start with."""
    return "" if number == 1 else f"{_slug(list(data.results)[number - 1])}_"


def _figure(figure: Figure, folder: Path, name: str, alt: str, title: str = "") -> Picture:
    svg = figures.save(figure, folder / "figures", name).read_bytes()
    return Picture(f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}", alt, title)


def _uri(array: NDArray[np.uint8], kind: str) -> str:
    buffer = io.BytesIO()
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if kind == "JPEG" else {"optimize": True}
    Image.fromarray(array).save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _csv(frame: pd.DataFrame, folder: Path, name: str) -> None:
    with atomic(folder / "tables" / f"{name}.csv") as partial:
        frame.to_csv(partial, index=False, lineterminator="\n")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "unnamed"
