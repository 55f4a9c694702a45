"""Count how often probabilities came true, over the annotated pixels of one slide.

Pixels are counted by stored probability, 0 to 255: of the likeliest class, and of every class against the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import SlideId


def run(
    slide: SlideId,
    truth: Annotated[Path, typer.Option(help="Label mask to measure against.")],
    probabilities: Annotated[Path, typer.Option(help="Probabilities that infer wrote.")],
    output: Annotated[Path, typer.Option(help="Counts to write (CSV: slide, class, level, pixels, right).")],
) -> None:
    """Write the counts."""
    from hooknet.evaluation.calibration import measure_calibration, write_calibration
    from hooknet.io.masks import Mask
    from hooknet.io.probabilities import Probabilities

    with Mask.open(truth) as labels, Probabilities.open(probabilities) as shares:
        counts = measure_calibration(labels, shares, len(labels.names))
        write_calibration(output, {slide: counts}, labels.names)
