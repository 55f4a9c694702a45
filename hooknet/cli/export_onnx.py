"""Write a checkpoint as ONNX: patches in, class probabilities out. Compared with torch before it is put in place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    checkpoint: Annotated[Path, typer.Argument(help="Weights that train or import-keras wrote.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    size: Annotated[
        int | None,
        typer.Option(help="Side of the patches it takes, in px; by default that of training.", min=1),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="The code of an own encoder that the weights name and that may be run: module:function."
        ),
    ] = None,
) -> None:
    """Write the file and print how far it is from torch."""
    from hooknet.inference.onnx_file import export_onnx

    difference = export_onnx(checkpoint, out, size, encoder)
    print(f"{out}: probabilities differ from torch by {difference:.2g} at most")
