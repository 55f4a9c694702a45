"""Measure a map: area, share of tissue and number of regions of each class.

The share is of the tissue mask's area; what is predicted outside the tissue counts in the area, not in the share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import SlideId


def run(
    slide: SlideId,
    map: Annotated[Path, typer.Option(help="Map that infer wrote, or a label mask.")],
    output: Annotated[Path, typer.Option(help="Quantities to write (CSV, a row a class).")],
    tissue: Annotated[Path | None, typer.Option(help="Tissue mask of detect-tissue.")] = None,
    min_area_um2: Annotated[
        float, typer.Option(min=0, help="Do not count smaller regions, in µm²; their area counts.")
    ] = 0.0,
) -> None:
    """Write the table."""
    import contextlib

    from hooknet.io.masks import Mask
    from hooknet.objects.quantities import quantify, write_quantities

    with contextlib.ExitStack() as stack:
        predicted = stack.enter_context(Mask.open(map))
        where = None if tissue is None else stack.enter_context(Mask.open(tissue))
        write_quantities(output, {slide: quantify(predicted, where, min_area_um2)})
