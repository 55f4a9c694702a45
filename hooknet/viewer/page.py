"""The page's own files, and what it is told of slides: the same for the server and for a page in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hooknet.io.slides import Slide
from hooknet.viewer import pictures
from hooknet.viewer.catalogue import Layer, Viewed
from hooknet.viewer.pyramid import TILE, Pyramid

FOLDER = Path(__file__).parent
PAGE = "index.html"
DATA = "data.js"
#: The files of the page by their names; the script that holds the data is made.
FILES = {path.name: path for path in sorted((FOLDER / "assets").iterdir()) if path.is_file()} | {
    "openseadragon.min.js": FOLDER / "vendor" / "openseadragon" / "openseadragon.min.js",
    "openseadragon-license.txt": FOLDER / "vendor" / "openseadragon" / "LICENSE.txt",
}


def data_script(viewed: Viewed, facts: list[dict[str, object]] | None = None) -> str:
    """``data.js``: what the page shows, as one assignment.

    With ``facts``, one for each slide, the page asks no server for anything.
    """
    told: dict[str, Any] = {
        "dataset": viewed.dataset,
        "classes": [{"name": one.name, "colour": one.colour} for one in viewed.classes],
        "difference": "#" + bytes(pictures.DIFFERENCE_PALETTE[pictures.DIFFERS]).hex(),
        "systems": list(viewed.systems),
        "slides": [
            {"id": one.id, "note": one.note, "layers": [_layer(layer) for layer in one.layers]}
            for one in viewed.slides
        ],
        "facts": facts,
    }
    return f"window.HOOKNET = {json.dumps(told)};\n"


def _layer(layer: Layer) -> dict[str, object]:
    return {
        "key": layer.key,
        "title": layer.title,
        "suffix": layer.suffix,
        "classes": layer.has_classes,
    }


def slide_facts(slide: Slide, pyramid: Pyramid) -> dict[str, object]:
    """Size in level-0 px, spacing in µm per level-0 px, and how its tiles are numbered."""
    return {
        "size": [pyramid.width, pyramid.height],
        "spacing": [slide.spacing.x, slide.spacing.y],
        "tile": TILE,
        "first": pyramid.first,
        "last": pyramid.last,
    }
