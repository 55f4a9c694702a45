"""Draw a cohort of hearts as NIfTI volumes, in the layout of ACDC, to try import-volumes on.

The same numbers give the same files. What to do with them next is printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    output: Annotated[Path, typer.Option(help="Folder to write patients into.")],
    patients: Annotated[int, typer.Option(help="How many, each at the end of diastole and of systole.")] = 12,
    side: Annotated[int, typer.Option(help="Pixels a side of a slice.")] = 96,
    slices: Annotated[int, typer.Option(help="Slices of a volume.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the cohort.")] = 1,
) -> None:
    """Write the volumes."""
    from hooknet.demo.hearts import HeartSettings, write_hearts

    written = write_hearts(output, HeartSettings(patients, side, slices, seed))
    print(f"{len(written)} volumes of {patients} patients in {output}")
    print(f"next: hooknet import-volumes --layout acdc --folder {output} --help")
