"""How sure cohorts drawn of few patients are, beside how sure they ought to be: of two systems that are equal.

The search calls a system behind where another is ahead in 95 % of the cohorts: 5 % of cases if patients were many.  A
report gives the central 95 % of cohorts as the interval of a difference: 95 % of these hold 0.  Systems are equal here
in that each patient's share of centres that they get right is drawn from one distribution.
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


def shares(patients: int, rng: np.random.Generator) -> tuple[float, float]:
    """Of cohorts: in how many the first of two is said to be behind the second; in how many the interval holds 0."""
    labels = np.tile(np.repeat(np.arange(1, CLASSES + 1, dtype=np.uint8), CENTRES), patients)
    whose = np.repeat(np.arange(patients), CLASSES * CENTRES)
    names = [f"{one:03}" for one in whose]
    behind = held = 0
    for _ in range(COHORTS):
        found = score(
            {name: predicted(labels, whose, rng) for name in ("one", "other")}, labels, names, CLASSES
        )
        behind += not found.keeps_up("one", "other", 0.0)
        _, low, high = found.lead("one", "other")
        held += low <= 0 <= high
    return behind / COHORTS, held / COHORTS


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(1)
    rows: list[tuple[Cell, ...]] = []
    for patients in PATIENTS:
        told = [f"{one:.1%} ± {(one * (1 - one) / COHORTS) ** 0.5:.1%}" for one in shares(patients, rng)]
        rows.append((patients, *told))
    print(
        Table(
            f"Two equal systems, {COHORTS:,} cohorts of patients each (± standard error)",
            ("patients", f"called behind, meant {1 - SURE:.0%}", f"interval holds 0, meant {COVERAGE:.0%}"),
            rows,
        )
    )
