"""Steps 3 and 4 of a search: who goes on from a rung, and who has won."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hooknet.config.candidates import Candidate
from hooknet.search.scoring import Scored

RUNG: Final = ("trial", "view", "views", "merge", "target_weight", "epochs", "f1", "low", "high", "goes_on")


@dataclass(frozen=True)
class Verdict:
    """The last word of a search.

    ``winner``: the simplest of the last rung that keeps up with the best.  ``sure``: the share of drawn cohorts in
    which no other of the last rung is ahead of it by more than the tolerance.  ``best``: the one of highest macro F1.
    """

    winner: str
    runner_up: str
    best: str
    sure: float
    ahead: tuple[float, float, float]


def goes_on(
    trials: Mapping[str, Candidate], found: Scored, size: int, tolerance: float, telling_less: Collection[str]
) -> list[str]:
    """The ``size`` trials that go on: the simplest that keeps up with the best, then the best ones.

    A simpler trial that is as good so far is never dropped for noise: it would win if the others stayed even.
    ``telling_less``: trials whose views the ranking has shown to tell less than others do together; they go on only
    where there are no others, since combinations learn more slowly and are behind at first.
    """
    ranked = {name: one for name, one in trials.items() if name not in telling_less}
    chosen: list[str] = []
    for among in (ranked, {name: one for name, one in trials.items() if name in telling_less}):
        by_score = sorted(among, key=lambda name: (-found.macro(name), trials[name]))
        if by_score:
            first = _simplest(among, found, by_score[0], tolerance)
            chosen += [first, *(name for name in by_score if name != first)]
    return chosen[:size]


def rung_table(trials: Mapping[str, Candidate], found: Scored, epochs: int, on: list[str]) -> pd.DataFrame:
    """RUNG: the trials of a rung, best first."""
    rows = [
        (
            name,
            one.view,
            one.views,
            one.merge or "",
            one.target_weight,
            epochs,
            found.macro(name),
            *found.interval(name),
            name in on,
        )
        for name, one in trials.items()
    ]
    table = pd.DataFrame(rows, columns=list(RUNG))
    return table.sort_values("f1", ascending=False, kind="stable", ignore_index=True)


def decide(trials: Mapping[str, Candidate], found: Scored, tolerance: float) -> Verdict:
    """Who wins among the trials of the last rung."""
    by_score = sorted(trials, key=lambda name: (-found.macro(name), trials[name]))
    best = by_score[0]
    winner = _simplest(trials, found, best, tolerance)
    others = [name for name in by_score if name != winner]
    beaten = max(found.share_ahead(name, winner, tolerance) for name in others)
    return Verdict(winner, others[0], best, 1.0 - beaten, found.lead(winner, others[0]))


def _simplest(trials: Mapping[str, Candidate], found: Scored, best: str, tolerance: float) -> str:
    """Of equally many views the better one."""
    keeping = [name for name in trials if found.keeps_up(name, best, tolerance)]
    fewest = min(trials[name].views for name in keeping)
    return max((name for name in keeping if trials[name].views == fewest), key=found.macro)
