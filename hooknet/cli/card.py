"""Write a model card in Markdown: what weights are, trained on what, how validated, their limits and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    checkpoint: Annotated[Path, typer.Argument(help="Weights that train or import-keras wrote.")],
    output: Annotated[
        Path | None, typer.Option(help="File to write (Markdown); printed where none is given.")
    ] = None,
) -> None:
    """Write the card."""
    from hooknet.io.atomic import write_text
    from hooknet.prediction.card import markdown
    from hooknet.prediction.model import open_model

    text = markdown(open_model(checkpoint))
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
