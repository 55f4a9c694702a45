"""Which slides of a dataset were skipped, and why, by what stands in the place of their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hooknet.config import layout
from hooknet.config.datasets import DatasetSettings, SlideSettings
from hooknet.config.project import Project
from hooknet.config.run import Run
from hooknet.config.sides import Side
from hooknet.config.volumes import volumes_of
from hooknet.io.records import read_json
from hooknet.io.skipped import reason_in


def skipped_before_training(project: Project, dataset: str, folder: Path) -> dict[str, str]:
    """Slide -> why it can be neither trained on nor tested with, by its files in ``folder``/<slide>/.

    None unless the project skips slides: then it is an error to read such a file.
    """
    if project.on_error != "skip":
        return {}

    def files(slide: SlideSettings) -> list[Path]:
        rasters = [
            folder / slide.id / f"{role}.{suffix}"
            for role in layout.roles_of(slide)
            for suffix in ("json", "tif")
        ]
        return [folder / slide.id / "slide.json", *rasters, folder / slide.id / "tissue.tif"]

    settings = project.dataset(dataset)
    reasons = {one.id: _first(files(one)) or _empty(one, folder / one.id) for one in settings.slides}
    return _whole_volumes(settings, reasons)


def skipped_since(
    project: Project, dataset: str, assigned: Mapping[str, Side], runs_folder: Path
) -> dict[str, str]:
    """Slide -> why a run has no map of it, or could not measure one; None unless the project skips slides.

    What one system could not be scored on none is scored on: else their scores were of different slides.
    """
    if project.on_error != "skip":
        return {}
    found: dict[str, str | None] = {}
    for run in project.runs.values():
        for slide in run.slides("test", assigned) if run.dataset_name == dataset else ():
            reason = _first(runs_folder.joinpath(*path.parts[2:]) for path in _results(run, slide))
            found[slide.id] = found.get(slide.id) or (None if reason is None else f"run {run.name}: {reason}")
    return _whole_volumes(project.dataset(dataset), found)


def skipped_slides(
    project: Project, dataset: str, assigned: Mapping[str, Side], slides_folder: Path, runs_folder: Path
) -> dict[str, str]:
    """Both: slide -> why it is in no score, in the order of the sheet."""
    before = skipped_before_training(project, dataset, slides_folder)
    found = {**skipped_since(project, dataset, without(assigned, before), runs_folder), **before}
    return _in_order(project.dataset(dataset), found)


def forget_skipped(project: Project, dataset: str, slides_folder: Path, runs_folder: Path) -> int:
    """Remove what stands in the place of files of skipped slides; how many there were."""
    runs = [runs_folder / name for name, run in project.runs.items() if run.dataset_name == dataset]
    lost = [
        path for folder in (slides_folder, *runs) for path in folder.rglob("*") if reason_in(path) is not None
    ]
    for path in lost:
        path.unlink()
    return len(lost)


def without(assigned: Mapping[str, Side], skipped: Iterable[str]) -> dict[str, Side]:
    """The sheet of splits with slides skipped."""
    return {**assigned, **dict.fromkeys(skipped, Side(skipped=True))}


def _results(run: Run, slide: SlideSettings) -> list[Path]:
    """What a run has of a test slide, of which some may not be wanted."""
    kinds = ("quantities", "boundaries", "calibration", "matches")
    roles = layout.roles_of(slide)
    return [
        layout.map_path(run.name, slide.id),
        layout.probabilities_path(run.name, slide.id),
        *(
            path(run.name, role, slide.id)
            for role in roles
            for path in (layout.counts_path, layout.windows_path)
        ),
        *(layout.measures_path(run.name, kind, slide.id) for kind in kinds),
        layout.objects_path(run.name, slide.id),
        *([] if slide.volume is None else [layout.volume_path(run.name, slide.volume)]),
    ]


def _empty(slide: SlideSettings, folder: Path) -> str | None:
    """Why a slide that may train cannot: nothing is annotated on it."""
    if slide.annotation is None or slide.split == "test":
        return None
    return None if any(read_json(folder / "labels.json")["pixels"].values()) else "no annotated pixel"


def _first(files: Iterable[Path]) -> str | None:
    return next((reason for reason in map(reason_in, files) if reason is not None), None)


def _whole_volumes(dataset: DatasetSettings, found: Mapping[str, str | None]) -> dict[str, str]:
    """With all slices of a volume that lacks one: it cannot be stacked from the others."""
    reasons = {slide: reason for slide, reason in found.items() if reason is not None}
    for name, volume in volumes_of(dataset.slides).items():
        lost = next((one.id for one in volume.slides if one.id in reasons), None)
        if lost is not None:
            why = f"slice {lost} of its volume {name} is skipped"
            reasons = {**dict.fromkeys((one.id for one in volume.slides), why), **reasons}
    return _in_order(dataset, reasons)


def _in_order(dataset: DatasetSettings, reasons: Mapping[str, str]) -> dict[str, str]:
    return {one.id: reasons[one.id] for one in dataset.slides if one.id in reasons}
