"""The viewer as files: a page that opens from a disk, without a server."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from hooknet.io.atomic import atomic, write_text
from hooknet.viewer import pictures
from hooknet.viewer.areas import class_areas
from hooknet.viewer.catalogue import Layer, Viewed
from hooknet.viewer.page import DATA, FILES, PAGE, data_script, slide_facts
from hooknet.viewer.reader import SlideReader

#: No picture has a longer side, in px.
LONGEST_SIDE = 4096
SLIDES = "slides"


def write_static(viewed: Viewed, folder: str | Path, slides: Collection[str] | None = None) -> Path:
    """Write ``folder``/index.html and what it needs beside it; the page's path.

    It shows the same as the server's, of each slide (or of those whose ids are in ``slides``) one picture per layer:
    level 0 halved until no side is above LONGEST_SIDE px.  All of them have the same px.  SlideError or MaskError where
    a file cannot be read.  Pictures of an earlier call that are no longer shown are removed.
    """
    folder = Path(folder)
    chosen = tuple(one for one in viewed.slides if slides is None or one.id in slides)
    viewed = replace(viewed, slides=chosen)
    facts = [_write_slide(viewed, number, folder) for number in range(len(chosen))]
    for name, source in FILES.items():
        with atomic(folder / name) as partial:
            shutil.copyfile(source, partial)
    write_text(folder / DATA, data_script(viewed, facts))
    shown = {_picture(folder, number, layer) for number, one in enumerate(chosen) for layer in one.layers}
    for suffix in ("jpg", "png"):
        for left in set((folder / SLIDES).glob(f"*/*.{suffix}")) - shown:
            left.unlink()
    return folder / PAGE


def _picture(folder: Path, slide: int, layer: Layer) -> Path:
    """Where sources.js looks for it."""
    return folder / SLIDES / str(slide) / f"{layer.key}.{layer.suffix}"


def _write_slide(viewed: Viewed, number: int, folder: Path) -> dict[str, object]:
    """Write a slide's pictures; what the page is told of it."""
    slide = viewed.slides[number]
    reader = SlideReader(slide, viewed.classes)
    try:
        pyramid = reader.pyramid
        whole = pyramid.whole(pyramid.finest_within(LONGEST_SIDE))
        for layer in slide.layers:
            if layer.path is None:
                content = pictures.jpeg(reader.image(whole))
            else:
                content = pictures.png(reader.labels(layer, whole), reader.palette(layer), layer.path)
            with atomic(_picture(folder, number, layer)) as partial:
                partial.write_bytes(content)
        areas = {one.key: class_areas(one, viewed.classes) for one in slide.layers if one.has_classes}
        # The picture's last column may reach beyond the slide: `world` is what its width spans, in level-0 px.
        seen = {"world": whole.width * whole.step, "step": whole.step, "areas": areas}
        return {**slide_facts(reader.slide, pyramid), **seen}
    finally:
        reader.close()
