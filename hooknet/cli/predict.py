"""Predict new slides with weights at hand: maps, outlines, areas, and a page to look at. Needs no configuration file.

Say the same again to go on after an interruption: what is there and whole is not made again. A slide that cannot be
predicted is told of, the others are done, and the exit status is 2. Several --model of one network give the mean of
their probabilities, --tta dihedral that of each tile laid in all eight ways; --uncertainty tells where it is undecided.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hooknet.cli.options import Memory


class Over(StrEnum):
    """What of a slide is predicted."""

    TISSUE = "tissue"
    EVERYTHING = "everything"


class Tta(StrEnum):
    """In how many ways a tile is laid before the network."""

    NONE = "none"
    DIHEDRAL = "dihedral"


def run(
    slides: Annotated[list[Path], typer.Argument(help="Slides, or folders of slides.", show_default=False)],
    model: Annotated[
        list[Path],
        typer.Option(
            help="Weights that train or import-keras wrote; given several times, of one network trained several times, "
            "the mean of their probabilities counts."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder for index.html, and for map.tif, map.geojson and areas.csv of each slide."),
    ],
    spacing: Annotated[
        float | None,
        typer.Option(min=0, help="Size of a pixel in µm, instead of what the files say or leave out."),
    ] = None,
    over: Annotated[
        Over | None, typer.Option(help="What to predict. [default: as the experiment of the weights says]")
    ] = None,
    tta: Annotated[
        Tta | None,
        typer.Option(
            help="dihedral: the mean over each tile in all eight ways to lay it down counts, for eight times the work. "
            "[default: as the experiment of the weights says]"
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write probabilities.tif too, a band a class.")
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty", help="Write uncertainty.tif too, how undecided each px is; with --probabilities."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what there is, and what time and disk it will take.")
    ] = False,
    memory: Memory = None,
) -> None:
    """Predict them."""
    from hooknet.config.folders import named_slides
    from hooknet.errors import HookNetError
    from hooknet.prediction.model import Asked, open_models
    from hooknet.prediction.predicting import Options, Predicting

    if uncertainty and not probabilities:
        raise HookNetError("predict: --uncertainty without --probabilities, which it is told of; give both")
    over_, tta_ = (None if one is None else one.value for one in (over, tta))
    found = open_models(model, Asked(over_, tta_, probabilities, uncertainty))
    options = Options(spacing, None if memory is None else int(memory * 1e6), dry_run)
    named = named_slides(slides, "predict them apart, each into another --out")
    Predicting(found, named, out, options, _tell).run()


def _tell(line: str) -> None:
    print(line, flush=True)
