"""Slices of volumes: small tiled TIFFs of one to four bands that are read like slides.

A slice says in its ImageDescription, as JSON, what a slide says in its vendor's properties: its spacing, exactly,
and what only a slice has: the values outside the body, the names of its bands, its place in its volume.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray

from hooknet.coordinates import PLAUSIBLE_SLICE_SPACING, Spacing, is_slice
from hooknet.errors import SlideError
from hooknet.io.atomic import atomic
from hooknet.io.blocks import BlockCache
from hooknet.io.slide_file import ground

Image = NDArray[np.uint8]

TILE = 256
BANDS = (1, 3, 4)
MOST_PIXELS = 2**28  # a slice is decoded whole
REMEDY = "make it again with import-volumes"
# Bytes of decoded slices that a process keeps, of all volumes together.
_PIXELS = BlockCache(64 << 20)


@dataclass(frozen=True)
class SliceInfo:
    """What a slice says of itself: ``spacing`` in µm/px, ``thickness`` in mm from one slice to the next.

    ``fill``: the value outside the body, one a band; ``position`` counts the slices of ``volume`` from 0.
    """

    spacing: Spacing
    fill: tuple[int, ...]
    bands: tuple[str, ...]
    volume: str
    position: int
    thickness: float

    def to_json(self) -> str:
        """The file's ImageDescription."""
        return json.dumps(
            {
                "hooknet": "slice",
                "spacing_um": [self.spacing.x, self.spacing.y],
                "fill": list(self.fill),
                "bands": list(self.bands),
                "volume": self.volume,
                "position": self.position,
                "thickness_mm": self.thickness,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> SliceInfo:
        """What :meth:`to_json` wrote; ValueError, KeyError or TypeError for anything else."""
        found = json.loads(text)
        if found["hooknet"] != "slice":
            raise ValueError(f"found {found['hooknet']!r}, wanted 'slice'")
        x, y = found["spacing_um"]
        return cls(
            Spacing(float(x), float(y)),
            tuple(int(one) for one in found["fill"]),
            tuple(str(one) for one in found["bands"]),
            str(found["volume"]),
            int(found["position"]),
            float(found["thickness_mm"]),
        )


def write_slice(path: str | Path, pixels: Image, info: SliceInfo) -> None:
    """Write (height, width, bands) uint8 whole or not at all; ``path`` ends in ``.slice.tif``."""
    bands = pixels.shape[-1]
    if not is_slice(path) or bands not in BANDS or not bands == len(info.fill) == len(info.bands):
        raise ValueError(f"{path}: {bands} bands, fill {info.fill} and bands {info.bands} make no slice")
    # Four bands are no colours, and none of them says how much of the others is seen.
    kind: dict[str, Any] = {"photometric": "rgb" if bands == 3 else "minisblack"}
    if bands == 4:
        kind["extrasamples"] = ["unspecified"] * 3
    with atomic(path) as partial_path, tifffile.TiffWriter(partial_path) as writer:
        writer.write(
            pixels[..., 0] if bands == 1 else pixels,
            **kind,
            planarconfig=None if bands == 1 else "contig",
            tile=(TILE, TILE),
            compression="adobe_deflate",
            resolution=(1e4 / info.spacing.x, 1e4 / info.spacing.y),
            resolutionunit="CENTIMETER",
            description=info.to_json(),
            metadata=None,
        )


def read_slice(path: str | Path) -> tuple[Image, SliceInfo]:
    """What :func:`write_slice` wrote; SlideError where the file is missing, damaged or of another kind."""
    opened = _open(Path(path))
    return _decoded(Path(path), opened.shape), opened.info


@dataclass(frozen=True)
class OpenedSlice:
    """What a slice's head says, named as OpenSlide names it: a slice is one level."""

    info: SliceInfo
    shape: tuple[int, int, int]  # height, width, bands
    changed: int  # when the file was, in ns

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height in px."""
        return self.shape[1], self.shape[0]

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """Those of the only level."""
        return (self.dimensions,)

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """1."""
        return (1.0,)

    @property
    def properties(self) -> dict[str, str]:
        """The spacing to the last digit, and the sides of the tiles."""
        return {
            "openslide.vendor": "hooknet-slice",
            openslide.PROPERTY_NAME_MPP_X: repr(self.info.spacing.x),
            openslide.PROPERTY_NAME_MPP_Y: repr(self.info.spacing.y),
            "openslide.level[0].tile-width": str(TILE),
            "openslide.level[0].tile-height": str(TILE),
        }


class SliceFile:
    """A slice's file, for several threads and processes at once: no handle of it is kept, only what its head says.

    What :class:`hooknet.io.slide_file.SlideFile` is for slides.
    """

    plausible_spacing = PLAUSIBLE_SLICE_SPACING

    def __init__(self, path: Path) -> None:
        """The file is opened when it is first asked for something."""
        self.path = path
        self._opened: OpenedSlice | None = None

    def close(self) -> None:
        """Forget what the file said; the next read opens it again."""
        self._opened = None

    def handle(self) -> OpenedSlice:
        """What the file's head says; SlideError where it cannot be read."""
        opened = self._opened
        if opened is None:
            opened = self._opened = _open(self.path)
        return opened

    @property
    def fill(self) -> tuple[int, ...]:
        """The value outside, one a band."""
        return self.handle().info.fill

    def region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image:
        """(height, width, bands) px from ``location``, which is not negative; fill beyond the slice.

        SlideError where the file is damaged.
        """
        opened = self.handle()
        key = self.path, opened.changed
        pixels = _PIXELS.get(key, partial(_decoded, self.path, opened.shape))
        (column, row), (width, height) = location, size
        inside = pixels[row : row + height, column : column + width]
        if inside.shape[:2] == (height, width):
            return inside.copy()
        found = ground(height, width, opened.info.fill)
        found[: inside.shape[0], : inside.shape[1]] = inside
        return found


def _open(path: Path) -> OpenedSlice:
    if not path.is_file():
        raise SlideError(f"{path}: found no such file; correct the slide's path in the datasets file")
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            shape = page.shape if len(page.shape) == 3 else (*page.shape, 1)
            info = SliceInfo.from_json(page.description)
            kind = page.dtype
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise SlideError(f"{path}: is no slice of a volume ({_told(error)}); {REMEDY}") from None
    if shape[0] * shape[1] > MOST_PIXELS:
        raise SlideError(
            f"{path}: found {shape[1]} x {shape[0]} px, wanted at most {MOST_PIXELS} in all; {REMEDY}"
        )
    if kind != np.uint8 or shape[2] not in BANDS or len(info.fill) != shape[2]:
        raise SlideError(
            f"{path}: found {shape[2]} bands of {kind} and {len(info.fill)} values of fill, wanted 1, 3 or 4 of "
            f"uint8; {REMEDY}"
        )
    return OpenedSlice(info, shape, path.stat().st_mtime_ns)


def _decoded(path: Path, shape: tuple[int, int, int]) -> Image:
    """The pixels (height, width, bands) of the file."""
    try:
        with tifffile.TiffFile(path) as file:
            # One thread: another process's pool does not survive a fork.
            pixels: Image = file.pages[0].asarray(maxworkers=1)
    except Exception as error:  # a damaged tile ends in an error of whatever library unpacks it
        raise SlideError(f"{path}: cannot be read ({_told(error)}); the file is damaged: {REMEDY}") from None
    return pixels.reshape(shape)


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
