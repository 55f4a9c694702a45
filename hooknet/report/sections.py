"""What the page shows of one comparison, and of what is measured besides."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hooknet.evaluation.calibration import TOP
from hooknet.evaluation.cohort import TABLES
from hooknet.evaluation.compare import Comparison
from hooknet.report import difference_tables, figures, plots, score_tables
from hooknet.report.data import Extras, ReportData
from hooknet.report.files import Files, Picture, slug
from hooknet.report.lead import Lead, lead
from hooknet.report.tables import Cell, Table, count, decimals, frame_table, number, per_cent, share


@dataclass(frozen=True)
class Compared:
    """What is shown of one comparison."""

    name: str
    lead: Lead
    scores: Table
    seeds: Table | None
    intervals: Table | None
    interval_figure: Picture | None
    varied: tuple[Picture, ...]
    details: tuple[Table, ...]
    confusions: tuple[Picture, ...]
    pixels: tuple[Table, ...]
    strips: Picture
    slides: Table
    over_slides: tuple[Table, ...]
    over_grades: tuple[Table, ...]
    tukey: Table
    claims: Table
    differences: Table | None
    difference_figure: Picture | None
    tests: Table
    all_tests: Table
    patients: int
    clustered: bool


def measure(data: ReportData, name: str, comparison: Comparison, files: Files, prefix: str) -> Compared:
    """Every table and figure of a comparison; those that are files start with ``prefix``."""
    for what in TABLES:
        frame = getattr(comparison, what)
        if not frame.empty:
            files.table(frame, prefix + what)
    systems = list(dict.fromkeys(comparison.scores["system"]))
    tests = difference_tables.shown_tests(comparison)
    unsure = comparison.intervals.empty
    return Compared(
        name=name,
        lead=lead(comparison),
        scores=score_tables.score_table(data.systems, comparison),
        seeds=None if comparison.summary.empty else score_tables.summary_table(comparison),
        intervals=None if unsure else score_tables.interval_table(comparison),
        interval_figure=None if unsure else _intervals(comparison, files, prefix),
        varied=tuple(_varied(data, comparison, files, prefix)),
        details=tuple(score_tables.detail_table(comparison, one) for one in systems),
        confusions=tuple(
            _confusion(comparison, one, files, f"{prefix}confusion_{place:02d}_{slug(one)}")
            for place, one in enumerate(systems, start=1)
        ),
        pixels=tuple(score_tables.confusion_table(comparison, one) for one in systems),
        strips=files.figure(
            figures.slide_scores(comparison), f"{prefix}slide_scores",
            "Macro F1 of every test slide, one column of dots per system; the same numbers are in the table below.",
        ),
        slides=score_tables.slide_table(comparison, data.patients_shown),
        over_slides=score_tables.over_slides_tables(comparison, graded=False),
        over_grades=score_tables.over_slides_tables(comparison, graded=True),
        tukey=difference_tables.tukey_table(comparison),
        claims=difference_tables.claims_table(comparison),
        differences=None if comparison.differences.empty else difference_tables.difference_table(comparison),
        difference_figure=None if comparison.differences.empty else _differences(comparison, files, prefix),
        tests=difference_tables.wilcoxon_table(tests),
        all_tests=difference_tables.wilcoxon_table(
            pd.concat([comparison.experiment_comparisons, comparison.comparisons], ignore_index=True)
        ),
        patients=comparison.slide_scores["patient"].nunique(),
        clustered=bool((tests["patients"] < tests["n"]).any()),
    )  # fmt: skip


def _intervals(comparison: Comparison, files: Files, prefix: str) -> Picture:
    macro = comparison.intervals[comparison.intervals["class"] == "macro"]
    told = "; ".join(
        f"{one.experiment} {one.f1:.3f} ({one.low:.3f} to {one.high:.3f})" for one in macro.itertuples()
    )
    alt = f"F1 with 95 % intervals over patients. Macro F1: {told}."
    return files.figure(plots.score_intervals(comparison), f"{prefix}intervals", alt)


def _differences(comparison: Comparison, files: Files, prefix: str) -> Picture:
    alt = (
        "Differences of macro F1 of pairs of systems with 95 % intervals; the numbers are in the table below."
    )
    return files.figure(plots.difference_intervals(comparison), f"{prefix}differences", alt)


def _varied(data: ReportData, comparison: Comparison, files: Files, prefix: str) -> list[Picture]:
    """F1 against what systems differ in, where enough of them do."""
    drawn = (
        (plots.spacing_curves, "spacings", "F1 of each class against the spacing of systems that see one."),
        (plots.weight_curves, "loss_weights", "F1 of each class against λ."),
    )
    found = []
    for plot, name, alt in drawn:
        figure = plot(data.systems, comparison, data.classes)
        if figure is not None:
            found.append(files.figure(figure, prefix + name, alt, alt))
    return found


def _confusion(comparison: Comparison, system: str, files: Files, name: str) -> Picture:
    table = comparison.confusion[comparison.confusion["system"] == system]
    right = table[table["truth"] == table["predicted"]].dropna(subset=["share"])
    shares = ", ".join(f"{row['truth']} {100 * row['share']:.0f} %" for _, row in right.iterrows())
    alt = f"Confusion matrix of {system}; correct: {shares}."
    return files.figure(figures.confusion(comparison, system), name, alt, system)


@dataclass(frozen=True)
class Beyond:
    """What is shown of the measures besides overlap; None where they were not made."""

    boundaries: Table | None
    calibration: Table | None
    reliability: Picture | None
    risk: Table | None
    risk_curves: Picture | None
    objects: Table | None
    quantities: tuple[Table, ...]


def beyond(extras: Extras, files: Files) -> Beyond:
    """Tables and the figure of what is there; all of it is saved too."""
    for name, frame in extras.tables().items():
        files.table(frame, name)
    return Beyond(
        boundaries=None if extras.boundaries.empty else _boundaries(extras.boundaries),
        calibration=None if extras.calibration.empty else _calibration(extras.calibration),
        reliability=None if extras.reliability.empty else _reliability(extras, files),
        risk=None if extras.risk.empty else _risk(extras.risk),
        risk_curves=None if extras.risk_curves.empty else _risk_curves(extras, files),
        objects=None if extras.objects.empty else _objects(extras.objects),
        quantities=tuple(_quantities(extras.quantities)) if not extras.quantities.empty else (),
    )


def _boundaries(table: pd.DataFrame) -> Table:
    rows = tuple(
        (
            Cell(one["system"]), Cell(one["class"]), count(one["slides"]),
            number(float(one["surface_dice_mean"])), number(float(one["surface_dice_median"])),
            decimals(float(one["hd95_um_median"])), count(one["hd95_slides"]),
        )
        for _, one in table.iterrows()
    )  # fmt: skip
    heads = (
        "System",
        "Class",
        "Slides",
        "Surface Dice, mean",
        "Surface Dice, median",
        "HD95 (µm), median",
        "Slides with HD95",
    )
    return Table(heads, rows, "Boundaries against the dense truth, over slides that have the class.")  # fmt: skip


def _calibration(table: pd.DataFrame) -> Table:
    """A row per system: the error of the top class and of each class."""
    names = list(dict.fromkeys(table["class"]))
    rows = []
    for system, of in table.groupby("system", sort=False):
        error = of.set_index("class")["ece"].reindex(names)
        rows.append((Cell(str(system)), *map(number, error.to_numpy(float))))
    heads = ("System", *("highest class" if name == TOP else name for name in names))
    return Table(heads, tuple(rows), "Expected calibration error (15 bins): 0 is best.")


def _reliability(extras: Extras, files: Files) -> Picture:
    top = extras.calibration[extras.calibration["class"] == TOP]
    told = ", ".join(f"{one['system']} {share(float(one['ece']))}" for _, one in top.iterrows())
    alt = (
        f"Reliability diagram of the class with the highest probability; expected calibration error: {told}."
    )
    return files.figure(plots.reliability(extras.reliability, extras.calibration), "reliability", alt)


def _risk(table: pd.DataFrame) -> Table:
    """A row a system: the share of wrong px, of all, of the least sure tenth, of the others."""
    columns = ("error", "error_least_sure", "error_others")
    rows = tuple(
        (
            Cell(str(one["system"])),
            *(Cell(per_cent(float(one[name])), number=True, order=float(one[name])) for name in columns),
            count(float(one["pixels"])),
        )
        for _, one in table.iterrows()
    )
    heads = ("System", "Wrong of all", "Of the least sure tenth", "Of the others", "Pixels")
    return Table(heads, rows, "Annotated pixels that were given another class, all slides pooled.")


def _risk_curves(extras: Extras, files: Files) -> Picture:
    told = "; ".join(
        f"{one['system']} {per_cent(float(one['error']))} of all, {per_cent(float(one['error_others']))} without the "
        "least sure tenth"
        for _, one in extras.risk.iterrows()
    )
    alt = (
        f"Share of wrong pixels against the share that is kept when the least sure are dropped first: {told}."
    )
    return files.figure(plots.risk_curves(extras.risk_curves), "risk_curves", alt)


def _objects(table: pd.DataFrame) -> Table:
    scores = {"precision", "recall", "f1"}
    rows = tuple(
        tuple(
            number(float(row[name])) if name in scores
            else Cell(str(row[name])) if name in ("system", "class", "role") else count(row[name])
            for name in table.columns
        )
        for _, row in table.iterrows()
    )  # fmt: skip
    heads = tuple(str(one).replace("_", " ") for one in table.columns)
    return Table(heads, rows, "Objects found, one to one, all slides pooled that were scored first above.")


def _quantities(table: pd.DataFrame) -> list[Table]:
    """A table per system: a row per slide and class."""
    found = []
    for system, of in table.groupby("system", sort=False):
        rows = tuple(_quantity(row) for _, row in of.iterrows())
        heads = ("Slide", "Class", "Area (mm²)", "Share of tissue", "Regions", "Regions per mm²", "Median region (mm²)",
                 "Largest region (mm²)")  # fmt: skip
        found.append(Table(heads, rows, str(system)))
    return found


def _quantity(row: pd.Series[str]) -> tuple[Cell, ...]:
    tissue_share = float(row["tissue_share"])
    return (
        Cell(str(row["slide"])),
        Cell(str(row["class"])),
        decimals(float(row["area_mm2"]), 4),
        Cell(per_cent(tissue_share), number=True, order=tissue_share),
        count(float(row["regions"])),
        decimals(float(row["regions_per_mm2"]), 2),
        decimals(float(row["median_region_mm2"]), 5),
        decimals(float(row["largest_region_mm2"]), 4),
    )


def steps_table(steps: pd.DataFrame) -> Table:
    """Wall time and memory of every step."""
    return frame_table(steps, "Time and memory of each step, from the workflow's benchmark files.")
