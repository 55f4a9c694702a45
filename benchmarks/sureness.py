"""How sure cohorts drawn of few patients are, beside how sure they ought to be: of two systems that are equal.

The search calls a system behind where another is ahead in 95 % of the cohorts: 5 % of cases if patients were many.  The
interval of a difference ought to hold 0 in 95 % of cases; beside it the central 95 % of cohorts, which it is made from.
Systems are equal here in that each patient's share of centres that they get right is drawn from one distribution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Cell, Table
from hooknet.metrics.bootstrap import COVERAGE
from hooknet.search.scoring import SURE, score

PATIENTS = (5, 6, 8, 12, 20, 40)
COHORTS = 1000
CLASSES = 3
#: Centres of a class that a patient shows.
CENTRES = 30
#: The share of centres that a system gets right, mean and standard deviation over patients.
RIGHT, SPREAD = 0.8, 0.1


def predicted(
    labels: NDArray[np.uint8], whose: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """What a system says: wrong at chance, more often on the slides of some patients."""
    strength = RIGHT * (1 - RIGHT) / SPREAD**2 - 1
    shares = rng.beta(RIGHT * strength, (1 - RIGHT) * strength, whose.max() + 1)
    wrong = (labels + rng.integers(0, CLASSES - 1, len(labels))) % CLASSES + 1
    return np.where(rng.random(len(labels)) < shares[whose], labels, wrong).astype(np.uint8)


def shares(patients: int, rng: np.random.Generator) -> tuple[list[float], float]:
    """Of cohorts: in how many the first of two is called behind, central cohorts hold 0, the interval does.

    And by how much the interval is wider than the central cohorts, at the median.
    """
    labels = np.tile(np.repeat(np.arange(1, CLASSES + 1, dtype=np.uint8), CENTRES), patients)
    whose = np.repeat(np.arange(patients), CLASSES * CENTRES)
    names = [f"{one:03}" for one in whose]
    told, wider = np.zeros(3), []
    for _ in range(COHORTS):
        found = score(
            {name: predicted(labels, whose, rng) for name in ("one", "other")}, labels, names, CLASSES
        )
        _, low, high = found.lead("one", "other")
        differences = found.drawn[:, 0, -1] - found.drawn[:, 1, -1]
        first, last = np.quantile(differences, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
        told += not found.keeps_up("one", "other", 0.0), first <= 0 <= last, low <= 0 <= high
        wider.append((high - low) / (last - first))
    return list(told / COHORTS), float(np.median(wider))


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(1)
    rows: list[tuple[Cell, ...]] = []
    for patients in PATIENTS:
        found, wider = shares(patients, rng)
        told = [f"{one:.1%} ± {(one * (1 - one) / COHORTS) ** 0.5:.1%}" for one in found]
        rows.append((patients, *told, f"{wider:.2f}x"))
    print(
        Table(
            f"Two equal systems, {COHORTS:,} cohorts of patients each (± standard error)",
            (
                "patients",
                f"called behind, meant {1 - SURE:.0%}",
                f"central cohorts hold 0, meant {COVERAGE:.0%}",
                "interval holds 0",
                "which is wider",
            ),
            rows,
        )
    )
