"""One training by one, two and three processes: how far losses, gradients, weights, counts and curves differ.

Processes meet by gloo on this machine's processor.  Slides are annotated in part, so that the processes' shares of a
mini-batch hold more annotated px here and fewer there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, distributed
from torch import multiprocessing as mp

from benchmarks.made import NAMES, draw_slide, index_of, make_run
from benchmarks.table import Cell, Table, measured
from hooknet.config.run import DenseRun
from hooknet.data.index import SlideFiles, load_index
from hooknet.data.samplers import EpochSampler
from hooknet.io.masks import create_mask
from hooknet.io.slides import Slide
from hooknet.models.checkpoint import load_checkpoint
from hooknet.training.batches import augmentation, balanced_draws, training_loader
from hooknet.training.loop import train
from hooknet.training.module import Segmentation
from hooknet.training.ranks import Shares
from hooknet.training.states import TrainFiles
from hooknet.training.weights import new_network

WORLDS = (1, 2, 3)
STEPS, EPOCHS, SEEDS = 20, 6, (1, 2, 3)
#: Noise is drawn by the mini-batch, so not the same for other shares.
SHARED: dict[str, Any] = {"patch_size": 60, "augment": {"noise": 0}}
TRAIN: dict[str, Any] = {
    "batch": 12, "steps": STEPS, "epochs": 1, "threads": 1, "workers": 0, "learning_rate": 1e-3,
    "validation_patches": 120,
}  # fmt: skip
NETWORK: dict[str, Any] = {"filters": 4, "depth": 2}
SYSTEMS: dict[str, dict[str, Any]] = {
    "U-Net": {"model": "unet", "spacings": (1.0,)},
    "HookNet": {"model": "hooknet", "spacings": (1.0, 4.0), "loss_weights": (0.75, 0.25)},
}
DICE = {"losses": {"cross_entropy": 1.0, "dice": 1.0}}
#: Name, system, whether it has batch normalisation, more of its training.
CASES: tuple[tuple[str, str, bool, dict[str, Any]], ...] = (
    ("U-Net without batch normalisation", "U-Net", False, {}),
    ("HookNet without batch normalisation", "HookNet", False, {}),
    ("the same with Dice loss", "HookNet", False, DICE),
    ("HookNet with batch normalisation", "HookNet", True, {}),
)
#: Mini-batches.
VALIDATED = 10


def case(system: str, batch_norm: bool, seed: int = 1, **options: Any) -> DenseRun:
    """A run of one of the systems; ``options`` are those of its training."""
    # Running statistics follow fast, as trainings are short.
    network = {**NETWORK, "batch_norm": batch_norm, "batch_norm_momentum": 0.9}
    settings = {**SHARED, **SYSTEMS[system], "network": network, "train": {**TRAIN, **options}}
    return replace(make_run(**settings), seed=seed)


def draw_slides(folder: Path) -> None:
    """One to train with and one to validate; every other square of 64 µm is annotated."""
    for number in (1, 2):
        slide = draw_slide(folder, number, 1024.0)
        labels = np.array(Image.open(slide.with_suffix(".png")))
        rows, columns = np.indices(labels.shape) // 128
        labels[(rows + columns) % 2 == 1] = 0
        palette = {value: (value, value, value) for value in range(1, len(NAMES) + 1)}
        path = slide.with_name(f"{slide.stem}_labels.tif")
        with Slide(slide) as opened, create_mask(path, opened.grid(0.5), NAMES, palette) as writer:
            writer.write(0, 0, labels)


def files_of(folder: Path, number: int, run: DenseRun) -> SlideFiles:
    """What a training needs of a slide; its index is made once."""
    spec, slide = run.network.shape.patch_spec, folder / f"benchmark{number}.tif"
    centres = folder / f"benchmark{number}_{spec.output_size}_{spec.target_spacing}.parquet"
    if not centres.exists():
        index_of([slide], spec)
    return SlideFiles(slide.stem, slide, None, folder / f"benchmark{number}_labels.tif", centres)


def _averaged(values: Tensor, world: int) -> Tensor:
    """As DDP averages gradients."""
    if world > 1:
        distributed.all_reduce(values)
    return values / world


def first_step(rank: int, world: int, folder: str, run: DenseRun) -> None:
    """Loss and gradients of a training's first mini-batch, and the counts of a validation, by all processes."""
    torch.set_num_threads(1)
    if world > 1:
        meeting = f"file://{folder}/meeting{world}"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    index = load_index([files_of(Path(folder), 1, run)], NAMES, run.network.shape.patch_spec)
    module = Segmentation(new_network(run), augmentation(run), run.settings, NAMES, run.seed)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batches = training_loader(run, index, Shares(EpochSampler(balanced_draws(run, index), 1 + VALIDATED)), 0)
    first, *others = batches
    loss = module.training_step(first, 0)
    loss.backward()
    gradients = [_averaged(one.grad, world) for one in module.network.parameters() if one.grad is not None]
    module.eval()
    module.on_validation_epoch_start()
    with torch.no_grad():
        for number, batch in enumerate(others):
            module.validation_step(batch, number)
    module.on_validation_epoch_end()
    told = {
        "loss": _averaged(loss.detach(), world),
        "gradients": gradients,
        "counts": module._counts,
    }
    if rank == 0:
        torch.save(told, f"{folder}/step{world}.pt")


def steps_of(folder: Path, run: DenseRun) -> list[dict[str, Any]]:
    """What each number of processes found."""
    files_of(folder, 1, run)
    found = []
    for world in WORLDS:
        if world == 1:
            first_step(0, 1, str(folder), run)
        else:
            mp.spawn(first_step, (world, str(folder), run), world)
            (folder / f"meeting{world}").unlink(missing_ok=True)
        found.append(torch.load(folder / f"step{world}.pt", weights_only=False))
    return found


def trained(folder: Path, place: str, *arguments: Any) -> Path:
    """The results of a training, which is done as its own program: Lightning starts it once for each device."""
    (folder / place).mkdir()
    measured("-m", "benchmarks.devices", str(folder), place, json.dumps(arguments))
    return folder / place


def apart(values: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest difference of any number, to the largest number."""
    difference = max(float((one - two).abs().max()) for one, two in zip(values, wanted, strict=True))
    return difference / max(float(one.abs().max()) for one in wanted)


def one_network(folder: Path) -> Table:
    """Two and three processes beside one: the first step, a validation, weights after some steps."""
    rows: list[tuple[Cell, ...]] = []
    for number, (name, system, batch_norm, options) in enumerate(CASES):
        run = case(system, batch_norm, **options)
        steps = steps_of(folder, run)
        weights, curves = [], []
        for world in WORLDS:
            place = trained(folder, f"{number}_{world}", system, batch_norm, 1, {**options, "devices": world})
            state = load_checkpoint(place / "last.ckpt").state_dict
            weights.append([one for one in state.values() if one.is_floating_point()])
            curves.append(pd.read_csv(place / "metrics.csv").iloc[-1])
        for place, world in enumerate(WORLDS[1:], start=1):
            equal = np.array_equal(steps[place]["counts"], steps[0]["counts"])
            rows.append(
                (
                    name,
                    world,
                    apart([steps[place]["loss"]], [steps[0]["loss"]]),
                    apart(steps[place]["gradients"], steps[0]["gradients"]),
                    "equal" if equal else f"{_moved(steps[place]['counts'], steps[0]['counts']):.2%} apart",
                    apart(weights[place], weights[0]),
                    abs(curves[place]["validation_macro_f1"] - curves[0]["validation_macro_f1"]),
                )
            )
    return Table(
        f"Two and three processes beside one, mini-batches of {TRAIN['batch']} patches in all",
        (
            "system",
            "processes",
            "loss, first step",
            "gradients, first step",
            "counts of a validation",
            f"weights, {STEPS} steps",
            f"macro F1, {STEPS} steps",
        ),
        rows,
        (
            "Losses, gradients and weights: the largest difference of any number, to the largest number. Counts: "
            f"which class met which prediction, over {VALIDATED * TRAIN['batch']} patches. F1: the difference.",
        ),
    )


def _moved(counts: Any, wanted: Any) -> float:
    """The share of pixels that are counted elsewhere."""
    return float(np.abs(np.asarray(counts) - np.asarray(wanted)).sum() / 2 / np.asarray(wanted).sum())


def curves(folder: Path) -> Table:
    """How far curves of validation F1 are apart for other numbers of processes, and for other seeds."""
    rows: list[tuple[Cell, ...]] = []
    for system in SYSTEMS:
        found = {}
        for world, seed in [*((world, 1) for world in WORLDS), *((1, seed) for seed in SEEDS[1:])]:
            options = {"epochs": EPOCHS, "devices": world}
            place = trained(folder, f"{system}_{world}_{seed}", system, True, seed, options)
            found[world, seed] = pd.read_csv(place / "metrics.csv")["validation_macro_f1"].to_numpy()
        seeds = [found[1, seed] for seed in SEEDS]
        among = [np.abs(one - two) for one, two in combinations(seeds, 2)]
        for world in WORLDS[1:]:
            off = np.abs(found[world, 1] - found[1, 1])
            rows.append((system, world, off.mean(), off.max(), np.mean(among), np.max(among)))
    return Table(
        f"Curves of {EPOCHS} epochs of {STEPS} steps, batch normalisation over each process's share",
        (
            "system",
            "processes",
            "macro F1 from one process's, mean",
            "most",
            f"among {len(SEEDS)} seeds of one process, mean",
            "most",
        ),
        rows,
    )


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_slides(folder)
        print(one_network(folder), flush=True)
        print(curves(folder), flush=True)


def train_one(folder: Path, place: Path, *arguments: Any) -> None:
    """Train, as one of however many processes."""
    system, batch_norm, seed, options = arguments
    run = case(system, batch_norm, seed, **options)
    files = TrainFiles(place / "best.ckpt", place / "last.ckpt", place / "metrics.csv", place / "state")
    train(run, [files_of(folder, 1, run)], [files_of(folder, 2, run)], files)


if __name__ == "__main__":
    train_one(Path(sys.argv[1]), Path(sys.argv[1]) / sys.argv[2], *json.loads(sys.argv[3]))
