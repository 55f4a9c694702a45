"""Write a map, or where it differs from a truth, for QuPath, ASAP and other viewers.

As outlines (geojson, asap), as OME-TIFF with the values of the classes, or as an RGB picture in their colours.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hooknet.io.masks import Mask
    from hooknet.objects.export import Drawing


class Format(StrEnum):
    """What is written."""

    GEOJSON = "geojson"
    ASAP = "asap"
    OME_TIFF = "ome-tiff"
    COLOURS = "colours"


class Origin(StrEnum):
    """Where coordinates count from."""

    SLIDE = "slide"
    BOUNDS = "bounds"


def run(
    input: Annotated[Path, typer.Option(help="Map, label mask or tissue mask to write.")],
    format: Annotated[Format, typer.Option(help="What to write.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    against: Annotated[
        Path | None, typer.Option(help="Truth: write where the map agrees with it and where not.")
    ] = None,
    tolerance_um: Annotated[
        float | None,
        typer.Option(
            min=0, help="How far outlines may be from the pixels, in µm; 0 is exact. [default: half a pixel]"
        ),
    ] = None,
    min_area_um2: Annotated[float, typer.Option(min=0, help="Leave out smaller regions, in µm².")] = 0.0,
    origin: Annotated[
        Origin,
        typer.Option(help="Coordinates count from the slide's first pixel, or its scanned part (QuPath)."),
    ] = Origin.SLIDE,
    slide_file: Annotated[Path | None, typer.Option(help="The slide, for --origin bounds.")] = None,
    hole_group: Annotated[
        str, typer.Option(help="ASAP group of what is not predicted in a region.")
    ] = "hole",
) -> None:
    """Write the file."""
    import tempfile

    from hooknet.io.agreement import write_agreement
    from hooknet.io.masks import Mask
    from hooknet.objects.export import Drawing

    drawing = Drawing(tolerance_um, min_area_um2, _offset(origin, slide_file), hole_group)
    with Mask.open(input) as mask:
        if against is None:
            _write(mask, format, output, drawing)
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".agreement") as folder:
            path = Path(folder, "agreement.tif")
            with Mask.open(against) as truth:
                write_agreement(truth, mask, path)
            with Mask.open(path) as agreement:
                _write(agreement, format, output, drawing)


def _offset(origin: Origin, slide_file: Path | None) -> tuple[float, float]:
    from hooknet.coordinates import Spacing
    from hooknet.errors import ConfigError
    from hooknet.io.slides import Slide

    if origin is Origin.SLIDE:
        return 0.0, 0.0
    if slide_file is None:
        raise ConfigError(
            "--origin bounds: found no slide, wanted the one whose bounds count; add --slide-file"
        )
    with Slide(slide_file, Spacing(1.0, 1.0)) as slide:  # its spacing plays no part
        return slide.bounds_offset


def _write(mask: Mask, format: Format, output: Path, drawing: Drawing) -> None:
    from hooknet.io.ome import write_colours, write_ome
    from hooknet.objects.export import export_asap, export_geojson

    if format is Format.GEOJSON:
        export_geojson(mask, output, drawing)
    elif format is Format.ASAP:
        export_asap(mask, output, drawing)
    elif format is Format.OME_TIFF:
        write_ome(mask, output)
    else:
        write_colours(mask, output)
