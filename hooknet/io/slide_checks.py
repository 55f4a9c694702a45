"""What no slide can be: refused before memory is taken for it, or a wrong scale believed."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hooknet.coordinates import Spacing
from hooknet.errors import SlideError

# A glass of 20 x 25 cm is the largest that is scanned, a body lies within 2 m: more is a wrong size or spacing.
LARGEST_SLIDE, LARGEST_SLICE = 0.3, 4.0  # m
MICRONS_PER_M = 1e6
# OpenSlide decodes whole tiles, four bytes a px: of more px than this (256 MiB) one would fill the memory.
MOST_TILE_PIXELS = 2**26
# Scanners whose px are not square are off by percents; px so many times as long as wide are a wrong tag.
MOST_UNEQUAL = 4.0
OVERRIDE = "set the slide's `spacing` in µm/px in the datasets file"
# Of more directories than this none is a slide's: they lead round in a circle.
MOST_DIRECTORIES, MOST_ENTRIES = 10_000, 65_536
# Entries of a TIFF that list where strips and tiles are, and bytes of a value of each kind.
LISTS = (273, 279, 324, 325)
LENGTHS = {3: 2, 4: 4, 16: 8}


def check_extent(path: Path, size: tuple[int, int], spacing: Spacing, is_slice: bool) -> None:
    """SlideError for a slide that is larger than any is."""
    width, height = size[0] * spacing.x / MICRONS_PER_M, size[1] * spacing.y / MICRONS_PER_M
    largest = LARGEST_SLICE if is_slice else LARGEST_SLIDE
    if max(width, height) > largest:
        raise SlideError(
            f"{path}: found {size[0]} x {size[1]} px at {spacing} µm/px, which is {width:.3g} x {height:.3g} m, wanted "
            f"at most {largest:g} m; {OVERRIDE} if the file's is wrong, else the file is damaged"
        )


def check_square(path: Path, spacing: Spacing) -> None:
    """SlideError for a file that says that its px are many times as long as wide."""
    if max(spacing.x, spacing.y) > MOST_UNEQUAL * min(spacing.x, spacing.y):
        raise SlideError(
            f"{path}: the file says {spacing} µm/px, wanted sides at most {MOST_UNEQUAL:g} times each other; {OVERRIDE}"
        )


def check_tiles(path: Path, properties: Mapping[str, str], levels: int) -> None:
    """SlideError for tiles that are too large to decode one."""
    for level in range(levels):
        width, height = (
            int(properties.get(f"openslide.level[{level}].tile-{side}", 0)) for side in ("width", "height")
        )
        if width * height > MOST_TILE_PIXELS:
            raise SlideError(
                f"{path}: found tiles of {width} x {height} px in level {level}, wanted at most {MOST_TILE_PIXELS} px; "
                "save the slide with tiles of 256 to 4096 px"
            )


def check_directories(path: Path) -> None:
    """SlideError for a TIFF of which a directory is cut off: OpenSlide would show it without that level."""
    size = os.stat(path).st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) == 16 else 0
        if version not in (42, 43):
            return
        layout = (
            _Layout(order + "HHII", order + "H", 12)
            if version == 42
            else _Layout(order + "HHQQ", order + "Q", 20)
        )
        start = layout.offset(head[4:8] if version == 42 else head[8:16])
        number = 0
        while start and number < MOST_DIRECTORIES:
            end, start_of_next = _directory(file, start, layout)
            if end > size:
                raise SlideError(
                    f"{path}: directory {number} at byte {start} needs {end} bytes, found {size}: the file is cut "
                    "short; copy it again"
                )
            start, number = start_of_next, number + 1


@dataclass(frozen=True)
class _Layout:
    """How a directory is stored: an entry (tag, kind, count, place), the number of entries, bytes of an entry."""

    entry: str
    count: str
    length: int

    def offset(self, content: bytes) -> int:
        return int(struct.unpack(self.entry[0] + self.entry[-1], content)[0])


def _directory(file: BinaryIO, start: int, layout: _Layout) -> tuple[int, int]:
    """How many bytes the file must have for a directory and what it lists, and where the next one stands."""
    file.seek(start)
    wide, place = struct.calcsize(layout.count), layout.length - struct.calcsize(layout.entry[:-1])
    count = file.read(wide)
    if len(count) < wide:
        return start + wide, 0
    entries = struct.unpack(layout.count, count)[0]
    end = start + wide + entries * layout.length + place
    content = file.read(min(entries, MOST_ENTRIES) * layout.length + place)
    if len(content) < entries * layout.length + place:
        return end, 0
    for tag, kind, number, where in struct.iter_unpack(layout.entry, content[:-place]):
        length = number * LENGTHS.get(kind, 0)
        if tag in LISTS and length > place:
            end = max(end, where + length)
    return end, layout.offset(content[-place:])
