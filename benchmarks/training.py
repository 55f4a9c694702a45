"""Training steps: with the real loader beside a constant mini-batch in memory, and what augmentation takes of them.

On a GPU at the full size of the paper, on a CPU with small networks; the device is found.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.made import NAMES, draw_slide, index_of, make_run
from benchmarks.table import Cell, Table, growth, in_turn, measured, peak_mib, ratio
from hooknet.config.run import DenseRun
from hooknet.data.index import CentreIndex
from hooknet.data.samplers import EpochSampler
from hooknet.training.batches import AHEAD, Batch, augmentation, balanced_draws, prepare, training_loader
from hooknet.training.module import Segmentation
from hooknet.training.weights import new_network

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SLIDES = 2
BATCHES = (1, 4, 16)
PAPER_STEPS = 200_000
PAPER_RATE = 1.2  # steps/s on a GTX 1080 Ti


@dataclass(frozen=True)
class Size:
    """A network to train, how many steps are measured at once and how many processes read."""

    name: str
    settings: dict[str, Any]
    steps: int
    rounds: int
    workers: tuple[int, ...]


def _settings(filters: int, depth: int, size: int, batch: int, target: float) -> dict[str, Any]:
    return {
        "spacings": (target, 8.0),
        "loss_weights": (0.75, 0.25),
        "patch_size": size,
        "network": {"filters": filters, "depth": depth},
        "train": {"batch": batch, "threads": 2},
    }


SIZES = (
    (
        # 50 M parameters.
        Size("paper, 64 filters", _settings(64, 4, 284, 12, 0.5), 100, 3, (4, 8)),
    )
    if DEVICE.type == "cuda"
    else (
        Size("demo, 8 filters", _settings(8, 3, 172, 10, 1.0), 6, 3, (1,)),
        Size("16 filters, 284 px", _settings(16, 4, 284, 4, 0.5), 2, 3, (1,)),
    )
)


class Trainer:
    """The steps of a training without what Lightning does around them."""

    def __init__(self, run: DenseRun) -> None:
        network = new_network(run)
        self.module = Segmentation(network, augmentation(run), run.settings, NAMES).to(DEVICE)
        self.module.network.to(memory_format=torch.channels_last)
        self.module.log = lambda *_, **__: None  # type: ignore[method-assign]
        self.optimiser = self.module.configure_optimizers()
        self.parameters = sum(one.numel() for one in network.parameters())

    def moved(self, batch: Batch) -> Batch:
        """A mini-batch on the device that trains."""
        return self.module.transfer_batch_to_device(batch, DEVICE, 0)

    def step(self, batch: Batch) -> None:
        """One step."""
        with _precision():
            loss = self.module.training_step(batch, 0)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()


def _precision() -> AbstractContextManager[None]:
    return torch.autocast("cuda", torch.bfloat16) if DEVICE.type == "cuda" else nullcontext()


def _wait() -> None:
    """Until the device has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def seconds(work: Callable[[], object]) -> float:
    """Wall time of some work, all of the device's included."""
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def endless(run: DenseRun, index: CentreIndex, workers: int) -> Iterator[Batch]:
    """The mini-batches of a training."""
    draws = EpochSampler(balanced_draws(run, index), PAPER_STEPS)
    return iter(training_loader(run, index, draws, workers))


def rates(size: Size, slides: list[Path]) -> Table:
    """Steps a second of the real loader, beside those of a constant mini-batch."""
    run = make_run(**size.settings)
    index = index_of(slides, run.network.shape.patch_spec)
    trainer = Trainer(run)
    constant = trainer.moved(next(endless(run, index, 0)))

    def still() -> float:
        return size.steps / seconds(lambda: [trainer.step(constant) for _ in range(size.steps)])

    def real(workers: int) -> Callable[[], float]:
        batches = endless(run, index, workers)

        def measure() -> float:
            # What was read while another one was measured does not count.
            ahead = workers * AHEAD + 1
            for _ in range(ahead):
                next(batches)
            trainer.step(trainer.moved(next(batches)))
            steps = range(size.steps)
            return size.steps / seconds(lambda: [trainer.step(trainer.moved(next(batches))) for _ in steps])

        return measure

    names = ("constant mini-batch", *(f"read by {one} processes" for one in size.workers))
    trainer.step(constant)
    found = in_turn(size.rounds, still, *(real(one) for one in size.workers))
    rows = [(name, median(one), ratio(one, found[0])) for name, one in zip(names, found, strict=True)]
    return Table(
        f"{size.name}, {trainer.parameters / 1e6:.1f} M parameters, "
        f"mini-batches of {run.settings.train.batch}, on {_device()}",
        ("mini-batches", "steps/s", "to constant"),
        rows,
        _outlook(size, found),
    )


def _outlook(size: Size, found: list[list[float]]) -> tuple[str, ...]:
    if DEVICE.type != "cuda":
        return ()
    rate = max(median(one) for one in found[1:])
    return (
        f"{size.steps * size.rounds} measured steps a row; {PAPER_STEPS:,} at {rate:.2f} steps/s are "
        f"{PAPER_STEPS / rate / 3600:.1f} h. The paper: about {PAPER_RATE} steps/s on a GTX 1080 Ti.",
    )


def shares(slides: list[Path]) -> Table:
    """What preparing a mini-batch takes of a step, with and without augmentation."""
    rows = []
    for size in SIZES:
        run = make_run(**size.settings)
        trainer = Trainer(run)
        batch = trainer.moved(next(endless(run, index_of(slides, run.network.shape.patch_spec), 0)))
        shape = run.network.shape

        def prepared(augment: object, batch: Batch = batch, shape: Any = shape) -> Callable[[], float]:
            arguments = (shape.output_branches, shape.patch_spec.output_size, False)
            return lambda: seconds(lambda: prepare(batch, augment, *arguments))  # type: ignore[arg-type]

        def whole(trainer: Trainer = trainer, batch: Batch = batch) -> float:
            return seconds(lambda: trainer.step(batch))

        whole()
        found = in_turn(size.rounds + 2, prepared(None), prepared(augmentation(run)), whole)
        without, with_augmentation, step = (median(one) * 1e3 for one in found)
        share = ratio([a - b for a, b in zip(found[1], found[0], strict=True)], found[2])
        rows.append((size.name, without, with_augmentation, step, f"{share:.1%}"))
    return Table(
        f"Augmentation on {_device()}, all of it at its default strengths",
        ("network", "to floats, ms", "and augmented, ms", "step, ms", "share of augmentation"),
        rows,
    )


def one_size(folder: str, batch: int) -> None:
    """Print what a step and its augmentation take (ms) with mini-batches of a size, and the most memory (MiB)."""
    torch.set_num_threads(2)
    settings = _settings(8, 3, 172, batch, 1.0)
    run = make_run(**settings)
    shape, trainer = run.network.shape, Trainer(run)
    slides = sorted(path for path in Path(folder).glob("*.tif") if not path.stem.endswith("_labels"))
    drawn = trainer.moved(next(endless(run, index_of(slides, shape.patch_spec), 0)))
    arguments = (shape.output_branches, shape.patch_spec.output_size, False)
    trainer.step(drawn)
    augment = augmentation(run)
    steps, prepared = in_turn(
        5,
        lambda: seconds(lambda: trainer.step(drawn)),
        lambda: seconds(lambda: prepare(drawn, augment, *arguments)),
    )
    print(median(steps) * 1e3, median(prepared) * 1e3, peak_mib())


def grown(folder: str) -> Table:
    """How a step grows with its mini-batch, each size in a process of its own."""
    rows: list[tuple[Cell, ...]] = []
    found = []
    for batch in BATCHES:
        process = measured("-c", f"from benchmarks.training import one_size; one_size({folder!r}, {batch})")
        found.append([float(one) for one in process.printed.split()[-3:]])
        rows.append((f"{batch} patches", *found[-1]))
    exponents = [f"size^{growth(BATCHES, [one[place] for one in found]):.2f}" for place in range(3)]
    columns = ("mini-batch", "step, ms", "prepared and augmented, ms", "peak MiB")
    return Table(f"Growth, demo network, on {_device()}", columns, [*rows, ("growth", *exponents)])


def _device() -> str:
    if DEVICE.type == "cuda":
        return f"{torch.cuda.get_device_name()}, bf16"
    return f"CPU, {torch.get_num_threads()} threads"


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        slides = [draw_slide(Path(folder), number, 1024.0) for number in range(1, SLIDES + 1)]
        for size in SIZES:
            print(rates(size, slides), flush=True)
        print(shares(slides), flush=True)
        print(grown(folder), flush=True)
