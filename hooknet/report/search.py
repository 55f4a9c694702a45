"""A search over fields of view as the page shows it: curves, ranking, rungs, and the decision in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from hooknet.config import layout
from hooknet.config.searches import Search, read_rungs
from hooknet.errors import MaskError
from hooknet.evaluation.system import MACRO
from hooknet.io.records import read_json
from hooknet.report.data import ReportClass, ReportSearch
from hooknet.report.files import Files, Picture, slug
from hooknet.report.style import COLOURS, GREY, INK, legend_below, literal, panels
from hooknet.report.tables import Cell, Table, count, number, signed, with_interval
from hooknet.search.halving import RUNG
from hooknet.search.ranking import OVERLAP, RANKING, VIEWS
from hooknet.search.steps import CURVES, OVERLAPS, TABLE, read_table

#: From so many patients on, 95 % of cohorts are 95 % within what a simulation can tell (`benchmarks sureness`).
ENOUGH = 20


@dataclass(frozen=True)
class Searched:
    """What is shown of one search."""

    name: str
    sentences: tuple[str, ...]
    curves: Picture
    rungs: Picture
    ranking: Table
    overlap: Table
    trials: Table


def read_search(search: Search) -> ReportSearch:
    """What a decided search has left behind; HookNetError where that is damaged."""
    folder = layout.ranking_folder(search.name)
    last = read_rungs(layout.trials_path(search.name, 0)).last
    paths = [
        *(layout.rung_table_path(search.name, rung) for rung in range(last)),
        layout.last_rung_path(search.name),
    ]
    return ReportSearch(
        search.name,
        _decision(layout.decision_path(search.name)),
        views=read_table(folder / CURVES, VIEWS, "rank-views"),
        overlap=read_table(folder / OVERLAPS, OVERLAP, "rank-views"),
        ranking=read_table(folder / TABLE, RANKING, "rank-views"),
        rungs=tuple(read_table(path, RUNG, "promote-trials and decide-views") for path in paths),
    )


def _decision(path: Path) -> dict[str, Any]:
    found = read_json(path)
    try:
        sentences(found)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise MaskError(f"{path}: not a decision ({error!r}); make it again with decide-views") from None
    return found


def show(found: ReportSearch, classes: Sequence[ReportClass], files: Files) -> Searched:
    """Tables and figures, all of them saved too."""
    prefix = f"search_{slug(found.name)}_"
    for name, frame in (("views", found.views), ("overlap", found.overlap), ("ranking", found.ranking)):
        files.table(frame, prefix + name)
    files.table(pd.concat(found.rungs, ignore_index=True), prefix + "rungs")
    macro = found.views[found.views["class"] == MACRO]
    told = ", ".join(f"{one.spacing:g} µm/px {one.f1:.3f}" for one in macro.itertuples())
    return Searched(
        found.name,
        sentences(found.decision),
        files.figure(
            draw_curves(found.views, classes), prefix + "views",
            f"F1 of each class against the spacing of single views, at validation centres; macro F1: {told}.",
        ),
        files.figure(
            draw_rungs(found.rungs), prefix + "rungs",
            "Macro F1 of the trials of each rung; the numbers are in the table below.",
        ),
        _ranking(found.ranking),
        _overlap(found.overlap),
        _trials(found.rungs),
    )  # fmt: skip


def sentences(decision: Mapping[str, Any]) -> tuple[str, ...]:
    """The decision, what it stands on, and how sure it is."""
    lead, rungs = decision["lead_over_runner_up"], decision["rungs"]
    spacings = " and ".join(f"{one:g}" for one in decision["winner_spacings"])
    first = f"The search decides for {decision['winner']}, which sees {spacings} µm/px."
    second = (
        f"In the last rung, after {rungs['epochs'][-1]} of {decision['epochs_in_full']} epochs, its macro F1 less that "
        f"of {decision['runner_up']} is {signed(lead['macro_f1'])} (95 % interval {signed(lead['low'])} to "
        f"{signed(lead['high'])}); in {100 * decision['sure']:.0f} % of cohorts drawn from the {decision['drawn']} at "
        f"hand no other is ahead of it by more than {decision['tolerance']:g}."
    )
    few = _too_few(decision["drawn"], decision["patients"])
    third = (
        "It is not the one with the highest F1, but simpler, and not shown to be worse."
        if decision["winner"] != decision["best"]
        else ""
    )
    before = (
        f"{', '.join(decision['better_before'])} did better in an earlier rung, trained less: a larger budget may "
        "decide otherwise."
        if decision["better_before"]
        else ""
    )
    fourth = (
        "All this was seen on validation slides. What it is worth, trained in full, the scores on the test slides say; "
        "no test slide had a part in the decision."
    )
    return tuple(one for one in (first, second, few, third, before, fourth) if one)


def _too_few(drawn: str, patients: int) -> str:
    """What to know of shares of cohorts that were drawn from few patients."""
    if drawn == "centres":
        return (
            f"There are too few patients to validate on ({patients}), so centres were drawn, which says nothing of "
            "other patients: give validation more."
        )
    if patients < ENOUGH:
        return (
            f"Cohorts of {patients} patients are too alike for such shares: a system that is as good as another is "
            "called behind it in more than 5 % of cases (docs/search.md says in how many)."
        )
    return ""


def draw_curves(views: pd.DataFrame, classes: Sequence[ReportClass]) -> Figure:
    """F1 of each class, with its 95 % interval, against the spacing of single views: the paper's evidence."""
    figure, (axes,) = panels(1, 6.6, 4.2)
    colours = {one.name: one.colour for one in classes} | {MACRO: INK}
    for name, rows in views.groupby("class", sort=False):
        at, f1 = rows["spacing"].to_numpy(float), rows["f1"].to_numpy(float)
        low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
        colour = colours[str(name)]
        axes.fill_between(at, low, high, color=colour, alpha=0.12, lw=0)
        axes.plot(
            at, f1, "o-", color=colour, lw=2.6 if name == MACRO else 1.4, ms=5, label=literal(str(name))
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sorted(set(views["spacing"])))
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("spacing of the only view (µm/px)")
    axes.set_ylabel("F1 at validation centres")
    legend_below(figure, axes)
    return figure


def draw_rungs(rungs: Sequence[pd.DataFrame]) -> Figure:
    """Macro F1 of every trial, with its interval, against the epochs it was trained; who went no further is grey."""
    figure, (axes,) = panels(1, 6.6, 4.2)
    on = list(rungs[-1]["trial"])
    order = [*on, *(name for name in rungs[0]["trial"] if name not in on)]
    table = pd.concat(rungs, ignore_index=True)
    # Beside each other: of trials of one rung intervals would hide each other.
    shift = np.linspace(-0.06, 0.06, len(order)) if len(order) > 1 else np.zeros(1)
    for place, name in enumerate(order):
        rows = table[table["trial"] == name].sort_values("epochs")
        at = rows["epochs"].to_numpy(float) * 2.0 ** shift[place]
        f1 = rows["f1"].to_numpy(float)
        reach = np.abs(np.vstack([np.minimum(rows["low"] - f1, 0), np.maximum(rows["high"] - f1, 0)]))
        colour = COLOURS[place % len(COLOURS)] if name in on else GREY
        label = literal(name) if name in on else ("dropped" if name == order[len(on)] else "_")
        axes.errorbar(
            at, f1, reach, fmt="o-", color=colour, ms=5, lw=1.8 if name in on else 1.0, capsize=2.5,
            label=label, alpha=1.0 if name in on else 0.6,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sorted(set(table["epochs"])))
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("epochs trained")
    axes.set_ylabel("macro F1 at validation centres")
    legend_below(figure, axes, 3)
    return figure


def _ranking(table: pd.DataFrame) -> Table:
    rows = tuple(
        (
            count(one["rank"]),
            Cell(one["view"].replace("+", " + ")),
            Cell(with_interval(float(one["pooled_f1"]), one), number=True, order=float(one["pooled_f1"])),
            Cell(_gain(one), number=True, order=float(one["gain"])),
            number(float(one["ceiling"])),
            number(float(one["none_right"])),
            Cell("yes" if one["enters"] else ""),
        )
        for _, one in table.iterrows()
    )
    heads = (
        "Rank", "Views (µm/px)", "Pooled macro F1 [95 %]", "Gain over the best view [95 %]", "Ceiling", "None right",
        "Trained",
    )  # fmt: skip
    return Table(heads, rows, "Combinations ranked by what their single views tell together.")


def _gain(one: Any) -> str:
    return (
        f"{signed(float(one['gain']))} [{signed(float(one['gain_low']))}, {signed(float(one['gain_high']))}]"
    )


def _overlap(table: pd.DataFrame) -> Table:
    columns = ("first_right", "second_right", "either_right", "double_fault")
    rows = tuple(
        (
            Cell(f"{one['first']:g} + {one['second']:g}"),
            Cell(str(one["class"])),
            *(number(float(one[name])) for name in columns),
        )
        for _, one in table.iterrows()
    )
    heads = ("Views (µm/px)", "Class", "First right", "Second right", "Either right", "Both wrong")
    return Table(heads, rows, "How errors of two single views overlap: shares of a class's centres.")


def _trials(rungs: Sequence[pd.DataFrame]) -> Table:
    rows = tuple(
        (
            count(at + 1), Cell(str(one["trial"])), count(one["epochs"]),
            Cell(with_interval(float(one["f1"]), one), True, order=float(one["f1"])),
            Cell(("wins" if at == len(rungs) - 1 else "goes on") if one["goes_on"] else ""),
        )
        for at, table in enumerate(rungs)
        for _, one in table.iterrows()
    )  # fmt: skip
    return Table(("Rung", "Trial", "Epochs", "Macro F1 [95 %]", ""), rows, "Trials, rung by rung.")
