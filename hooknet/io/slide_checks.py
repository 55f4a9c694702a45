"""What no slide can be: refused before memory is taken for it, or a wrong scale believed."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

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
MOST_DIRECTORIES = 10_000


def check_extent(path: Path, size: tuple[int, int], spacing: Spacing, is_slice: bool) -> None:
    """SlideError for a slide that is larger than any is."""
    width, height = size[0] * spacing.x / MICRONS_PER_M, size[1] * spacing.y / MICRONS_PER_M
    largest = LARGEST_SLICE if is_slice else LARGEST_SLIDE
    if max(width, height) > largest:
        raise SlideError(
            f"{path}: found {size[0]} x {size[1]} px at {spacing} µm/px, which is {width:.3g} x {height:.3g} m, wanted at "
            f"most {largest:g} m; {OVERRIDE} if the file's is wrong, else the file is damaged"
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
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16:
            return
        version = struct.unpack(f"{order}H", head[2:4])[0]
        if version not in (42, 43):
            return
        # Of a count, an entry and an offset, in bytes.
        count_is, entry, offset_is = ("H", 12, "I") if version == 42 else ("Q", 20, "Q")
        start = struct.unpack(f"{order}{offset_is}", head[4:8] if version == 42 else head[8:16])[0]
        number = 0
        while start and number < MOST_DIRECTORIES:
            file.seek(start)
            count = file.read(struct.calcsize(count_is))
            end = start + len(count)
            if len(count) == struct.calcsize(count_is):
                end += entry * struct.unpack(f"{order}{count_is}", count)[0]
            length = struct.calcsize(offset_is)
            if not start < end <= size - length:
                raise SlideError(
                    f"{path}: directory {number} stands at byte {start} and does not end within the file's {size} bytes; "
                    "the file is cut short: copy it again"
                )
            file.seek(end)
            start = struct.unpack(f"{order}{offset_is}", file.read(length))[0]
            number += 1
