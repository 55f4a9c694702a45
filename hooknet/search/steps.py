"""The steps of a search from file to file, after its trials were trained."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from hooknet.config import layout
from hooknet.config.candidates import FINALISTS, Candidate, Rungs
from hooknet.config.searches import Search, read_rungs
from hooknet.errors import ConfigError, MaskError
from hooknet.io.atomic import atomic
from hooknet.io.points import Points, read_points
from hooknet.io.records import read_json, write_json
from hooknet.search.halving import RUNG, Verdict, decide, goes_on, rung_table
from hooknet.search.ranking import RANKING, SingleViews, curves, entering, overlap, ranking
from hooknet.search.scoring import Scored, same_centres, score

logger = logging.getLogger(__name__)

CURVES, OVERLAPS, TABLE = "views.csv", "overlap.csv", "ranking.csv"
#: Columns of tables that are not numbers.
_WORDS = ("trial", "view", "merge", "class")


def rank_views(search: Search, output: Path, trials: Path) -> None:
    """Steps 1 and 2: what single views tell, and which combinations enter the first rung."""
    points = {
        spacing: read_points(layout.points_path(search.name, name, 0))
        for spacing, name in zip(search.settings.spacings, search.singles, strict=True)
    }
    views = SingleViews(points, _patients(search, points[search.settings.spacings[0]]))
    table = ranking(views, search.settings.combinations, search.settings.tolerance)
    enter = entering(table, search.variants(), search.settings.all_entrants)
    trained = {one.view for one in enter}
    table["enters"] = [one in trained for one in table["view"]]
    output.mkdir(parents=True, exist_ok=True)
    _write(output / CURVES, curves(views))
    _write(output / OVERLAPS, overlap(views))
    _write(output / TABLE, table)
    names = [*search.singles, *(search.name_of(one) for one in enter)]
    rungs = search.settings.rungs_of(len(enter))
    write_json(trials, {"search": search.name, "trials": names, "epochs": rungs.epochs, "sizes": rungs.sizes})
    for row in table.itertuples():
        logger.info(
            "%d. %s: pooled macro F1 %.3f%s", row.rank, row.view, row.pooled_f1, ", enters" * bool(row.enters)
        )


def promote_trials(search: Search, rung: int, output: Path, trials: Path) -> None:
    """Step 3: how the trials of a rung have done, and those that go on; ConfigError for the last rung."""
    rungs = read_rungs(layout.trials_path(search.name, 0))
    if rung >= rungs.last:
        raise ConfigError(
            f"search {search.name}: from rung {rung} no trial goes on; decide it with decide-views"
        )
    of_rung = _trials(search, rung)
    found = _scored(search, list(of_rung), rung)
    less = _telling_less(search)
    on = goes_on(of_rung, found, rungs.sizes[rung + 1], search.settings.tolerance, less)
    _write(output, rung_table(of_rung, found, rungs.epochs[rung], on))
    write_json(trials, {"search": search.name, "trials": on})
    for name in sorted(of_rung, key=found.macro, reverse=True):
        logger.info("%s: macro F1 %.3f%s", name, found.macro(name), ", goes on" * (name in on))


def _telling_less(search: Search) -> frozenset[str]:
    """The trials whose views the ranking has shown to tell less than others do together."""
    table = read_table(layout.ranking_folder(search.name) / TABLE, RANKING, "rank-views")
    behind = set(table.loc[~table["keeps_up"].astype(bool), "view"])
    return frozenset(name for name, one in search.candidates.items() if one.view in behind)


def read_table(path: Path, columns: Sequence[str], command: str) -> pd.DataFrame:
    """A table that the steps of a search wrote; MaskError for anything else, naming the command that makes it again."""
    try:
        table = pd.read_csv(path, dtype={"view": str}).fillna({"merge": ""})
        wrong = [
            one
            for one in columns
            if one not in table or (one not in _WORDS and not is_numeric_dtype(table[one]))
        ]
        if wrong or table.empty:
            raise ValueError(f"no rows, or not as wanted: {', '.join(wrong)}")
    except (OSError, ValueError) as error:
        message = " ".join(str(error).split())
        raise MaskError(
            f"{path}: not a table of a search ({message}); make it again with {command}"
        ) from None
    return table


def decide_views(search: Search, output: Path, table: Path) -> None:
    """The winner of the last rung, and what is trained in full."""
    rungs = read_rungs(layout.trials_path(search.name, 0))
    of_rung = _trials(search, rungs.last)
    found = _scored(search, list(of_rung), rungs.last)
    verdict = decide(of_rung, found, search.settings.tolerance)
    before = _better_before(search, rungs.last, found.macro(verdict.winner))
    _write(table, rung_table(of_rung, found, rungs.epochs[-1], [verdict.winner]))
    write_json(output, {**_record(search, rungs, verdict, found), "better_before": before})
    if before:
        logger.warning(
            "%s did better in an earlier rung, trained less; give the search a larger budget",
            ", ".join(before),
        )
    logger.info("%s wins before %s (%.0f %% sure)", verdict.winner, verdict.runner_up, 100 * verdict.sure)


def _trials(search: Search, rung: int) -> dict[str, Candidate]:
    """The trials of a rung, by what the step before says."""
    path = layout.trials_path(search.name, rung)
    names = read_json(path).get("trials")
    found = names if isinstance(names, list) else []
    whose = {name for name in found if isinstance(name, str) and name in search.candidates}
    if len(whose) < max(FINALISTS, len(found)):
        raise MaskError(
            f"{path}: found {str(names)[:80]}, wanted two trials or more of search {search.name}; make it again"
        )
    return {name: search.candidates[name] for name in found}


def _better_before(search: Search, last: int, reached: float) -> list[str]:
    """Trials that did better than the winner in a rung before the last, by more than the tolerance."""
    names: list[str] = []
    for rung in range(last):
        table = read_table(layout.rung_table_path(search.name, rung), RUNG, "promote-trials")
        names += table.loc[table["f1"] > reached + search.settings.tolerance, "trial"].to_list()
    return list(dict.fromkeys(names))


def _record(search: Search, rungs: Rungs, verdict: Verdict, found: Scored) -> dict[str, object]:
    settings = search.settings
    lead, low, high = verdict.ahead
    return {
        "search": search.name,
        "dataset": settings.dataset,
        "winner": verdict.winner,
        "winner_spacings": list(search.candidates[verdict.winner].spacings),
        "runner_up": verdict.runner_up,
        "best": verdict.best,
        "sure": verdict.sure,
        "lead_over_runner_up": {"macro_f1": lead, "low": low, "high": high},
        "drawn": "patients" if found.by_patient else "centres",
        "patients": found.patients,
        "tolerance": settings.tolerance,
        "rungs": {"epochs": list(rungs.epochs), "trials": list(rungs.sizes)},
        "epochs_in_full": settings.train.epochs,
        "parameters": settings.parameters,
        "trained_in_full": list(dict.fromkeys([verdict.winner, verdict.runner_up, *search.singles])),
    }


def _scored(search: Search, trials: Sequence[str], rung: int) -> Scored:
    points = {name: read_points(layout.points_path(search.name, name, rung)) for name in trials}
    any_ = same_centres(points)
    predicted = {name: one.predicted for name, one in points.items()}
    return score(predicted, any_.labels, _patients(search, any_), len(any_.names))


def _patients(search: Search, points: Points) -> list[str]:
    """Whose each centre is."""
    whose = {one.id: one.patient_id for one in search.dataset.slides}
    return [whose.get(str(slide), str(slide)) for slide in np.asarray(points.slides)]


def _write(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as partial:
        table.to_csv(partial, index=False)
