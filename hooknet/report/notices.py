"""What a reader should know of before trusting the numbers: noticed about slides, annotations, colours, in logs."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from pathlib import Path

from hooknet.config.datasets import SlideSettings
from hooknet.config.layout import roles_of
from hooknet.config.project import Project
from hooknet.groundtruth.geometries import from_geojson
from hooknet.io.records import read_json
from hooknet.io.slides import is_interpolated
from hooknet.report.colours import close_colours

MAX_NAMED = 4
# Counts of read-annotations that a reader should know of.
REMARKS = {
    "repaired": "self-intersecting shapes, filled by the non-zero rule as ASAP fills them",
    "without_area": "shapes without area, dropped",
    "partly_outside": "shapes partly outside the slide",
}
# A line of a log as hooknet writes it: 12:34:56 WARNING what was noticed
_WARNED = re.compile(r"^\d\d:\d\d:\d\d WARNING (.+)$")

# What stands before the name of a file.
_FOLDERS = re.compile(r"(?<![^\s('\"])(?:[^\s:/]*/)+(?=[^\s:/]+\.\w)")


def notices(project: Project, dataset: str, slides: Path, skipped: Container[str] = ()) -> list[str]:
    """What was noticed about the slides (but those skipped) and the classes, a line per kind, naming the slides."""
    noticed: dict[str, list[str]] = {}
    spacings = project.read_spacings(dataset)
    for one in project.dataset(dataset).slides:
        for what in () if one.id in skipped else _noticed(one, slides / one.id, spacings):
            noticed.setdefault(what, []).append(one.id)
    found = [f"{what}: {_listed(ids)}" for what, ids in noticed.items()]
    return found + close_colours(project.dataset(dataset).label_map.classes)


def logged(logs: Path, owners: Iterable[str]) -> list[str]:
    """Warnings in the logs of the jobs of these (a dataset and its runs): a line per kind, with what it is about.

    Of files their names are told, not the folders they lie in.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for owner in owners:
        for path in sorted((*logs.glob(f"*/{owner}.log"), *logs.glob(f"*/{owner}/*.log"))):
            step = path.relative_to(logs).parts[0].replace("_", "-")
            for text in _warned(path):
                about, _, what = text.rpartition(": ")
                told.setdefault((step, what), []).append(about.rpartition("/")[2])
    return [f"{step}: {what}{_about(subjects)}" for (step, what), subjects in told.items()]


def without_folders(text: str) -> str:
    """A message with the names of files alone: folders are nobody's business but the owner's."""
    return _FOLDERS.sub("", text)


def _about(subjects: list[str]) -> str:
    """``: a.tif, b.tif``, each once; how often where there is none."""
    named = list(dict.fromkeys(one for one in subjects if one))
    if named:
        return f": {_listed(named, 'more')}"
    return "" if len(subjects) == 1 else f" ({len(subjects)} times)"


def _warned(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [found.group(1) for found in map(_WARNED.match, lines) if found]


def _noticed(slide: SlideSettings, folder: Path, spacings: Iterable[float]) -> list[str]:
    coarsest = max(read_json(folder / "slide.json")["spacing"])
    finer = [spacing for spacing in spacings if is_interpolated(coarsest, spacing)]
    found = [f"slightly coarser than {spacing:g} µm/px, interpolated" for spacing in finer]
    if not roles_of(slide):
        found.append("no annotation or truth, so the map is not scored")
    drawn = folder / "labels.geojson"
    counts = from_geojson(drawn).counts if drawn.is_file() else {}  # absent where the annotation is a raster
    found += [text for key, text in REMARKS.items() if counts.get(key)]
    ignored = [key.partition(":")[2] for key, count in counts.items() if key.startswith("ignored:") and count]
    return found + [f"shapes of group {group!r} ignored" for group in ignored]


def _listed(names: list[str], rest: str = "more slides") -> str:
    """Some of the names, and how many there are."""
    shown = ", ".join(names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown} and {len(names) - MAX_NAMED} {rest}"
