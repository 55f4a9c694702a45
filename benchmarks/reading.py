"""Concentric patches from a JPEG pyramid: ours beside the plain loop of two read_region calls and two resizes."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
from PIL import Image

from hooknet.coordinates import PatchSpec
from hooknet.demo.cohort import PhantomSettings, make_slide
from hooknet.io.patches import read_views
from hooknet.io.slides import Slide

SPEC = PatchSpec(284, 70, (0.5, 8.0))
PATCHES = 60
ROUNDS = 5


def plain(handle: openslide.OpenSlide, x: float, y: float) -> np.ndarray:
    """What one writes first: the nearest finer level of each spacing, resized by PIL."""
    views = []
    for spacing in SPEC.spacings:
        step = spacing / 0.5
        level = handle.get_best_level_for_downsample(step + 0.01)
        side = round(SPEC.size * step / handle.level_downsamples[level])
        corner = (round(x - SPEC.size * step / 2), round(y - SPEC.size * step / 2))
        region = handle.read_region(corner, level, (side, side)).convert("RGB")
        views.append(np.asarray(region.resize((SPEC.size, SPEC.size), Image.Resampling.BOX)))
    return np.stack(views)


def per_second(read: Callable[[float, float], np.ndarray], places: np.ndarray) -> float:
    """Patches a second."""
    start = time.perf_counter()
    for x, y in places:
        read(x, y)
    return len(places) / (time.perf_counter() - start)


def main() -> None:
    """Print patches a second of both, in turn, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slide.tif")
        make_slide("benchmark1", PhantomSettings(), path, Path(folder, "a.xml"), Path(folder, "t.tif"))
        places = np.random.default_rng(0).integers(0, 4096, (PATCHES, 2)).astype(float)
        slide, handle = Slide(path), openslide.OpenSlide(path)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(per_second(lambda x, y: read_views(slide, x, y, SPEC), places))
            theirs.append(per_second(lambda x, y: plain(handle, x, y), places))
        slide.close()
        handle.close()
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"two views of {SPEC.size} px at {SPEC.spacings} µm/px, JPEG pyramid, one process")
    print(
        f"hooknet {statistics.median(ours):.0f} patches/s, plain loop {statistics.median(theirs):.0f}: {ratio:.2f}x\n"
    )
