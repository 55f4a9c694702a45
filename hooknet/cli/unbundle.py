"""Put the map of a slide that infer-bundle predicted in its place, and its probabilities where they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import Probabilities, SlideId


def run(
    slide: SlideId,
    folder: Annotated[Path, typer.Option(help="Folder that infer-bundle wrote.")],
    output: Annotated[Path, typer.Option(help="Map to put in place (TIFF).")],
    probabilities: Probabilities = None,
) -> None:
    """Take the map, or say why there is none."""
    from hooknet.io.bundles import take_from_bundle

    take_from_bundle(folder, slide, output, probabilities)
