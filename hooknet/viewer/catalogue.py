"""What there is to look at: the slides of a dataset and the rasters that lie over each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hooknet.config import layout
from hooknet.config.project import Project
from hooknet.config.sides import Side
from hooknet.coordinates import Spacing
from hooknet.io.records import read_splits
from hooknet.io.skipped import reason_in
from hooknet.labels import LabelClass

SPLITS_SHEET = "splits.tsv"
# Files of a slide's folder, what their layers are called, and what their colours mean.
ROLES = {"tissue": "Tissue", "labels": "Annotation", "truth": "Dense truth"}


@dataclass(frozen=True)
class Layer:
    """One picture of a slide; ``key`` is what URLs call it, and the only way to name it from outside.

    ``path`` is a label mask, None for the H&E itself.  With a ``reference`` (a label mask too) the layer shows
    where the map at ``path`` differs from it.  ``quantities``: a table that may have the areas of the map's classes.
    """

    key: str
    title: str
    path: Path | None = None
    reference: Path | None = None
    quantities: Path | None = None

    @property
    def suffix(self) -> str:
        """Of the layer's pictures: photographs as JPEG, labels as PNG."""
        return "jpg" if self.path is None else "png"

    @property
    def has_classes(self) -> bool:
        """Whether its values are the dataset's classes, so that they have areas."""
        return self.path is not None and self.reference is None and self.key != "tissue"


@dataclass(frozen=True)
class ViewedSlide:
    """A slide and its layers, the lowest first; ``note`` says who it trains, validates or tests for."""

    id: str
    note: str
    path: Path
    spacing: Spacing | None
    layers: tuple[Layer, ...]

    @cached_property
    def by_key(self) -> dict[str, Layer]:
        """Key -> layer."""
        return {one.key: one for one in self.layers}

    @property
    def has_maps(self) -> bool:
        """Whether any system has made a map of it."""
        return any(one.key.startswith("map-") for one in self.layers)


@dataclass(frozen=True)
class Viewed:
    """A dataset to look at; layer ``map-2`` is the map of the system ``systems[2]``, ``diff-2`` its differences."""

    dataset: str
    classes: tuple[LabelClass, ...]
    systems: tuple[str, ...]
    slides: tuple[ViewedSlide, ...]


def view_dataset(project: Project, dataset: str, slides_folder: Path, runs_folder: Path) -> Viewed:
    """All slides of a dataset with whatever has been made of them so far; opens none of the files.

    ``slides_folder`` is the dataset's own (results/slides/<dataset>), ``runs_folder`` that of all runs.  ConfigError
    where there is no such dataset, or the sheet of splits is not one.
    """
    settings = project.dataset(dataset)
    runs: dict[str, list[Path]] = {}
    for run in project.runs.values():
        if run.dataset_name == dataset:
            runs.setdefault(run.system, []).append(runs_folder / run.name)
    # What stands in the place of files that could not be made is no layer.
    there = _is_whole if project.on_error == "skip" else Path.is_file
    sides: Mapping[str, Side] = {}
    if (slides_folder / SPLITS_SHEET).is_file():
        sides = read_splits(slides_folder / SPLITS_SHEET)
    slides = tuple(
        ViewedSlide(
            one.id,
            _note(sides.get(one.id, one.side)),
            Path(str(one.slide)),
            one.spacing_override,
            _layers(one.id, slides_folder / one.id, list(runs.values()), there),
        )
        for one in settings.slides
    )
    return Viewed(dataset, settings.label_map.classes, tuple(runs), slides)


def _note(side: Side) -> str:
    if side.skipped:
        return "skipped"
    if side.fold is not None:
        return f"fold {side.fold}"
    return side.split or ""


def _is_whole(path: Path) -> bool:
    return path.is_file() and reason_in(path) is None


def _layers(
    slide: str, folder: Path, systems: list[list[Path]], there: Callable[[Path], bool]
) -> tuple[Layer, ...]:
    """The layers of a slide: only those whose files are there."""
    layers = [Layer("he", "H&E")]
    for role, title in ROLES.items():
        if there(folder / f"{role}.tif"):
            layers.append(Layer(role, title, folder / f"{role}.tif"))
    references = [one for one in layers if one.key in layout.ROLES]
    # Dense truth, where there is any, says more than an annotation.
    reference = references[-1] if references else None
    for number, runs in enumerate(systems):
        # Of a system's folds one tests the slide.
        run = next((one for one in runs if there(_in(one, layout.map_path(one.name, slide)))), None)
        if run is None:
            continue
        path = _in(run, layout.map_path(run.name, slide))
        quantities = _in(run, layout.measures_path(run.name, "quantities", slide))
        layers.append(Layer(f"map-{number}", "Prediction", path, quantities=quantities))
        if reference is not None:
            title = f"Differences from {reference.title.lower()}"
            layers.append(Layer(f"diff-{number}", title, path, reference.path))
    return tuple(layers)


def _in(run: Path, path: Path) -> Path:
    """The file of a run that the layout has at ``path``, wherever the folder of the run is."""
    return run / path.relative_to(layout.run_folder(run.name))
