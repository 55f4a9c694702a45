"""What a report is made of: plain values, so that it can be filled from anywhere and tested without a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hooknet.evaluation.compare import Comparison

Rgb = NDArray[np.uint8]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class ReportClass:
    """A class as the reader sees it: ``value`` 1..K in label arrays, ``colour`` as #rrggbb."""

    name: str
    value: int
    colour: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0..255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue


@dataclass(frozen=True)
class ReportSystem:
    """One row of the score table; ``name`` is that of its :class:`hooknet.evaluation.compare.System`.

    ``spacings`` in µm/px, target first.  ``loss_weight`` is λ, None where there is one output only.
    ``parameters`` is a number of weights, None if unknown.  ``settings`` are shown as they are.
    ``curves`` has a row per epoch with columns ``epoch``, ``loss``, ``validation_macro_f1`` and, when folds
    were trained, ``fold``; ``share_<class>``, where there, is that of the class in the annotated pixels shown so
    far.  Further columns only go to the CSV.
    """

    name: str
    model: str
    spacings: tuple[float, ...]
    loss_weight: float | None = None
    parameters: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    curves: pd.DataFrame | None = None


@dataclass(frozen=True)
class ReportOverlay:
    """A slide, or a part of one, to look at: all arrays are (height, width) px of ``spacing`` µm.

    ``image`` is the H&E, (height, width, 3) uint8; label arrays hold 0 (nothing) and class values.
    ``predictions``: system name -> labels.  ``truth`` is dense truth where there is one.  ``unsure``: of systems whose
    uncertainty was asked for, name -> entropy as bytes (:mod:`hooknet.io.uncertainty`).
    """

    slide: str
    image: Rgb
    spacing: float
    annotation: Labels | None = None
    truth: Labels | None = None
    predictions: Mapping[str, Labels] = field(default_factory=dict)
    note: str = ""
    unsure: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, labels in [*self.layers().items(), *self.unsure.items()]:
            if labels.shape != self.image.shape[:2]:
                raise ValueError(
                    f"{self.slide}: {name} is {labels.shape} px, the image {self.image.shape[:2]} px"
                )

    def layers(self) -> dict[str, Labels]:
        """Title -> labels of every panel but the bare image, in the order they are shown."""
        drawn = {"Annotation": self.annotation, "Dense truth": self.truth}
        return {name: one for name, one in drawn.items() if one is not None} | dict(self.predictions)


@dataclass(frozen=True)
class StagedSlide:
    """A slide through the stages: arrays (height, width) of one grid.

    ``heat``: probability of one class, 0..255.  Label arrays hold 0 (nothing) and class values.
    """

    slide: str
    image: Rgb
    heat: NDArray[np.uint8]
    patchwise: Labels
    refined: Labels
    truth: Labels | None


@dataclass(frozen=True)
class ReportStages:
    """What a refiner (``system``) made of the heat maps of its ``parent``; ``heat_class``: whose they are."""

    system: str
    parent: str
    heat_class: str
    slides: tuple[StagedSlide, ...]


@dataclass(frozen=True)
class ReportSearch:
    """A search over fields of view: its decision, and its tables (:mod:`hooknet.search.ranking`, ``halving``).

    ``rungs``: a table for each.
    """

    name: str
    decision: Mapping[str, Any]
    views: pd.DataFrame
    overlap: pd.DataFrame
    ranking: pd.DataFrame
    rungs: tuple[pd.DataFrame, ...]


@dataclass(frozen=True)
class ReportRegion:
    """A part of a test slide at full detail: where ``system`` did worst or best; arrays as in an overlay.

    ``x``, ``y``: its upper left corner, level-0 px; ``kind`` is "worst" or "best"; ``f1`` the macro F1 inside.
    ``truth`` is what it was scored against, 0 where nothing is annotated.
    """

    slide: str
    system: str
    kind: str
    x: float
    y: float
    f1: float
    image: Rgb
    spacing: float
    truth: Labels
    prediction: Labels

    @property
    def differs(self) -> NDArray[np.bool_]:
        """Annotated pixels that were given another class, or none."""
        wrong: NDArray[np.bool_] = (self.truth > 0) & (self.truth != self.prediction)
        return wrong


@dataclass(frozen=True)
class Extras:
    """What is measured besides overlap, where it was; each table has a first column ``system``.

    quantities: system, slide, class, area_mm2, ... (see :mod:`hooknet.objects.quantities`); boundaries,
    boundary_slides, volumes, volume_scores, calibration, reliability, risk, risk_curves, objects: those of
    :mod:`hooknet.evaluation` and :mod:`hooknet.objects`.
    """

    quantities: pd.DataFrame = field(default_factory=pd.DataFrame)
    boundaries: pd.DataFrame = field(default_factory=pd.DataFrame)
    boundary_slides: pd.DataFrame = field(default_factory=pd.DataFrame)
    volumes: pd.DataFrame = field(default_factory=pd.DataFrame)
    volume_scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    risk: pd.DataFrame = field(default_factory=pd.DataFrame)
    risk_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    objects: pd.DataFrame = field(default_factory=pd.DataFrame)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Those that hold something, by name."""
        return {name: frame for name, frame in vars(self).items() if not frame.empty}


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from.

    ``versions``: software; ``code``: the commit of the pipeline; ``files``: path -> SHA-256 of what was configured and
    of the weights; ``seeds``: what was drawn from which seed; ``steps``: a row per step with the number of jobs, wall
    time and memory, from the workflow's benchmark files (empty where there are none).
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)
    steps: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class ReportData:
    """Everything a report tells.

    ``results``: what was measured (say "annotated pixels" or "dense truth") -> its comparison; the first is
    the main one.  ``slides`` is shown as it is, one row per slide.  ``regions`` are of the system that scores
    highest.  ``settings`` are shown as name and value.  ``warnings``: failures and warnings of the whole run,
    one line each.  ``cards``: run -> the file of its model card, where there is one, which the page links to.
    ``skipped``: slides that are in no score -> why.  ``patients_shown``: whether the page may say
    which patient a slide is of.
    """

    title: str
    dataset: str
    classes: tuple[ReportClass, ...]
    systems: tuple[ReportSystem, ...]
    results: Mapping[str, Comparison]
    description: str = ""
    slides: pd.DataFrame = field(default_factory=pd.DataFrame)
    overlays: tuple[ReportOverlay, ...] = ()
    regions: tuple[ReportRegion, ...] = ()
    stages: tuple[ReportStages, ...] = ()
    searches: tuple[ReportSearch, ...] = ()
    extras: Extras = Extras()
    settings: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = Provenance()
    warnings: tuple[str, ...] = ()
    cards: Mapping[str, Path] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    patients_shown: bool = False

    def __post_init__(self) -> None:
        if not self.results:
            raise ValueError("a report needs at least one comparison")

    @property
    def palette(self) -> dict[int, tuple[int, int, int]]:
        """Class value -> red, green, blue."""
        return {one.value: one.rgb for one in self.classes}
