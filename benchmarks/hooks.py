"""Kinds of hooks, and numbers of branches, at equal parameters, on slides of which it is known what has to be seen.

The slides of :mod:`benchmarks.fields_of_view` whose classes lie in fine detail, in what is near (4 µm/px) and in what
is far (16 µm/px) at once.  Every network has as many parameters as whole filters allow and is asked about the same
validation centres.  Times are of the processor, reading and validation included.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch

from benchmarks.fields_of_view import SETTINGS, SPLITS, draw, search_of, slides_of
from hooknet.config.searches import Search
from hooknet.io.points import read_points
from hooknet.search.scoring import score
from hooknet.training.states import TrainFiles
from hooknet.training.trials import TrialFiles, train_trial

CONTEXT: Final = "both"
#: Networks of so many views; how contexts are hooked, and by which kind of hook.
KINDS: Final[dict[str, tuple[tuple[float, ...], dict[str, Any], str]]] = {
    "U-Net": ((1.0,), {}, "concat"),
    "HookNet, two branches": ((1.0, 4.0), {}, "concat"),
    "HookNet, chain of three": ((1.0, 4.0, 16.0), {"hook_layout": "chain"}, "concat"),
    "HookNet, star of three": ((1.0, 4.0, 16.0), {"hook_layout": "star"}, "concat"),
    "the same, by addition": ((1.0, 4.0, 16.0), {"hook_layout": "star"}, "add"),
    "the same, by attention": ((1.0, 4.0, 16.0), {"hook_layout": "star"}, "attention"),
}


def search_for(kind: str, seed: int) -> tuple[Search, str]:
    """A search that has the network among its candidates, and the name of its run."""
    views, network, merge = KINDS[kind]
    base = search_of(CONTEXT, seed)
    changed = {**SETTINGS, "network": {**SETTINGS["network"], **network}, "merges": [merge], "seed": seed}
    search = Search(base.name, type(base.settings).model_validate(changed), base.dataset)
    return search, next(name for name, one in search.candidates.items() if one.spacings == views)


def measure(kind: str, seed: int, epochs: int, slides: Path) -> dict[str, object]:
    """Train one network; a row of the table."""
    search, name = search_for(kind, seed)
    run, to = search.runs[name], slides / kind.replace(" ", "_")
    to.mkdir()
    training, validation = (slides_of(slides, search, run.patch_spec, split) for split in SPLITS)
    files = TrainFiles(to / "best.ckpt", None, to / "metrics.csv", to / "working", kept=to / "state")
    start = time.process_time()
    train_trial(run, training, validation, TrialFiles(files, to / "points.parquet"), epochs)
    seconds = time.process_time() - start
    points = read_points(to / "points.parquet")
    found = score(
        {name: points.predicted}, points.labels, [str(one) for one in points.slides], len(points.names)
    )
    low, high = found.interval(name)
    shape = run.network.shape
    return {
        "network": kind,
        "seed": seed,
        "parameters": shape.parameter_count,
        "filters": shape.settings.filters,
        "macro_f1": found.macro(name),
        "low": low,
        "high": high,
        "multiplications": shape.multiply_accumulates(),
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> None:
    """Print the table, and write it row by row: a second call goes on where the first ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--epochs", type=int, default=22)
    parser.add_argument("--output", type=Path, default=Path("hooks.csv"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = pd.read_csv(options.output).to_dict("records") if options.output.exists() else []
    for seed in options.seeds:
        slides = Path("drawn") / f"{CONTEXT}{seed}"
        draw(slides, seed, CONTEXT)
        for kind in KINDS:
            if not any((one["network"], one["seed"]) == (kind, seed) for one in rows):
                rows.append(measure(kind, seed, options.epochs, slides))
                pd.DataFrame(rows).to_csv(options.output, index=False)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
