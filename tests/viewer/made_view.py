"""Slides, masks and maps to look at, whose contents are known and whose names are hostile."""

from __future__ import annotations

from pathlib import Path

import made_slides
import numpy as np

from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask
from hooknet.labels import LabelClass
from hooknet.viewer.catalogue import Layer, Viewed, ViewedSlide

WIDTH, HEIGHT = 1500, 1100
SPACING = 0.5
HOSTILE_SLIDE = '<img src=x onerror="window.hacked=1">'
HOSTILE_CLASS = "<script>window.hacked=2</script>"
HOSTILE_SYSTEM = "<b onmouseover='window.hacked=3'>hook</b>"
CLASSES = (
    LabelClass("stroma", 1, "#e5989b", ("stroma",), 0),
    LabelClass(HOSTILE_CLASS, 2, "#2a9d8f", (), 1),
)
# Boxes of class 2 in level-0 px: left, top, right, bottom.  The second system has it 120 px too far to the right.
BOX = (360, 240, 960, 840)
MOVED = (480, 240, 1080, 840)


def mask(
    path: Path, step: float, box: tuple[int, int, int, int], width: int = WIDTH, height: int = HEIGHT
) -> Path:
    """Class 2 in the box, class 1 around it; ``step`` level-0 px a px."""
    grid = RasterGrid(int(-(-width // step)), int(-(-height // step)), SPACING * step, step, step)
    values = np.ones((grid.height, grid.width), np.uint8)
    left, top, right, bottom = (round(side / step) for side in box)
    values[top:bottom, left:right] = 2
    with create_mask(path, grid, ("stroma", "gland"), {1: (1, 0, 0), 2: (2, 0, 0)}) as writer:
        writer.write(0, 0, values)
    return path


def write(folder: Path) -> Viewed:
    """A slide that is white but for a dark box, with everything; one with nothing; one whose file is none."""
    image = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    left, top, right, bottom = BOX
    image[top:bottom, left:right] = 60
    coarse = tuple(np.ascontiguousarray(image[::step, ::step]) for step in (2, 4))
    made_slides.write_slide(folder / "a.tif", image, coarse, SPACING)
    made_slides.write_slide(folder / "b.tif", image[:500, :700], (), SPACING)
    (folder / "broken.tif").write_bytes(b"no slide")
    truth = mask(folder / "truth.tif", 3.0, BOX)
    maps = mask(folder / "map0.tif", 2.0, BOX), mask(folder / "map1.tif", 4.0, MOVED)
    layers = [
        Layer("he", "H&E"),
        Layer("labels", "Annotation", mask(folder / "labels.tif", 2.0, BOX)),
        Layer("truth", "Dense truth", truth),
    ]
    for number, path in enumerate(maps):
        layers.append(Layer(f"map-{number}", "Prediction", path))
        layers.append(Layer(f"diff-{number}", "Differences from dense truth", path, truth))
    slides = (
        ViewedSlide("a", "test", folder / "a.tif", None, tuple(layers)),
        ViewedSlide(HOSTILE_SLIDE, "", folder / "b.tif", None, (Layer("he", "H&E"),)),
        ViewedSlide("broken", "", folder / "broken.tif", None, (Layer("he", "H&E"),)),
    )
    return Viewed("demo", CLASSES, ("unet", HOSTILE_SYSTEM), slides)
