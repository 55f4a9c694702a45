"""How often a search finds the right fields of view, on slides where they are known, and what it costs.

Four kinds of slides (:mod:`hooknet.demo.sites`) that differ only in what names their classes: fine detail alone, or
with it what is near (4 µm/px shows it), what is far (16 µm/px), or both.  Steps 1 to 3 of a search run on each as the
workflow runs them, in this process.  Costs are seconds of processor time of the trials, reading and validation
included, beside those that the winner's whole training would take at its own pace.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from PIL import Image

from hooknet.config import layout
from hooknet.config.datasets import DatasetSettings
from hooknet.config.search import SearchSettings
from hooknet.config.searches import Search, read_rungs
from hooknet.coordinates import PatchSpec
from hooknet.data.index import SlideFiles
from hooknet.demo.cohort import PhantomSettings, make_slide
from hooknet.demo.sites import CLASSES, VIEWS, Context
from hooknet.groundtruth.centres import count_pixels, draw_centres, generator
from hooknet.io.masks import Mask, create_mask
from hooknet.io.slides import Slide
from hooknet.io.tables import Centres, write_centres
from hooknet.search.steps import decide_views, promote_trials, rank_views
from hooknet.training.states import TrainFiles
from hooknet.training.trials import TrialFiles, train_trial

SIZE_UM, SPACING, PER_CLASS = 2048.0, 1.0, 200
SPLITS: Final = {"training": range(24), "validation": range(24, 36)}
SETTINGS: Final = {
    "dataset": "sites",
    "spacings": [1.0, 4.0, 16.0],
    "branches": [2, 3],
    "target_weights": [0.5],
    "entrants": 3,
    "budget": 1.34,  # in multiplications; narrow networks of several branches take longer for each
    "patch_size": 252,
    "network": {"filters": 8, "depth": 4, "batch_norm_momentum": 0.9, "hook_layout": "star"},
    "train": {
        "epochs": 48, "steps": 20, "batch": 8, "learning_rate": 2e-3, "l2": 1e-5, "validation_patches": 150,
        "threads": 1, "workers": 0,
    },
    "augment": {"elastic_um": 0},
}  # fmt: skip


def search_of(context: Context, seed: int) -> Search:
    """The search, on a dataset whose slides ``slides_of`` draws."""
    classes = {name: {"value": at, "colour": "#000000"} for at, name in enumerate(CLASSES[context], start=1)}
    slides = [
        {
            "id": _name(number),
            "slide": f"{_name(number)}.tif",
            "annotation": f"{_name(number)}.xml",
            "split": split,
        }
        for split, numbers in SPLITS.items()
        for number in numbers
    ]
    dataset = DatasetSettings.model_validate({"classes": classes, "slides": slides})
    settings = SearchSettings.model_validate({**SETTINGS, "seed": seed})
    return Search(f"{context}{seed}", settings, dataset)


def draw(folder: Path, seed: int, context: Context) -> None:
    """The slides of a seed, whose pixels are the same whatever names the classes, and their label masks."""
    folder.mkdir(parents=True, exist_ok=True)
    names = CLASSES[context]
    palette = {value: (value, value, value) for value in range(1, len(names) + 1)}
    for number in (number for numbers in SPLITS.values() for number in numbers):
        name = _name(number)
        slide, truth = folder / f"{name}.tif", folder / f"{name}_truth.png"
        make_slide(
            name, PhantomSettings(SIZE_UM, SPACING, seed, context), slide, folder / f"{name}.xml", truth
        )
        with Slide(slide) as opened:
            grid = opened.grid(SPACING)
        with create_mask(folder / f"{name}_labels.tif", grid, names, palette) as writer:
            writer.write(0, 0, np.asarray(Image.open(truth)))


def slides_of(folder: Path, search: Search, spec: PatchSpec, split: str) -> list[SlideFiles]:
    """Drawn slides with their centres for patches of ``spec``."""
    files = []
    for number in SPLITS[split]:
        name = _name(number)
        labels, centres = folder / f"{name}_labels.tif", folder / f"{name}_{layout.centres_name(spec)}"
        if not centres.exists():
            names = tuple(search.dataset.label_map.names)
            with Mask.open(labels) as mask:
                table = draw_centres(mask, PER_CLASS, generator(1, name))
                table = count_pixels(table, mask, spec.output_size, spec.target_spacing, len(names))
            write_centres(centres, Centres(table, names, spec.output_size, spec.target_spacing))
        files.append(SlideFiles(name, folder / f"{name}.tif", None, labels, centres))
    return files


def run_search(search: Search, slides: Path) -> tuple[dict[str, object], dict[tuple[str, int], float]]:
    """The decision, and the seconds of processor time of every trial and rung."""
    seconds: dict[tuple[str, int], float] = {}

    def train(name: str, rung: int, epochs: int) -> None:
        run = search.runs[name]
        training, validation = (slides_of(slides, search, run.patch_spec, split) for split in SPLITS)
        to = layout.rung_folder(search.name, name, rung)
        earlier = None if rung == 0 else layout.rung_folder(search.name, name, rung - 1) / "state"
        files = TrainFiles(to / "best.ckpt", None, to / "metrics.csv", to / "working", kept=to / "state")
        to.mkdir(parents=True, exist_ok=True)
        start = time.process_time()
        train_trial(run, training, validation, TrialFiles(files, to / "points.parquet", earlier), epochs)
        seconds[name, rung] = time.process_time() - start

    for name in search.singles:
        train(name, 0, search.settings.rungs.epochs[0])
    rank_views(search, layout.ranking_folder(search.name), layout.trials_path(search.name, 0))
    rungs = read_rungs(layout.trials_path(search.name, 0))
    for rung in range(rungs.last + 1):
        trials = json.loads(layout.trials_path(search.name, rung).read_text())["trials"]
        for name in trials:
            if (name, rung) not in seconds:
                train(name, rung, rungs.epochs[rung])
        if rung < rungs.last:
            table, following = (
                layout.rung_table_path(search.name, rung),
                layout.trials_path(search.name, rung + 1),
            )
            promote_trials(search, rung, table, following)
    decide_views(search, layout.decision_path(search.name), layout.last_rung_path(search.name))
    return json.loads(layout.decision_path(search.name).read_text()), seconds


def measure(context: Context, seed: int) -> dict[str, object]:
    """One search, as a row of the table."""
    torch.set_num_threads(1)
    slides = layout.RESULTS / "drawn" / f"{context}{seed}"
    draw(slides, seed, context)
    search = search_of(context, seed)
    decision, seconds = run_search(search, slides)
    winner, rungs = str(decision["winner"]), read_rungs(layout.trials_path(search.name, 0))
    # Its own pace: seconds of its last rung, over the epochs that this added.
    added = rungs.epochs[-1] - rungs.epochs[-2]
    pace = seconds[winner, rungs.last] / added
    whole = pace * search.settings.train.epochs
    found = tuple(search.candidates[winner].spacings)
    last = pd.read_csv(layout.last_rung_path(search.name))
    return {
        "context": context,
        "seed": seed,
        "wanted": "+".join(f"{one:g}" for one in VIEWS[context]),
        "found": "+".join(f"{one:g}" for one in found),
        "right": found == VIEWS[context],
        "macro_f1": float(last.loc[last["trial"] == winner, "f1"].iloc[0]),
        "sure": decision["sure"],
        "search_s": sum(seconds.values()),
        "training_s": whole,
        "ratio": sum(seconds.values()) / whole,
        "work_at_most": search.settings.work.of(rungs, rungs.sizes[0] - len(search.singles))
        / search.settings.train.epochs,
    }


def main(arguments: list[str] | None = None) -> None:
    """Print the table, and write it row by row: a second call goes on where the first ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fields-of-view", description=__doc__)
    parser.add_argument("--contexts", nargs="+", choices=list(VIEWS), default=list(VIEWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--output", type=Path, default=Path("fields_of_view.csv"))
    options = parser.parse_args(arguments)
    rows = pd.read_csv(options.output).to_dict("records") if options.output.exists() else []
    for context in options.contexts:
        for seed in options.seeds:
            if any((one["context"], one["seed"]) == (context, seed) for one in rows):
                continue
            rows.append(measure(context, seed))
            pd.DataFrame(rows).to_csv(options.output, index=False)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="%.3f"))
    print(
        f"right: {int(np.sum(table['right']))} of {len(table)}; cost at most {table['ratio'].max():.2f} trainings"
    )


def _name(number: int) -> str:
    return f"site{number:03d}"


if __name__ == "__main__":
    main()
