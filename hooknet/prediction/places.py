"""Where the results of a slide lie, and whose they are: under one name another file may come the next time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hooknet.config.steps import TissueSettings
from hooknet.errors import ConfigError, HookNetError
from hooknet.io.records import read_json, write_json

MAP, PROBABILITIES, UNCERTAINTY, TISSUE, OUTLINES, AREAS = RESULTS = (
    "map.tif", "probabilities.tif", "uncertainty.tif", "tissue.tif", "map.geojson", "areas.csv",
)  # fmt: skip
RECORD: Final = ".slide.json"
#: Bytes of a slide that are looked at, at its beginning, middle and end: all of it would take minutes.
_PIECE: Final = 1 << 16


def claim(folder: Path, slide: Path, tissue: TissueSettings) -> None:
    """Make a folder that of a slide: what is there of another slide, or of tissue told otherwise, is removed.

    Times of files do not tell: a copy may be as old as its original.
    """
    if is_of(folder, slide, tissue):
        return
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)
    write_json(folder / RECORD, _identity(slide, tissue))


def is_of(folder: Path, slide: Path, tissue: TissueSettings) -> bool:
    """Whether the results in a folder are those of this very slide, wherever it lies, with its tissue told so."""
    try:
        return read_json(folder / RECORD) == _identity(slide, tissue)
    except HookNetError:
        return False


def check_apart(folder: Path, slides: Mapping[str, str | Path]) -> None:
    """ConfigError where a slide lies where results will be written."""
    written = {(folder / name / one).resolve() for name in slides for one in RESULTS}
    for path in slides.values():
        if Path(path).resolve() in written:
            raise ConfigError(f"{path}: would be overwritten by results in {folder}; give another --out")


def _identity(slide: Path, tissue: TissueSettings) -> dict[str, Any]:
    size, pieces = slide.stat().st_size, hashlib.sha256()
    with slide.open("rb") as file:
        for start in (0, size // 2, max(0, size - _PIECE)):
            file.seek(start)
            pieces.update(file.read(_PIECE))
    return {"bytes": size, "pieces": pieces.hexdigest(), "tissue": tissue.model_dump(mode="json")}
