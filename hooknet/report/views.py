"""Slides and parts of them as the page shows them: the H&E, and label maps over it that the reader can fade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hooknet.io import agreement
from hooknet.io.uncertainty import LEVELS
from hooknet.report import overlays
from hooknet.report.data import Labels, ReportData, ReportOverlay, ReportRegion, Rgb
from hooknet.report.files import Files, indexed_uri, slug, uri

#: From which entropy on, as a share of log K, px are counted in the text of a picture.
HIGH = 0.5
# What was given another class than it has; told from every class by its name, not only by its colour.
DIFFERS = agreement.COLOURS[agreement.DIFFERS]


@dataclass(frozen=True)
class Panel:
    """A label map over the H&E: fill and contours apart, so that the reader can fade the fill.

    ``whole``: of what is read by its colours, which are not faded; it has no contours.
    """

    title: str
    score: str
    alt: str
    fill: str
    lines: str
    whole: bool = False


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


def view_slide(data: ReportData, number: int, overlay: ReportOverlay, files: Files) -> Viewed:
    """A slide with a panel for each layer; each panel is saved as a picture of its own."""
    overlay = overlays.fitted(overlay)
    name = f"overlay_{number:02d}_{slug(overlay.slide)}"
    for layer, title in enumerate(("H&E", *overlay.layers())):
        files.picture(overlays.compose(overlay, title, data.classes), f"{name}_{layer:02d}_{slug(title)}")
    for layer, system in enumerate(overlay.unsure, start=1 + len(overlay.layers())):
        picture = overlays.compose_unsure(overlay, system)
        files.picture(picture, f"{name}_{layer:02d}_{slug(system)}-uncertainty")
    panels = []
    for title, labels in overlay.layers().items():
        panels.append(_panel(data, overlay.slide, title, labels))
        if title in overlay.unsure:
            panels.append(unsure_panel(overlay.slide, f"{title}, uncertainty", overlay.unsure[title]))
    return _viewed(overlay.slide, overlay.note, overlay.image, overlay.spacing, tuple(panels))


def unsure_panel(slide: str, title: str, entropy: NDArray[np.uint8]) -> Panel:
    """Where a map is undecided: its entropy as bytes, instead of the H&E where there is a map."""
    shares = (entropy[entropy > 0].astype(float) - 1) / LEVELS
    told = f"mean {shares.mean():.2f}" if shares.size else "nothing predicted"
    high = 100 * (shares > HIGH).mean() if shares.size else 0.0
    alt = f"{title} over {slide}: {told}; above {HIGH:g} in {high:.0f} % of what is predicted."
    shades = indexed_uri(overlays.steps(entropy), overlays.step_colours())
    return Panel(title, told, alt, shades, "", whole=True)


def view_region(data: ReportData, number: int, region: ReportRegion, files: Files) -> Viewed:
    """A part of a slide: H&E, what is annotated, what the system predicts, where the two differ."""
    system = region.system
    layers = {"Annotated": region.truth, system: region.prediction}
    panels = [_panel(data, region.slide, title, labels, scored=False) for title, labels in layers.items()]
    differs = region.differs.astype(np.uint8)
    share = differs.sum() / max(1, (region.truth > 0).sum())
    told = f"{100 * share:.0f} % of the annotated pixels differ"
    panels.append(
        Panel(
            "Differs", told, f"Where {system} differs from the annotation of {region.slide}: {told}.",
            uri(overlays.colour(differs, {1: DIFFERS}), "PNG"), uri(overlays.outline(differs, {1: DIFFERS}), "PNG"),
        )
    )  # fmt: skip
    files.picture(_strip(data, region), f"region_{number:02d}_{region.kind}_{slug(region.slide)}")
    note = f"macro F1 {region.f1:.3f} here; upper left corner at level-0 px ({region.x:.0f}, {region.y:.0f})"
    return _viewed(region.slide, note, region.image, region.spacing, tuple(panels))


def _strip(data: ReportData, region: ReportRegion) -> Rgb:
    """H&E | annotation | prediction | where they differ, side by side, to save."""
    palette, gap = data.palette, np.full((region.image.shape[0], 6, 3), 255, np.uint8)
    parts = [
        overlays.with_scale_bar(region.image, region.spacing),
        overlays.blend(region.image, region.truth, palette),
        overlays.blend(region.image, region.prediction, palette),
        overlays.blend(region.image, region.differs.astype(np.uint8), {1: DIFFERS}),
    ]
    strip = np.hstack([one for part in parts for one in (part, gap)][:-1])
    return np.vstack([strip, overlays.legend(data.classes, strip.shape[1])])


def _viewed(slide: str, note: str, image: Rgb, spacing: float, panels: tuple[Panel, ...]) -> Viewed:
    height, width = image.shape[:2]
    length = overlays.bar_length(width, spacing)
    return Viewed(
        slide=slide,
        note=note,
        image=uri(image, "JPEG"),
        shape=f"{width} / {height}",
        bar=f"{100 * length / spacing / width:.4f}",
        bar_text=overlays.length_text(length),
        panels=panels,
    )


def _panel(data: ReportData, slide: str, title: str, labels: Labels, scored: bool = True) -> Panel:
    pixels = np.bincount(labels.ravel(), minlength=256)
    covered = [one for one in data.classes if pixels[one.value]]
    shares = ", ".join(f"{one.name} {100 * pixels[one.value] / labels.size:.0f} %" for one in covered)
    return Panel(
        title=title,
        score=_slide_score(data, slide, title) if scored else "",
        alt=f"{title} over the H&E of {slide}; of the picture: {shares or 'nothing'}.",
        fill=uri(overlays.colour(labels, data.palette), "PNG"),
        lines=uri(overlays.outline(labels, data.palette), "PNG"),
    )


def _slide_score(data: ReportData, slide: str, system: str) -> str:
    table = next(iter(data.results.values())).slide_scores
    found = table.loc[(table["slide"] == slide) & (table["system"] == system), "macro_f1"].dropna()
    return f"macro F1 {found.iloc[0]:.3f}" if len(found) else ""
