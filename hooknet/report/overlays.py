"""Label maps as pictures: arrays in, pictures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, log10
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from hooknet.io.uncertainty import LEVELS
from hooknet.report.data import Labels, ReportClass, ReportOverlay, Rgb

Rgba = NDArray[np.uint8]
Palette = Mapping[int, tuple[int, int, int]]
LONGEST_SIDE = 1200
# A scale bar takes at most this share of the width.
BAR_SHARE = 0.25
#: Perceptually uniform, from dark to bright, and no colour of heat maps.
UNSURE = "viridis"
#: Between the colours of 0 and 1: more are not told apart, and make pages large.
STEPS = 32
INK = (17, 17, 17)
WHITE = (255, 255, 255)


def colour(labels: Labels, palette: Palette, alpha: int = 255) -> Rgba:
    """The labels as (height, width, 4): palette colours with ``alpha``, fully transparent where 0.

    A value that the palette lacks is an error (KeyError), never a colour by chance.
    """
    table = np.zeros((256, 4), np.uint8)
    for value in np.unique(labels[labels > 0]):
        table[value] = (*palette[int(value)], alpha)
    return table[labels]


def steps(entropy: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of entropy (``io.uncertainty``) as 1 to ``STEPS`` + 1, rounded; 0 stays 0."""
    rounded = 1 + np.round((np.arange(1, 256) - 1) * STEPS / LEVELS)
    return np.concatenate([[0], rounded]).astype(np.uint8)[entropy]


def step_colours() -> Rgb:
    """Red, green, blue of each step, dark is sure and bright undecided; the first, of 0, is white."""
    colours = mpl.colormaps[UNSURE](np.linspace(0, 1, STEPS + 1), bytes=True)[:, :3]
    return np.concatenate([np.full((1, 3), 255, np.uint8), colours])


def shade(entropy: NDArray[np.uint8]) -> Rgba:
    """Bytes of entropy (height, width) in the colours of their steps, (height, width, 4); transparent where 0."""
    return np.dstack([step_colours()[steps(entropy)], np.where(entropy > 0, 255, 0).astype(np.uint8)])


def ramp(steps: int = 17) -> tuple[str, ...]:
    """The colours of :func:`shade` for 0 to 1, evenly, as #rrggbb."""
    colours = mpl.colormaps[UNSURE](np.linspace(0, 1, steps), bytes=True)
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue, _ in colours.tolist())


def outline(labels: Labels, palette: Palette, width: int = 1) -> Rgba:
    """Contour lines, (height, width, 4): pixels within ``width`` px inside a border between labels.

    Each label keeps its own colour up to the border, darkened so that it can be told from its fill.
    """
    height, total = labels.shape
    padded = np.pad(labels, width, mode="edge")
    inner = np.ones(labels.shape, bool)
    for step in range(1, width + 1):
        for down, across in ((step, 0), (-step, 0), (0, step), (0, -step)):
            top, left = width + down, width + across
            inner &= padded[top : top + height, left : left + total] == labels
    # Where a map is mere speckle all of it is border, and its lines would hide it.
    inner = ~binary_dilation(inner, iterations=2 * width + 1) | inner
    dark = {value: (r * 6 // 10, g * 6 // 10, b * 6 // 10) for value, (r, g, b) in palette.items()}
    return colour(np.where(inner, 0, labels).astype(np.uint8), dark)


def lay_over(image: Rgb, layer: Rgba, opacity: float = 1.0) -> Rgb:
    """The image with a layer over it; ``opacity`` 0..1 times the layer's own alpha."""
    share = layer[..., 3:].astype(np.float64) / 255 * opacity
    return np.rint(image * (1 - share) + layer[..., :3] * share).astype(np.uint8)


def blend(image: Rgb, labels: Labels, palette: Palette, opacity: float = 0.45) -> Rgb:
    """The H&E with the labels' colours shining through and their contours drawn; untouched where 0."""
    return lay_over(lay_over(image, colour(labels, palette), opacity), outline(labels, palette))


def bar_length(width: int, spacing: float) -> float:
    """The length in µm, 1, 2 or 5 times a power of ten, of a scale bar for ``width`` px of ``spacing`` µm."""
    limit = width * spacing * BAR_SHARE
    power = 10.0 ** floor(log10(limit))
    return max(step * power for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9))


def length_text(micrometres: float) -> str:
    """A length with its unit: µm below a millimetre."""
    return f"{micrometres / 1000:g} mm" if micrometres >= 1000 else f"{micrometres:g} µm"


def with_scale_bar(image: Rgb, spacing: float) -> Rgb:
    """The image with a scale bar and its length, on white, in the lower left corner."""
    height, width = image.shape[:2]
    length = bar_length(width, spacing)
    pixels, size = round(length / spacing), max(11, width // 50)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    thick, edge = max(2, size // 4), size // 2
    left, bottom = edge, height - edge
    text = length_text(length)
    wide = max(pixels, draw.textlength(text, font=_font(size)))
    draw.rectangle((left, bottom - size * 2 - thick, left + wide + size, bottom), fill=WHITE)
    bar = (left + edge, bottom - edge - thick, left + edge + pixels - 1, bottom - edge)
    draw.rectangle(bar, fill=INK)
    draw.text((left + edge, bottom - size * 2 - thick), text, fill=INK, font=_font(size))
    return np.asarray(picture)


def legend(classes: Sequence[ReportClass], width: int, size: int = 16) -> Rgb:
    """A white strip ``width`` px wide with a swatch and the name of each class, in as many rows as it takes."""
    font, gap = _font(size), size
    spots, x, row = [], gap, 0
    for one in classes:
        need = size + gap // 2 + int(font.getlength(one.name)) + gap
        if x + need > width and x > gap:
            x, row = gap, row + 1
        spots.append((x, row))
        x += need
    picture = Image.new("RGB", (width, (row + 1) * size * 2), WHITE)
    draw = ImageDraw.Draw(picture)
    for one, (left, row) in zip(classes, spots, strict=True):
        top = row * size * 2 + size // 2
        draw.rectangle((left, top, left + size, top + size), fill=one.rgb, outline=INK)
        draw.text((left + size + gap // 2, top - size // 8), one.name, fill=INK, font=font)
    return np.asarray(picture)


def compose(overlay: ReportOverlay, title: str, classes: Sequence[ReportClass]) -> Rgb:
    """One panel to save: the image, or (``title`` of a layer) its labels over it, scale bar and legend."""
    palette = {one.value: one.rgb for one in classes}
    layers = overlay.layers()
    image = blend(overlay.image, layers[title], palette) if title in layers else overlay.image
    picture = with_scale_bar(image, overlay.spacing)
    return np.vstack([picture, legend(classes, picture.shape[1])]) if title in layers else picture


def compose_unsure(overlay: ReportOverlay, system: str) -> Rgb:
    """How unsure a system is, to save: shades instead of the image where there is a map, scale bar and legend."""
    picture = with_scale_bar(lay_over(overlay.image, shade(overlay.unsure[system])), overlay.spacing)
    return np.vstack([picture, _ramp_strip(picture.shape[1])])


def _ramp_strip(width: int, size: int = 16) -> Rgb:
    """A white strip with the shades from 0 to 1."""
    picture = Image.new("RGB", (width, 2 * size), WHITE)
    draw, font = ImageDraw.Draw(picture), _font(size)
    left = size
    for text in ("sure 0", "", "1 undecided"):
        if text:
            draw.text((left, size // 2 - size // 8), text, fill=INK, font=font)
            left += int(draw.textlength(text, font=font)) + size // 2
            continue
        shades = shade(np.repeat(np.linspace(1, 255, 6 * size).astype(np.uint8)[None], size, axis=0))
        picture.paste(Image.fromarray(np.ascontiguousarray(shades[..., :3])), (left, size // 2))
        left += 6 * size + size // 2
    return np.asarray(picture)


def fitted(overlay: ReportOverlay, longest: int = LONGEST_SIDE) -> ReportOverlay:
    """The overlay with no side above ``longest`` px: the image averaged, labels taken under pixel centres.

    Image and labels are resized by the very same factor, and the spacing grows with it.
    """
    height, width = overlay.image.shape[:2]
    if max(height, width) <= longest:
        return overlay
    factor = max(height, width) / longest
    size = max(1, round(width / factor)), max(1, round(height / factor))

    def nearest(labels: Labels | None) -> Labels | None:
        return None if labels is None else _shrunk(labels, size, Image.Resampling.NEAREST)

    return replace(
        overlay,
        image=_shrunk(overlay.image, size, Image.Resampling.BOX),
        spacing=overlay.spacing * width / size[0],
        annotation=nearest(overlay.annotation),
        truth=nearest(overlay.truth),
        predictions={
            name: _shrunk(one, size, Image.Resampling.NEAREST) for name, one in overlay.predictions.items()
        },
        unsure={name: _shrunk(one, size, Image.Resampling.NEAREST) for name, one in overlay.unsure.items()},
    )


def _shrunk(array: NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(array).resize(size, how))


def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has no µ; the one that comes with matplotlib is the same on every machine.
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
