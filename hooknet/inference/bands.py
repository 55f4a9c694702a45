"""A slide too large for one job, predicted in bands of rows by several and joined.

Bands end where blocks of the map do, whatever tiles are laid: none leaves a gap.  All bands of a slide see tiles of
the same lattice, and of the same size where they are given the same memory, so what is joined is, to the bit, what
one job would have written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hooknet.coordinates import blocks
from hooknet.errors import HookNetError, MaskError
from hooknet.inference.canvas import BLOCK
from hooknet.inference.telling import tell_classes
from hooknet.io.masks import Mask, create_mask
from hooknet.io.probabilities import Probabilities, create_probabilities


@dataclass(frozen=True)
class Band:
    """The ``number``-th (from 1) of ``of`` bands; written ``2of5``."""

    number: int
    of: int

    @classmethod
    def named(cls, text: str) -> Band:
        """The band of a name; HookNetError where it is none."""
        found = re.fullmatch(r"([1-9]\d*)of([1-9]\d*)", text)
        if found is None or int(found[1]) > int(found[2]):
            raise HookNetError(f"band {text!r}: wanted a number of so many, such as 2of5")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}of{self.of}"

    def rows(self, height: int) -> tuple[int, int]:
        """First and one-past-last row of a map that is ``height`` px high; the same where a band has none."""
        count = -(-height // BLOCK)  # rows of blocks
        first, end = (count * one // self.of for one in (self.number - 1, self.number))
        return first * BLOCK, min(end * BLOCK, height)


def join_maps(slide: str, bands: Sequence[Path], output: Path) -> None:
    """One map of those of all bands, which are called ``1of3.tif``, ``2of3.tif``, ``3of3.tif``.

    MaskError where one is missing or is of another slide or other classes.
    """
    ordered = _complete(bands)
    with ExitStack() as stack:
        maps = [stack.enter_context(Mask.open(path)) for path in ordered]
        first = maps[0]
        for one in maps:
            _check_alike(one, first, (one.names, one.colours) == (first.names, first.colours))
        seen = np.zeros(len(first.names) + 1, np.int64)
        writer = stack.enter_context(create_mask(output, first.grid, first.names, first.palette, first.made))
        for band, one in enumerate(maps, start=1):
            top, bottom = Band(band, len(maps)).rows(first.grid.height)
            for column, row, width, height in blocks(first.grid.width, bottom - top, BLOCK):
                place = column, top + row, width, height
                if one.is_empty(*place):
                    seen[0] += width * height
                    continue
                found = one.read(*place)
                seen += np.bincount(found.ravel(), minlength=len(seen))
                if found.any():
                    writer.write(column, top + row, found)
    tell_classes(slide, first.names, seen)


def join_probabilities(bands: Sequence[Path], output: Path) -> None:
    """As :func:`join_maps`, of probabilities."""
    ordered = _complete(bands)
    with ExitStack() as stack:
        parts = [stack.enter_context(Probabilities.open(path)) for path in ordered]
        first = parts[0]
        for one in parts:
            _check_alike(one, first, one.names == first.names)
        writer = stack.enter_context(create_probabilities(output, first.grid, first.names, first.made))
        for band, one in enumerate(parts, start=1):
            top, bottom = Band(band, len(parts)).rows(first.grid.height)
            for column, row, width, height in blocks(first.grid.width, bottom - top, BLOCK):
                found = one.read_as(first.grid, column, top + row, width, height)
                if found.any():
                    writer.write(column, top + row, found)


def _check_alike(one: Mask | Probabilities, first: Mask | Probabilities, classes: bool) -> None:
    """MaskError unless two bands are of one raster, ``classes`` alike, and made of the same weights and settings."""
    if one.grid != first.grid or not classes:
        raise MaskError(f"{one.path}: another raster or other classes than {first.path}; infer it again")
    for key in sorted({*one.made, *first.made}):
        found, wanted = one.made.get(key, "nothing"), first.made.get(key, "nothing")
        if found != wanted:
            raise MaskError(
                f"{one.path}: made with {key} {found}, but {first.path} with {wanted}; infer all bands again"
            )


def _complete(paths: Sequence[Path]) -> list[Path]:
    """The files of all bands in their order; MaskError where they are not 1 to n of n."""
    found = {Band.named(path.stem): path for path in paths}
    wanted = [Band(number, len(paths)) for number in range(1, len(paths) + 1)]
    if not paths or set(found) != set(wanted):
        told = ", ".join(str(path) for path in paths) or "none"
        raise MaskError(
            f"bands {told}: wanted each of a slide once, 1of{len(paths)} to {len(paths)}of{len(paths)}"
        )
    return [found[one] for one in wanted]
