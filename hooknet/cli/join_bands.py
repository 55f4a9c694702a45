"""Join the bands of a slide that infer --band predicted: the map, and the probabilities where they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import Probabilities, SlideId


def run(
    slide: SlideId,
    band: Annotated[list[Path], typer.Option(help="Maps of all bands: 1of3.tif, 2of3.tif, 3of3.tif.")],
    output: Annotated[Path, typer.Option(help="Map to write (TIFF).")],
    shares: Annotated[
        list[Path] | None, typer.Option(help="Probabilities of all bands, where they are wanted.")
    ] = None,
    probabilities: Probabilities = None,
) -> None:
    """Write the map."""
    from hooknet.errors import HookNetError
    from hooknet.inference.bands import join_maps, join_probabilities

    if bool(shares) != (probabilities is not None):
        raise HookNetError("join-bands: --shares and --probabilities go together; give both or neither")
    if shares and probabilities is not None:
        # In place before the map is, which says that all is done.
        join_probabilities(shares, probabilities)
    join_maps(slide, band, output)
