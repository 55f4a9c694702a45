"""Count which truth met which prediction, over the annotated pixels of one slide.

An annotated pixel without a prediction counts as missed, in a column of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import SlideId


def run(
    slide: SlideId,
    truth: Annotated[Path, typer.Option(help="Label mask to score against.")],
    prediction: Annotated[Path, typer.Option(help="Map that infer wrote.")],
    output: Annotated[Path, typer.Option(help="Counts to write (CSV: slide, truth, predicted, pixels).")],
) -> None:
    """Write the counts."""
    from hooknet.evaluation.slides import count_slide, write_counts
    from hooknet.io.masks import Mask

    with Mask.open(truth) as labels, Mask.open(prediction) as predicted:
        counts = count_slide(labels, predicted, len(labels.names))
        write_counts(output, {slide: counts}, labels.names)
