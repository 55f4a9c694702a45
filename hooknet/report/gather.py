"""Fill a report from the results of a dataset's runs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hooknet
from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.config.run import Run
from hooknet.config.sides import Side
from hooknet.coordinates import RasterGrid
from hooknet.evaluation.cohort import TITLES, compare_systems
from hooknet.groundtruth.geometries import from_geojson
from hooknet.io.masks import Mask
from hooknet.io.records import read_json
from hooknet.io.slides import Slide
from hooknet.report.data import ReportClass, ReportData, ReportOverlay, ReportSystem

MAX_OVERLAYS = 8
LONGEST_SIDE = 1200
MAX_NAMED = 4
# Counts of read-annotations that a reader should know of.
REMARKS = {
    "repaired": "self-intersecting shapes, filled by the non-zero rule as ASAP fills them",
    "without_area": "shapes without area, dropped",
    "partly_outside": "shapes partly outside the slide",
}
LIBRARIES = (
    "torch",
    "lightning",
    "openslide-python",
    "openslide-bin",
    "rasterio",
    "shapely",
    "numpy",
    "scipy",
    "snakemake",
)


@dataclass(frozen=True)
class Folders:
    """Where the slides' and the runs' results are."""

    slides: Path
    runs: Path


def gather(project: Project, dataset: str, assigned: Mapping[str, Side], folders: Folders) -> ReportData:
    """Everything the report of a dataset tells."""
    settings = project.dataset(dataset)
    runs = [run for run in project.runs.values() if run.dataset_name == dataset]
    results = compare_systems(project, dataset, assigned, folders.runs)
    return ReportData(
        title=f"{dataset}: {len({run.system for run in runs})} systems compared",
        dataset=dataset,
        classes=tuple(ReportClass(one.name, one.value, one.colour) for one in settings.label_map.classes),
        systems=_systems(runs, folders.runs),
        results={TITLES[role]: one for role, one in results.items()},
        description=_description(project, dataset),
        slides=_slides_table(project, dataset, assigned, folders.slides),
        overlays=tuple(_overlays(runs, assigned, folders)),
        settings={
            "datasets file": str(project.datasets_file),
            "experiments file": str(project.experiments_file),
            "label mask spacing": f"{project.mask_spacing(dataset):g} µm/px",
            **_flat(
                settings.model_dump(mode="json", include={"origin", "splits", "tissue", "centres", "phantom"})
            ),
        },
        versions=_versions(),
        warnings=tuple(_warnings(project, dataset, folders.slides)),
    )


def _description(project: Project, dataset: str) -> str:
    settings = project.dataset(dataset)
    patients = {one.patient_id for one in settings.slides}
    text = f"{len(settings.slides)} slides of {len(patients)} patients, {len(settings.classes)} classes."
    if settings.phantom is not None:
        text += " The slides are a phantom: drawn by a program, made so that both fine detail and wide context matter."
    return text


def _systems(runs: list[Run], folder: Path) -> tuple[ReportSystem, ...]:
    systems: dict[str, list[Run]] = {}
    for run in runs:
        systems.setdefault(run.system, []).append(run)
    return tuple(_system(name, members, folder) for name, members in systems.items())


def _system(name: str, runs: list[Run], folder: Path) -> ReportSystem:
    first = runs[0]
    curves = []
    for run in runs if first.settings.checkpoint is None else []:
        table = pd.read_csv(folder / run.name / "metrics.csv").rename(columns={"train_loss": "loss"})
        curves.append(table if run.fold is None else table.assign(fold=run.fold))
    options = first.settings
    lam = first.network.all_loss_weights[0] if options.model == "hooknet" else None
    told = _flat(options.model_dump(mode="json", exclude={"dataset", "seeds", "folds"})) | {
        "seed": str(first.seed)
    }
    drawn = pd.concat(curves, ignore_index=True) if curves else None
    weights = first.network.shape.parameter_count
    return ReportSystem(name, options.model, options.spacings, lam, weights, told, drawn)


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as ``section.key`` -> text."""
    told: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            told |= _flat(value, f"{prefix}{key}.")
        else:
            told[f"{prefix}{key}"] = "–" if value is None else str(value)
    return told


def _slides_table(project: Project, dataset: str, assigned: Mapping[str, Side], folder: Path) -> pd.DataFrame:
    rows = []
    settings = project.dataset(dataset)
    said = ("split",) if settings.folds is None or settings.says_who_validates else ()
    told = said if settings.folds is None else ("fold", *said)
    for one in settings.slides:
        record = read_json(folder / one.id / "slide.json")
        rows.append(
            {
                "slide": one.id,
                "patient": one.patient_id,
                **{key: getattr(assigned[one.id], key) for key in told if one.id in assigned},
                "width px": record["size"][0],
                "height px": record["size"][1],
                "spacing µm/px": f"{record['spacing'][0]:.4g}",
                **_areas(one, folder),
            }
        )
    return pd.DataFrame(rows)


def _areas(slide: SlideSettings, folder: Path) -> dict[str, str]:
    """Annotated area of each class in mm²."""
    if "labels" not in roles_of(slide):
        return {}
    record = read_json(folder / slide.id / "labels.json")
    return {
        f"{name} mm²": f"{count * record['spacing'] ** 2 / 1e6:.3f}"
        for name, count in record["pixels"].items()
    }


def _overlays(runs: list[Run], assigned: Mapping[str, Side], folders: Folders) -> list[ReportOverlay]:
    """The first test slides, with the map of every system that tested them."""
    maps: dict[str, dict[str, Path]] = {}
    for run in runs:
        for slide in run.slides("test", assigned):
            maps.setdefault(slide.id, {})[run.system] = folders.runs / run.name / "maps" / f"{slide.id}.tif"
    chosen = list(maps)[:: max(1, ceil(len(maps) / MAX_OVERLAYS))]
    return [_overlay(runs[0].dataset.slide(one), maps[one], folders.slides) for one in chosen]


def _overlay(slide: SlideSettings, maps: dict[str, Path], folder: Path) -> ReportOverlay:
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        size_um = max(opened.size[0] * opened.spacing.x, opened.size[1] * opened.spacing.y)
        grid = opened.grid(max(size_um / LONGEST_SIDE, opened.spacing.x, opened.spacing.y))
        image = opened.read(grid.window(0, 0, grid.width, grid.height), (grid.width, grid.height))
    layers = {role: _read(folder / slide.id / f"{role}.tif", grid) for role in roles_of(slide)}
    return ReportOverlay(
        slide=slide.id,
        image=image,
        spacing=grid.spacing,
        annotation=layers.get("labels"),
        truth=layers.get("truth"),
        predictions={system: _read(path, grid) for system, path in maps.items()},
    )


def _read(path: Path, grid: RasterGrid) -> np.ndarray:
    with Mask.open(path) as mask:
        return mask.read_as(grid, 0, 0, grid.width, grid.height)


def _versions() -> dict[str, str]:
    return {
        "hooknet": hooknet.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def _warnings(project: Project, dataset: str, folder: Path) -> list[str]:
    """What was noticed about the slides on the way: a line per kind, naming the slides."""
    noticed: dict[str, list[str]] = {}
    for one in project.dataset(dataset).slides:
        for what in _noticed(one, folder / one.id):
            noticed.setdefault(what, []).append(one.id)
    return [f"{what}: {_listed(slides)}" for what, slides in noticed.items()]


def _noticed(slide: SlideSettings, folder: Path) -> list[str]:
    spacings = read_json(folder / "slide.json")["interpolated_spacings"]
    found = [f"slightly coarser than {spacing:g} µm/px, interpolated" for spacing in spacings]
    if not roles_of(slide):
        found.append("no annotation or truth, so the map is not scored")
    drawn = folder / "labels.geojson"
    counts = from_geojson(drawn).counts if drawn.is_file() else {}  # absent where the annotation is a raster
    found += [text for key, text in REMARKS.items() if counts.get(key)]
    ignored = [key.partition(":")[2] for key, count in counts.items() if key.startswith("ignored:") and count]
    return found + [f"shapes of group {group!r} ignored" for group in ignored]


def _listed(slides: list[str]) -> str:
    """Some of the slides by name, and how many there are."""
    shown = ", ".join(slides[:MAX_NAMED])
    return shown if len(slides) <= MAX_NAMED else f"{shown} and {len(slides) - MAX_NAMED} more slides"
