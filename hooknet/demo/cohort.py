"""One phantom slide with its sparse annotations and its held-out dense truth, as files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.windows import Window

from hooknet.demo.annotations import Style, draw, to_xml
from hooknet.demo.fields import generator
from hooknet.demo.rendering import Scene, make_scene, paint
from hooknet.demo.sites import Context, draw_sites, make_sites, paint_sites, truth_of
from hooknet.demo.tissue import make_world
from hooknet.errors import ConfigError
from hooknet.io.atomic import atomic, write_text

DOWNSAMPLES = (2, 4, 8, 16)
_STYLES: tuple[Style, ...] = ("plain", "comma", "shuffled")
_QUALITY = 90


@dataclass(frozen=True)
class PhantomSettings:
    """A square slide of ``size_um`` µm a side, scanned at ``spacing`` µm/px; ``seed`` of the cohort.

    The spacing changes the pixels and not the tissue: one slide at two spacings shows one world.  With a ``context``
    it is not tissue but sites, on which it is known what has to be seen (:mod:`hooknet.demo.sites`).
    """

    size_um: float = 2048.0
    spacing: float = 0.5
    seed: int = 1
    context: Context | None = None

    def __post_init__(self) -> None:
        if not 0.05 <= self.spacing <= 2.0:
            raise ConfigError(
                f"phantom settings: spacing {self.spacing:g} µm/px found, 0.05 to 2 wanted; choose another"
            )

    @property
    def side(self) -> int:
        """Level-0 px a side."""
        return round(self.size_um / self.spacing)


def make_slide(slide_id: str, settings: PhantomSettings, slide: Path, annotation: Path, truth: Path) -> None:
    """Write a pyramidal JPEG slide, an ASAP file and a dense truth that depend on seed and id only.

    ``slide``: tiled TIFF, levels 1, 2, 4, 8, 16, each the average of level 0, resolution in its tags.
    ``truth``: uint8 in level-0 px, values ``tissue.VALUES`` (1 stroma, with the walls of ducts, 2 fat,
    3 in_situ, 4 invasive, 5 lymphoid), 0 glass and vessels; PNG or, by any other suffix, tiled TIFF.
    ``annotation``: decimals with a comma or points out of order for slides whose number (the digits at the
    end of the id) leaves 1 or 2 when divided by three.
    Raises ConfigError when the world is too small for five classes.  Of slides of sites the values of ``truth`` are
    those of ``sites.CLASSES``, in the annotated part of each site.
    """
    key = f"{settings.seed}/{slide_id}"
    if settings.context is not None:
        _make_sites(key, slide_id, settings, settings.context, (slide, annotation, truth))
        return
    world = make_world(settings.size_um, key)
    style = writing_style(slide_id)
    text = to_xml(draw(world), settings.spacing, style, world.generator("order of points"))
    with atomic(slide) as partial:
        rgb, classes = _painted(make_scene(world), settings)
        _write_slide(partial, rgb, settings.spacing)
        del rgb
    with atomic(truth) as partial:
        _write_truth(partial, classes, settings.spacing)
    write_text(annotation, text)


def writing_style(slide_id: str) -> Style:
    """How the annotation file of a slide is written: by the number at the end of its id."""
    digits = re.search(r"(\d+)$", slide_id)
    number = int(digits[1]) if digits else int(generator(slide_id, "style").integers(3))
    return _STYLES[number % 3]


def _make_sites(
    key: str, slide_id: str, settings: PhantomSettings, context: Context, files: tuple[Path, Path, Path]
) -> None:
    slide, annotation, truth = files
    drawn = make_sites(settings.size_um, key)
    style = writing_style(slide_id)
    text = to_xml(draw_sites(drawn, context), settings.spacing, style, generator(key, "order of points"))
    with atomic(slide) as partial:
        _write_slide(partial, np.moveaxis(paint_sites(drawn, settings.spacing), -1, 0), settings.spacing)
    with atomic(truth) as partial:
        _write_truth(partial, truth_of(drawn, settings.spacing, context), settings.spacing)
    write_text(annotation, text)


def _painted(scene: Scene, settings: PhantomSettings) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A world's pixels (3, side, side) and its dense truth (side, side)."""
    side = settings.side
    truth = np.zeros((side, side), dtype=np.uint8)
    rgb = np.zeros((3, side, side), dtype=np.uint8)
    for column, row, tile, classes in paint(scene, side, side, settings.spacing):
        height, width = classes.shape
        rows, columns = slice(row, row + height), slice(column, column + width)
        truth[rows, columns], rgb[:, rows, columns] = classes, np.moveaxis(tile, -1, 0)
    return rgb, truth


def _write_slide(path: Path, rgb: NDArray[np.uint8], spacing: float) -> None:
    """Write (3, side, side) pixels as a pyramid."""
    jpeg = {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": _QUALITY}
    with _in_memory(path) as memory:
        with _tiff(memory, rgb.shape, spacing, **jpeg) as target:
            target.write(rgb)
        levels = [factor for factor in DOWNSAMPLES if rgb.shape[-1] >= factor]
        options = {"JPEG_QUALITY_OVERVIEW": _QUALITY, "GDAL_TIFF_OVR_BLOCKSIZE": 256, "GDAL_CACHEMAX": 64}
        with rasterio.Env(**options), _quiet(), rasterio.open(memory, "r+") as target:
            target.build_overviews(levels, Resampling.average)


def _write_truth(path: Path, truth: NDArray[np.uint8], spacing: float) -> None:
    if path.suffix.lower() == ".png":
        Image.fromarray(truth).save(path)
        return
    with (
        _in_memory(path) as memory,
        _tiff(memory, (1, *truth.shape), spacing, compress="deflate") as target,
    ):
        target.write(truth, 1, window=Window(0, 0, truth.shape[1], truth.shape[0]))


@contextmanager
def _in_memory(path: Path) -> Iterator[str]:
    """A name that GDAL writes to, and whose content goes to ``path``: of a disk full as it closes it says nothing."""
    with MemoryFile(ext=path.suffix) as memory:
        yield memory.name
        path.write_bytes(memory.getbuffer())


@contextmanager
def _tiff(path: str, shape: tuple[int, ...], spacing: float, **options: Any) -> Iterator[Any]:
    """A new tiled uint8 TIFF of (bands, height, width) that says its spacing: px per centimetre."""
    count, height, width = shape
    profile = {"driver": "GTiff", "dtype": "uint8", "count": count, "height": height, "width": width}
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with _quiet(), rasterio.open(path, "w", **profile, **tiles, **options) as target:
        density = repr(1e4 / spacing)
        target.update_tags(
            TIFFTAG_XRESOLUTION=density, TIFFTAG_YRESOLUTION=density, TIFFTAG_RESOLUTIONUNIT="3"
        )
        yield target


@contextmanager
def _quiet() -> Iterator[None]:
    """Slides are not maps: rasterio need not warn that they have no place on Earth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
