"""A search over fields of view that a tiny generated cohort is enough for."""

from __future__ import annotations

import made_workflow

SPACINGS = (2.0, 4.0)
SEARCH: dict = {
    "defaults": {
        "patch_size": 60,
        "network": {"filters": 2, "depth": 2},
        "train": {**made_workflow.EXPERIMENTS["defaults"]["train"], "epochs": 4},
        "infer": {"tile": 252},
    },
    "search": {
        "fields": {
            "dataset": "tiny",
            "spacings": [*SPACINGS],
            "branches": [2],
            "target_weights": [0.5, 1.0],
            "entrants": 2,
            "reduction": 2,
            "budget": 4.0,
        }
    },
}
