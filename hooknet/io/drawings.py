"""What every annotation file boils down to: named shapes in level-0 px, and the text they were read from."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from hooknet.errors import AnnotationError

Point = tuple[float, float]
Ring = tuple[Point, ...]
Kind = Literal["polygon", "point", "line", "none"]

NO_GROUP = "None"
# No slide reaches so far (level-0 px); what does is no place on one, and makes numbers overflow.
FARTHEST = 2**31
WANTED_PLACE = f"wanted level-0 px, at most {FARTHEST}; correct the point or draw the shape again"
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


@dataclass(frozen=True)
class Shape:
    """One drawn shape, in level-0 px, just as the file has it: not repaired, not closed.

    ``groups``: its own group first, then the groups that one is part of; ("None",) when it is in none.
    ``holes``: interior rings (GeoJSON only).  ``index``: its place in the file; the parts of one
    MultiPolygon share it.  ``kind`` "none" is ASAP's type None, a shape that was never finished.
    """

    name: str
    kind: Kind
    groups: tuple[str, ...]
    points: Ring
    holes: tuple[Ring, ...] = ()
    index: int = 0


def opened(ring: list[Point]) -> Ring:
    """The ring without the repetition of its first point at the end."""
    return tuple(ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring)


def number(text: str) -> float:
    """A coordinate written with a decimal point or comma; ValueError if it is not a finite number."""
    value = float(text.replace(",", ".")) if "_" not in text else float("nan")
    if not isfinite(value):
        raise ValueError(text)
    return value


def too_far(point: Point) -> bool:
    """Whether a point lies where no slide can reach."""
    return max(abs(one) for one in point) > FARTHEST


def read_text(path: Path) -> str:
    """The text of a UTF-8 or UTF-16 file (by its byte order mark or first bytes), else as its XML header says.

    AnnotationError when there is no such file, it is empty, or its bytes are not that text.
    """
    if not path.is_file():
        raise AnnotationError(f"{path}: no such file, wanted ASAP XML or QuPath GeoJSON")
    content = path.read_bytes()
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
        text.encode()  # some encodings give what is no text, halves of characters
    except (UnicodeError, LookupError) as error:
        raise AnnotationError(f"{path}: not text in {encoding} ({error})") from error
    if not text.strip():
        raise AnnotationError(f"{path}: the file is empty, wanted ASAP XML or QuPath GeoJSON")
    return text


def _encoding(content: bytes) -> str:
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content[:1] and content[1:2] == b"\0":
        return "utf-16-le"
    if content[:1] == b"\0":
        return "utf-16-be"
    declared = _DECLARED.match(content[:200])
    return declared.group(1).decode() if declared else "utf-8"
