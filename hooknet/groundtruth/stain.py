"""What a slide looks like, in a few numbers: its spacing, and how strongly its tissue is stained.

Taken alike of the slides that a network is trained on and of those that it meets later, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hooknet.config.steps import TissueSettings
from hooknet.groundtruth.tissue import find_tissue, read_overview
from hooknet.io.slides import Slide

#: Optical densities of haematoxylin and eosin in red, green, blue (Ruifrok and Johnston 2001), of length 1.
_DENSITIES: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
STAINS: Final = _DENSITIES / np.linalg.norm(_DENSITIES, axis=1, keepdims=True)
#: What is measured: name -> (how it is told, its unit, how far beyond a cohort's range it may be, as a share).
MEASURES: Final[dict[str, tuple[str, str, float]]] = {
    "spacing": ("spacing", " µm/px", 0.05),
    "haematoxylin": ("haematoxylin", "", 0.15),
    "eosin": ("eosin", "", 0.15),
    "density": ("optical density", "", 0.15),
    "contrast": ("contrast", "", 0.25),
}
#: Digits that are kept.
DIGITS: Final = 6

Range = tuple[float, float]


def densities(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Optical density -log10((v + 1) / 256) of pixels (n, 3) in red, green, blue: 0 is white."""
    found: NDArray[np.float64] = -np.log10((pixels.astype(np.float64) + 1) / 256)
    return found


def stain_of(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """The stain of tissue pixels (n, 3), n > 0.

    ``haematoxylin``, ``eosin``: mean amount of each, by least squares of the densities in :data:`STAINS`.
    ``density``: mean optical density of red, green and blue; ``contrast``: its standard deviation over the pixels.
    """
    dense = densities(pixels)
    haematoxylin, eosin = (dense @ np.linalg.pinv(STAINS)).mean(axis=0)
    grey = dense.mean(axis=1)
    found = {
        "haematoxylin": haematoxylin,
        "eosin": eosin,
        "density": grey.mean(),
        "contrast": grey.std(),
    }
    return {name: round(float(value), DIGITS) for name, value in found.items()}


def measure_slide(slide: Slide, tissue: TissueSettings) -> dict[str, float]:
    """``spacing`` (of level 0, the coarser of x and y) and the stain of the tissue at ``tissue.spacing``.

    Of slices of volumes, of slides of other channels and of those without tissue the spacing alone.
    """
    found = {"spacing": round(max(slide.spacing.x, slide.spacing.y), DIGITS)}
    if slide.is_slice or slide.channels != 3:
        return found
    grid = slide.grid(max(tissue.spacing, slide.spacing.x, slide.spacing.y))
    image = read_overview(slide, grid)
    inside = find_tissue(image, grid.spacing, tissue.close_um, tissue.min_area_um2, tissue.threshold)
    return found | stain_of(image[inside]) if inside.any() else found


def ranges_of(slides: Sequence[Mapping[str, float]]) -> dict[str, Range]:
    """Measure -> the least and the largest of slides, of those that have it."""
    found = {}
    for name in MEASURES:
        values = [one[name] for one in slides if name in one]
        if values:
            found[name] = (min(values), max(values))
    return found


def beyond(slide: Mapping[str, float], ranges: Mapping[str, Range]) -> list[str]:
    """What of a slide lies further outside a cohort's ranges than is usual, in words; [] where all is as there.

    What lies outside by no more than the share that :data:`MEASURES` gives is not told: a few slides are no limit.
    """
    told = []
    for name, (called, unit, margin) in MEASURES.items():
        if name not in slide or name not in ranges:
            continue
        low, high = ranges[name]
        if not low - margin * abs(low) <= slide[name] <= high + margin * abs(high):
            told.append(
                f"{called} {slide[name]:.3g}{unit} is unlike the slides of training ({_told(low, high)}{unit})"
            )
    return told


def _told(low: float, high: float) -> str:
    first, last = f"{low:.3g}", f"{high:.3g}"
    return first if first == last else f"{first} to {last}"
