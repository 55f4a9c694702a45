"""The file of a slide as OpenSlide has it: opened once in every process, its pixels laid over white."""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from numpy.typing import NDArray

from hooknet.coordinates import PLAUSIBLE_SPACING
from hooknet.errors import SlideError
from hooknet.io.damage import Damage
from hooknet.io.staging import read_from

Image = NDArray[np.uint8]

WHITE = 255
# Bytes of decoded tiles that OpenSlide keeps, all slides of a process together: by itself each would keep 32 MiB.
TILE_CACHE = 64 << 20
# Px a side of what is read by itself where a larger region cannot be.
PART = 128

# Held over a fork, so that no child inherits it locked by a thread that it does not have.
_OPENING = threading.Lock()
os.register_at_fork(
    before=_OPENING.acquire, after_in_parent=_OPENING.release, after_in_child=_OPENING.release
)


class SlideFile:
    """A slide's file, for several threads at once; read from its copy where one is staged.

    Opened again in every process that reads it: a handle does not survive a fork.
    """

    fill: tuple[int, ...] = (WHITE, WHITE, WHITE)
    plausible_spacing = PLAUSIBLE_SPACING

    def __init__(self, path: Path) -> None:
        """The file is opened when it is first asked for something."""
        self.path = path
        self.damage: Damage | None = None
        self._opened: tuple[int, Any] | None = None  # of which process, and the handle

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].close()

    def handle(self) -> Any:
        """This process's handle, opened once however many threads ask; SlideError where it cannot be."""
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            with _OPENING:
                opened = self._opened
                if opened is None or opened[0] != os.getpid():
                    opened = self._opened = os.getpid(), _open(self.path)
        return opened[1]

    def region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image:
        """(height, width, 3) px of ``level``; ``location`` in level-0 px, ``size`` (width, height) in the level's.

        Once more where that fails: a disk of a network may have had a bad moment.  SlideError where the file is
        damaged, unless damage is tolerated: what cannot be read is then white, and noted.
        """
        handle = self.handle()
        try:
            return over_white(np.asarray(handle.read_region(location, level, size)))
        except openslide.OpenSlideError:
            # After one failure every later read of a handle fails; another thread may have a new one already.
            if self._opened is not None and self._opened[1] is handle:
                self._opened = None
        # Of this thread alone: what fails on a shared one may have been another thread's bad place.
        own = _open(self.path)
        try:
            return over_white(np.asarray(own.read_region(location, level, size)))
        except openslide.OpenSlideError as error:
            if self.damage is None:
                raise self._damaged(location, level, error) from None
        finally:
            own.close()
        return self._around_damage(self.damage, location, level, size)

    def _around_damage(
        self, damage: Damage, location: tuple[int, int], level: int, size: tuple[int, int]
    ) -> Image:
        """A region of which parts can be read, in parts that lie on one lattice of the level wherever it starts."""
        handle = _open(self.path)  # no shared one, as above
        downsample: float = handle.level_downsamples[level]
        first = [round(one / downsample) for one in location]
        found = ground(size[1], size[0], self.fill)
        for top, bottom in _parts(first[1], size[1]):
            for left, right in _parts(first[0], size[0]):
                x, y = location[0] + round(left * downsample), location[1] + round(top * downsample)
                width, height = right - left, bottom - top
                try:
                    part = np.asarray(handle.read_region((x, y), level, (width, height)))
                    found[top:bottom, left:right] = over_white(part)
                except openslide.OpenSlideError as error:
                    failed = self._damaged((x, y), level, error)
                    damage.note(x, y, width * downsample, height * downsample, failed)
                    handle.close()
                    handle = _open(self.path)
        handle.close()
        return found

    def _damaged(self, location: tuple[int, int], level: int, error: Exception) -> SlideError:
        return SlideError(
            f"{self.path}: level {level} cannot be read at ({location[0]}, {location[1]}) ({error}); "
            "the file is damaged: copy or scan it again"
        )


def _parts(first: int, length: int) -> list[tuple[int, int]]:
    """From where to where parts of a row of px reach, counted from its start, which is px ``first`` of the level."""
    ends = [*range(PART - first % PART, length, PART), length]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def ground(height: int, width: int, fill: tuple[int, ...]) -> Image:
    """(height, width, bands) px that all are ``fill``, one value a band."""
    shape = (height, width, len(fill))
    # One value for all bands is set many times as fast.
    return np.full(shape, fill[0] if len(set(fill)) == 1 else fill, np.uint8)


def over_white(region: Image) -> Image:
    """RGBA over a white ground, as RGB; what was never scanned is transparent, and black without this."""
    found = np.empty((*region.shape[:2], 3), np.uint8)
    # Channel by channel: inner loops run over columns and not over three channels.
    for channel in range(3):
        found[..., channel] = region[..., channel]
    alpha = region[..., 3]
    if alpha.min() < WHITE:
        found[alpha == 0] = WHITE
        partly = (alpha > 0) & (alpha < WHITE)
        share = alpha[partly][:, None].astype(np.float32) / WHITE
        found[partly] = np.rint(found[partly] * share + WHITE * (1 - share))
    return found


def _open(path: Path) -> Any:
    if not path.is_file():
        raise SlideError(f"{path}: found no such file; correct the slide's path in the datasets file")
    try:
        handle = openslide.OpenSlide(read_from(path))
    except (openslide.OpenSlideError, OSError) as error:
        raise SlideError(
            f"{path}: OpenSlide cannot open it ({error or 'unknown format'}); "
            "give a slide of a format it knows, such as a tiled pyramidal TIFF"
        ) from None
    handle.set_cache(_tile_cache(os.getpid()))
    return handle


@cache
def _tile_cache(_: int) -> Any:
    """This process's."""
    return openslide.OpenSlideCache(TILE_CACHE)
