"""Slides that no sheet lists: files and folders of them, each slide with a name for its results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hooknet.coordinates import SLICE_SUFFIX, is_slice
from hooknet.errors import ConfigError

#: How files of slides end that are looked for in a folder; others are named one by one.
SUFFIXES: Final = (
    ".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm",
)  # fmt: skip
LONGEST: Final = 100


def named_slides(given: Sequence[Path], remedy: str) -> dict[str, Path]:
    """Name -> file, in the order given, the slides of a folder by name.

    A path with ``*`` or ``?`` in its last part stands for the files that it fits.  ConfigError where there are none,
    and, with the ``remedy``, where two slides would have one name.
    """
    found: dict[str, Path] = {}
    taken: dict[str, Path] = {}
    for path in (one for some in given for one in _files(some)):
        name = name_of(path)
        # Two names that differ in case only are one folder on some disks.
        first = taken.setdefault(name.lower(), path)
        if first != path:
            raise ConfigError(f"{path}: its results would be called {name} as those of {first}; {remedy}")
        found[name] = path
    if not found:
        raise ConfigError(
            f"{', '.join(map(str, given))}: found no slide, wanted files that end in {', '.join(SUFFIXES)}; correct "
            "the path"
        )
    return found


def name_of(path: Path) -> str:
    """The file's name without its suffix, in letters, digits, ``_``, ``.`` and ``-``."""
    stem = path.name[: -len(SLICE_SUFFIX)] if is_slice(path) else path.stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).lstrip("_.-")[:LONGEST] or "slide"


def is_folder(path: str) -> bool:
    """Whether a path stands for several files: a folder, or a pattern."""
    try:
        return _is_pattern(Path(path)) or Path(path).is_dir()
    except OSError:  # too long a name, say: of no folder
        return False


def folder_rows(path: str, asked_by: str) -> list[dict[str, str]]:
    """The slides of a folder, or of a pattern such as ``new/*.svs``, as rows of a sheet would give them: for test."""
    try:
        found = named_slides([Path(path)], "rename one, or list them in a sheet")
    except ConfigError as error:
        raise ConfigError(f"{asked_by}: {error}") from None
    return [{"id": name, "slide": str(file), "split": "test"} for name, file in found.items()]


def _is_pattern(path: Path) -> bool:
    return re.search(r"[*?]", path.name) is not None and not path.exists()


def _files(path: Path) -> list[Path]:
    if _is_pattern(path):
        return sorted(one for one in path.parent.glob(path.name) if _is_slide(one))
    return sorted(one for one in path.iterdir() if _is_slide(one)) if path.is_dir() else [path]


def _is_slide(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
