"""Measure how far the boundaries in a map are from those of dense truth: surface Dice and HD95 of each class.

A boundary is where two annotated pixels meet of which one is of the class. Where annotation ends there is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import SlideId


def run(
    slide: SlideId,
    truth: Annotated[Path, typer.Option(help="Dense label mask to measure against.")],
    prediction: Annotated[Path, typer.Option(help="Map that infer wrote.")],
    output: Annotated[Path, typer.Option(help="Scores to write (CSV, a row per class).")],
    tolerance_um: Annotated[
        float, typer.Option(help="Distance up to which a boundary counts as met, in µm.", show_default=True)
    ] = 5.0,
) -> None:
    """Write the scores."""
    from hooknet.evaluation.boundaries import measure_boundaries, write_boundaries
    from hooknet.io.masks import Mask

    with Mask.open(truth) as labels, Mask.open(prediction) as predicted:
        scores = measure_boundaries(labels, predicted, len(labels.names), tolerance_um)
        write_boundaries(output, {slide: scores}, labels.names)
