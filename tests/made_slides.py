"""Slides for tests whose pixels say where they are, and what a faultless reader would make of them.

Red is a function of x alone and green of y alone: triangle waves.  So the average over any rectangle is known
exactly from one-dimensional sums, level-0 pixel by level-0 pixel, and white outside.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.io.masks import create_mask

WHITE = 255.0


def wave(length: int, half: int) -> np.ndarray:
    """Grey levels (length,) uint8 that rise from 0 to 240 over ``half`` px and fall again."""
    centre = (np.arange(length) + 0.5) % (2 * half)
    return np.round(240 / half * np.minimum(centre, 2 * half - centre)).astype(np.uint8)


def coordinates_image(width: int, height: int, half: int) -> np.ndarray:
    image = np.full((height, width, 3), 100, np.uint8)
    image[..., 0] = wave(width, half)
    image[..., 1] = wave(height, half)[:, None]
    return image


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=-1)


def random_bits(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (height, width), dtype=np.uint8)


def area_means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean of the pixels (length, ...) between neighbouring ``edges``; white beyond both ends."""
    values = values.astype(np.float64)
    far = int(np.ceil(max(1, -edges.min(), edges.max() - len(values)))) + 1
    white = np.full((far, *values.shape[1:]), WHITE)
    padded = np.concatenate([white, values, white])
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(padded, axis=0)])
    place = edges + far
    low = np.floor(place).astype(int).clip(0, len(padded) - 1)
    share = (place - low).reshape(-1, *[1] * (values.ndim - 1))
    integral = total[low] + share * padded[low]
    return np.diff(integral, axis=0) / np.diff(edges).reshape(share[:-1].shape)


def centre_values(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Linear interpolation between pixel centres; white pixels beyond both ends."""
    far = 3
    padded = np.concatenate([np.full(far, WHITE), values.astype(float), np.full(far, WHITE)])
    return np.interp(centres, np.arange(-far, len(values) + far) + 0.5, padded)


def area_image(image: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> np.ndarray:
    """Mean of an image (height, width, 3) over the rectangles between edges, as floats."""
    lines = area_means(image, y_edges)
    return area_means(lines.swapaxes(0, 1), x_edges).swapaxes(0, 1)


def reduced(image: np.ndarray, factor: float, resize: bool = False) -> np.ndarray:
    """A pyramid level: cells of ``factor`` px, odd rows dropped; or the whole image at floor(size / factor)."""
    height, width = (int(side // factor) for side in image.shape[:2])
    step_x, step_y = (image.shape[1] / width, image.shape[0] / height) if resize else (factor, factor)
    level = area_image(image, np.arange(width + 1) * step_x, np.arange(height + 1) * step_y)
    return np.rint(level).astype(np.uint8)


def write_slide(
    path: Path,
    image: np.ndarray,
    levels: tuple[np.ndarray, ...] = (),
    spacing: float | tuple[float, float] | None = 0.5,
) -> Path:
    """A pyramidal TIFF; ``spacing`` in µm/px goes into the resolution tags."""
    if spacing is None:
        tags = {}
    else:
        x, y = spacing if isinstance(spacing, tuple) else (spacing, spacing)
        tags = {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}
    common = {"tile": (64, 64), "photometric": "rgb", "compression": "deflate", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, **common, **tags)
        for level in levels:
            writer.write(level, subfiletype=1, **common)
    return path


def write_mask(
    path: Path, labels: np.ndarray, step: float = 1.0, spacing: float = 0.5, classes: int = 2
) -> Path:
    """A label mask of square pixels of ``spacing`` µm, ``step`` level-0 px a side."""
    grid = RasterGrid(labels.shape[1], labels.shape[0], spacing, step, step)
    names = tuple(f"class{value}" for value in range(1, classes + 1))
    with create_mask(path, grid, names, {value: (value, 0, 0) for value in range(1, classes + 1)}) as writer:
        writer.write(0, 0, labels)
    return path


def square(spacing: float) -> Spacing:
    return Spacing(spacing, spacing)
