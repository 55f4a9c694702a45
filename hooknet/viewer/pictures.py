"""Pixels as the files a browser shows: JPEG for the H&E, PNG with a palette for labels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hooknet.errors import MaskError

JPEG_QUALITY = 88
# Strongest packing takes ten times as long and saves little of what never leaves this machine.
PNG_LEVEL = 3
#: Value of a px that differs, and its colour: one that neither H&E nor the classes of usual palettes have.
DIFFERS = 1
DIFFERENCE_PALETTE = {DIFFERS: (255, 0, 170)}

Pixels = NDArray[np.uint8]
Palette = Mapping[int, tuple[int, int, int]]


def jpeg(image: Pixels) -> bytes:
    """An (height, width, 3) uint8 image."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def png(labels: Pixels, palette: Palette, path: Path) -> bytes:
    """Labels (height, width) uint8 in the colours of their values, transparent where 0.

    MaskError, naming ``path``, for a value without colour: a colour by chance would be read as some class.
    """
    highest = int(labels.max(initial=0))
    table = bytearray(3 * (highest + 1))
    for value in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)):
        if value and int(value) not in palette:
            raise MaskError(
                f"{path}: found value {value}, wanted at most {max(palette)}: it was made with other classes; "
                "make it again"
            )
        table[3 * value : 3 * value + 3] = bytes(palette.get(int(value), (0, 0, 0)))
    picture = Image.fromarray(labels)
    picture.putpalette(bytes(table))
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=0, compress_level=PNG_LEVEL)
    return file.getvalue()


def differences(prediction: Pixels, reference: Pixels) -> Pixels:
    """DIFFERS where the reference has a class and the prediction another one or none, else 0."""
    return np.where((reference != 0) & (prediction != reference), DIFFERS, 0).astype(np.uint8)


def halved(image: Pixels) -> Pixels:
    """The mean of each 2 x 2 px of an (height, width, 3) image with even sides."""
    wide = image.astype(np.uint16)
    sums = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return ((sums + 2) // 4).astype(np.uint8)
