"""What stands beside the page: figures as PNG and SVG, tables as CSV; and the same inside the page."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hooknet.io.atomic import atomic
from hooknet.report import style

JPEG_QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """An image inside the page: a data URI, its text for those who do not see it, and what it is of."""

    uri: str
    alt: str
    title: str = ""


@dataclass(frozen=True)
class Files:
    """Writes into ``folder``/figures and ``folder``/tables; nothing is ever half-written."""

    folder: Path

    def table(self, frame: pd.DataFrame, name: str) -> None:
        """Write ``name``.csv, every number with all its digits."""
        with atomic(self.folder / "tables" / f"{name}.csv") as partial:
            frame.to_csv(partial, index=False, lineterminator="\n")

    def figure(self, figure: Figure, name: str, alt: str, title: str = "") -> Picture:
        """Write ``name``.png and ``name``.svg; the picture for the page."""
        svg = style.save(figure, self.folder / "figures", name).read_bytes()
        return Picture(f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}", alt, title)

    def picture(self, array: NDArray[np.uint8], name: str) -> None:
        """Write (height, width, 3) uint8 as ``name``.png."""
        with atomic(self.folder / "figures" / f"{name}.png") as partial:
            Image.fromarray(array).save(partial, format="PNG")


def uri(array: NDArray[np.uint8], kind: str) -> str:
    """The array inside a page, as ``JPEG`` (what is photographed) or ``PNG`` (labels, exact)."""
    buffer = io.BytesIO()
    options: dict[str, Any] = (
        {"quality": JPEG_QUALITY, "subsampling": 0} if kind == "JPEG" else {"optimize": True}
    )
    Image.fromarray(array).save(buffer, format=kind, **options)
    return _data(buffer, kind)


def indexed_uri(values: NDArray[np.uint8], colours: NDArray[np.uint8]) -> str:
    """(height, width) rows of ``colours`` (n, 3) inside a page, as a PNG a quarter as large; 0 is transparent."""
    buffer = io.BytesIO()
    picture = Image.fromarray(values, "L")
    picture.putpalette(colours.tobytes())
    picture.save(buffer, format="PNG", optimize=True, transparency=0)
    return _data(buffer, "PNG")


def _data(buffer: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def slug(text: str) -> str:
    """The text as a part of a file's name."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "unnamed"
