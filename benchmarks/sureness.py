"""How often the search calls a system behind one that is no better, by how many patients validation has.

It does so where a system is ahead in 95 % of the cohorts that are drawn of the patients: 5 % if these were many.  Two
systems are equal here in that each patient's share of centres that they get right is drawn from one distribution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Cell, Table
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


def called_behind(patients: int, rng: np.random.Generator) -> float:
    """Share of cohorts in which the first of two equal systems is said to be behind the second."""
    labels = np.tile(np.repeat(np.arange(1, CLASSES + 1, dtype=np.uint8), CENTRES), patients)
    whose = np.repeat(np.arange(patients), CLASSES * CENTRES)
    names = [f"{one:03}" for one in whose]
    found = 0
    for _ in range(COHORTS):
        systems = {name: predicted(labels, whose, rng) for name in ("one", "other")}
        found += not score(systems, labels, names, CLASSES).keeps_up("one", "other", 0.0)
    return found / COHORTS


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(1)
    rows: list[tuple[Cell, ...]] = []
    for patients in PATIENTS:
        share = called_behind(patients, rng)
        error = (share * (1 - share) / COHORTS) ** 0.5
        rows.append((patients, f"{share:.1%}", f"{error:.1%}"))
    print(
        Table(
            f"Of two equal systems the first called behind, {COHORTS:,} cohorts each; nominal {1 - SURE:.0%}",
            ("patients", "called behind", "standard error"),
            rows,
        )
    )
