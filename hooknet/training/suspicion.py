"""What looks wrong about a training that has come to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Epochs from which on a loss should have fallen, and by what share of its first value.
EPOCHS, LEAST_FALL = 3, 0.01


def suspicions(rows: Sequence[Mapping[str, float]], classes: Sequence[str]) -> list[str]:
    """A line for each, of the rows of metrics.csv: a loss that has not fallen, classes that are never recognised."""
    found = []
    losses = [row["train_loss"] for row in rows]
    if len(losses) >= EPOCHS and min(losses[1:]) > (1 - LEAST_FALL) * losses[0]:
        found.append(
            f"the loss has not fallen in {len(losses)} epochs ({losses[0]:.4g} in the first, {losses[-1]:.4g} in the "
            "last); check the learning rate, the class groups, and whether slides and annotations fit"
        )
    never = [name for name in classes if rows and not any(row[f"f1_{name}"] > 0 for row in rows)]
    if len(losses) >= EPOCHS and never:
        found.append(
            f"validation never recognised {', '.join(never)}; check these annotations, the spacing, and train longer"
        )
    return found
