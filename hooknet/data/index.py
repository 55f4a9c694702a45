"""The indices of many slides as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.coordinates import PatchSpec, Spacing
from hooknet.errors import MaskError
from hooknet.io.tables import Centres, pixels_column, read_centres


@dataclass(frozen=True)
class SlideFiles:
    """What training needs of one slide."""

    id: str
    slide: Path
    spacing: Spacing | None
    labels: Path
    centres: Path


@dataclass(frozen=True)
class CentreIndex:
    """Centres of several slides: ``table`` has x, y, label, region, pixels_1..K and slide (number in ``slides``)."""

    table: pd.DataFrame
    slides: tuple[SlideFiles, ...]
    names: tuple[str, ...]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Class under each centre."""
        return self.table["label"].to_numpy(np.uint8)

    @property
    def pixels(self) -> NDArray[np.int32]:
        """Pixels (centres, K) of each class in the label patch of each centre."""
        columns = [pixels_column(value) for value in range(1, len(self.names) + 1)]
        return self.table[columns].to_numpy(np.int32)

    def missing_classes(self) -> list[str]:
        """Names of the classes that no patch centred on them would show."""
        labels, pixels = self.labels, self.pixels
        shown = [
            bool((pixels[labels == value, value - 1] > 0).any()) for value in range(1, len(self.names) + 1)
        ]
        return [name for name, there in zip(self.names, shown, strict=True) if not there]


def load_index(slides: Sequence[SlideFiles], names: tuple[str, ...], spec: PatchSpec) -> CentreIndex:
    """The indices of ``slides`` together; MaskError when one was made for other classes or another patch."""
    tables = []
    for number, one in enumerate(slides):
        centres = read_centres(one.centres)
        _check(one, centres, names, spec)
        tables.append(centres.table.assign(slide=np.int32(number)))
    columns = [
        "x",
        "y",
        "label",
        "region",
        *(pixels_column(value) for value in range(1, len(names) + 1)),
        "slide",
    ]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return CentreIndex(table, tuple(slides), names)


def _check(one: SlideFiles, centres: Centres, names: tuple[str, ...], spec: PatchSpec) -> None:
    if centres.names != names:
        raise MaskError(
            f"{one.centres}: made for the classes {', '.join(centres.names)}, wanted {', '.join(names)}; "
            "make it again with index-centres"
        )
    if (centres.size, centres.spacing) != (spec.output_size, spec.target_spacing):
        raise MaskError(
            f"{one.centres}: counts label patches of {centres.size} px at {centres.spacing:g} µm/px, wanted "
            f"{spec.output_size} px at {spec.target_spacing:g} µm/px; make it again with index-centres"
        )
