"""New slides as a command is given them: files and folders, each slide with a name for its results."""

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


def named_slides(given: Sequence[Path]) -> dict[str, Path]:
    """Name -> file, in the order given, the slides of a folder by name; ConfigError where two have one name."""
    found: dict[str, Path] = {}
    taken: dict[str, Path] = {}
    for path in (one for some in given for one in _files(some)):
        name = name_of(path)
        # Two names that differ in case only are one folder on some disks.
        first = taken.setdefault(name.lower(), path)
        if first != path:
            raise ConfigError(
                f"{path}: its results would lie where those of {first} do, in {name}; give slides of one name in calls "
                "of their own, each with another --out"
            )
        found[name] = path
    if not found:
        raise ConfigError(
            f"{', '.join(map(str, given))}: found no slide, wanted files that end in {', '.join(SUFFIXES)}; name them"
        )
    return found


def name_of(path: Path) -> str:
    """The file's name without its suffix, in letters, digits, ``_``, ``.`` and ``-``."""
    stem = path.name[: -len(SLICE_SUFFIX)] if is_slice(path) else path.stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).lstrip("_.-")[:LONGEST] or "slide"


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        one
        for one in path.iterdir()
        if one.suffix.lower() in SUFFIXES and not one.name.startswith(".") and one.is_file()
    )
