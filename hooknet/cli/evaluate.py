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
    windows: Annotated[
        Path | None, typer.Option(help="Where the map agrees least and most, to write too (CSV).")
    ] = None,
) -> None:
    """Write the counts."""
    from hooknet.evaluation.slides import count_slide, write_counts
    from hooknet.evaluation.windows import WindowRater, write_windows
    from hooknet.io.masks import Mask

    with Mask.open(truth) as labels, Mask.open(prediction) as predicted:
        rater = WindowRater(len(labels.names))
        counts = count_slide(labels, predicted, len(labels.names), None if windows is None else rater)
    if windows is not None:
        write_windows(windows, rater.rated)
    write_counts(output, {slide: counts}, labels.names)
