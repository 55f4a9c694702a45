"""Annotation files of either kind."""

from __future__ import annotations

from pathlib import Path

from hooknet.errors import AnnotationError
from hooknet.io.asap import read_asap
from hooknet.io.drawings import Shape as Shape
from hooknet.io.drawings import read_text
from hooknet.io.geojson import read_geojson

SUFFIXES = (".xml", ".geojson", ".json")


def read_annotations(path: str | Path) -> tuple[Shape, ...]:
    """The shapes of an ASAP XML or QuPath GeoJSON file, in the file's order; empty if it has none.

    The suffix must be one of theirs; which of the two it is, the first character says.  AnnotationError for
    a file that is missing, of another kind, or damaged.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise AnnotationError(f"{path}: found suffix {path.suffix!r}, wanted one of {', '.join(SUFFIXES)}")
    first = read_text(path).lstrip()[:1]
    if first == "<":
        return read_asap(path)
    if first in ("{", "["):
        return read_geojson(path)
    raise AnnotationError(f"{path}: starts with {first!r}, wanted ASAP XML (<) or QuPath GeoJSON ({{ or [)")
