"""What a reader wants first: which system scores highest, by how much, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hooknet.evaluation.compare import Comparison
from hooknet.evaluation.system import MACRO
from hooknet.report.tables import share, with_interval

UNEQUAL = (
    "The systems were not all tested on the same slides, so none is said to lead: pooled scores of different slides"
    " cannot be compared. The pairs below are compared on the slides that both saw."
)


@dataclass(frozen=True)
class Lead:
    """Sentences: what scores highest, its lead over the next, and what may be said of that ("" where no second is)."""

    best: str
    first: str
    gap: str = ""
    claim: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Those that say something."""
        return tuple(one for one in (self.first, self.gap, self.claim) if one)


def lead(comparison: Comparison) -> Lead:
    """The first sentences of a comparison; they claim only what its table of claims does.

    Nobody leads where systems were tested on different slides: their pooled scores are of different tasks.
    """
    if comparison.summary.empty:
        table, by, score, what = comparison.scores, "system", "f1", "macro F1"
    else:
        table, by, score, what = comparison.summary, "experiment", "f1_mean", "macro F1 (mean over seeds)"
    rows = table[table["class"] == MACRO].dropna(subset=[score])
    f1 = {str(name): float(value) for name, value in zip(rows[by], rows[score], strict=True)}
    slides = comparison.slide_scores
    tested = (
        f"{many(slides['slide'].nunique(), 'test slide')} of {many(slides['patient'].nunique(), 'patient')}"
    )
    if not f1:
        return Lead("", f"Nothing could be scored on {tested}: there were no annotated pixels.")
    if not _on_same_slides(comparison):
        return Lead("", UNEQUAL)
    best, *others = sorted(f1, key=f1.__getitem__, reverse=True)
    value = _with_interval(comparison, best, f1[best])
    if not others:
        return Lead(best, f"{best} has a {what} of {value}, pooled over {tested}.")
    equal = [name for name in others if f1[name] == f1[best]]
    if equal:
        return Lead(
            best, f"{', '.join((best, *equal))} have the same, highest {what}: {value}, pooled over {tested}."
        )
    first = f"{best} has the highest {what} of {len(f1)} {by}s: {value}, pooled over {tested}."
    return Lead(best, first, *_over(comparison, best, others[0], f1))


def _on_same_slides(comparison: Comparison) -> bool:
    """Whether all systems with a score were tested on the same slides; one without any slide is none."""
    slides = comparison.slide_scores.groupby("system")["slide"].agg(frozenset)
    return len(set(slides)) <= 1


def _with_interval(comparison: Comparison, name: str, f1: float) -> str:
    """The score with its interval where there is one of just this score."""
    table = comparison.intervals
    rows = table[(table["experiment"] == name) & (table["class"] == MACRO)]
    if rows.empty or share(float(rows["f1"].iloc[0])) != share(f1):
        return share(f1)
    return with_interval(f1, rows.iloc[0])


def _over(comparison: Comparison, best: str, second: str, f1: dict[str, float]) -> tuple[str, str]:
    """The lead over the next, and what may be claimed of it."""
    row, turned = _pair(comparison.claims, best, second)
    told = share(f1[best] - f1[second])
    claim = ""
    if row is not None:
        claim = _sentence(str(row["claim"]))
        low, high = (float(row[one]) for one in ("low", "high"))
        if low == low:
            low, high = (-high, -low) if turned else (low, high)
            told += f", 95 % interval {low:+.3f} to {high:+.3f}".replace("-", "−")
    return f"Next is {second} with {share(f1[second])}: a lead of {told}.", claim


def _sentence(claim: str) -> str:
    """With a capital, unless it starts with a symbol (n, p), and a full stop."""
    symbol = len(claim.split(maxsplit=1)[0]) == 1
    return f"{claim[:1] if symbol else claim[:1].upper()}{claim[1:].rstrip('.')}."


def _pair(claims: pd.DataFrame, one: str, other: str) -> tuple[pd.Series[str] | None, bool]:
    """The row of a pair, and whether it stands there the other way round."""
    for first, second, turned in ((one, other, False), (other, one, True)):
        rows = claims[(claims["first"] == first) & (claims["second"] == second)]
        if len(rows):
            return rows.iloc[0], turned
    return None, False


def many(number: int, what: str) -> str:
    """``1 slide``, ``2 slides``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
