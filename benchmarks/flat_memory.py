"""Memory and open files of every step on slides of 1, 4 and 16 Gpx, and of a training over 10,000 batches.

By name only: ``python -m benchmarks flat_memory``; ``python -m benchmarks.flat_memory GPX...`` takes other sizes.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.table import Cell, Table

SIZES = (1.0, 4.0, 16.0)  # Gpx at 0.25 µm/px
TISSUE = 0.05
SHAPES, POINTS = 40, 500
BATCHES, PARTS = 10_000, 10
EVERY = 0.05  # s
MEMORY_MB = 4000

DATASETS = """
datasets:
  made:
    classes:
      one: {value: 1, colour: "#c1121f", groups: [one]}
      two: {value: 2, colour: "#12c11f", groups: [two]}
    files: {slide: "slide.tif", annotation: "slide.xml"}
    slides: [{id: a, split: test}]
"""
EXPERIMENTS = """
experiments:
  small:
    dataset: made
    model: unet
    spacings: [0.5]
    patch_size: 58
    network: {filters: 2, depth: 2, convolutions: 1}
    checkpoint: best.ckpt
    infer: {engine: torch, probabilities: true}
    train: {threads: 1}
"""
# In a process of their own: this one is to stay small.
PREPARE = """
import sys
from pathlib import Path
import torch
from benchmarks.gigapixel import write_slide
from hooknet.config.project import load_project
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec, new_network
write_slide(Path("slide.tif"), int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
run = load_project(Path("datasets.yaml"), Path("experiments.yaml")).run("small")
torch.manual_seed(1)
save_checkpoint(Path("best.ckpt"), new_network(run).eval(), checkpoint_spec(run, ()))
"""
TRAIN = """
import sys
from pathlib import Path
from benchmarks.made import draw_slide, make_run, slide_files
from hooknet.training.loop import train
from hooknet.training.states import TrainFiles
batches, workers = map(int, sys.argv[1:])
run = make_run(
    spacings=(0.5, 1.0), loss_weights=(0.75, 0.25), patch_size=38,
    network={"filters": 2, "depth": 2, "convolutions": 1},
    train={"epochs": 20, "steps": batches // 20, "batch": 2, "threads": 1, "workers": workers,
           "validation_patches": 20},
)
slides = [draw_slide(Path(), number, 512.0) for number in (1, 2)]
files = slide_files(slides, run.network.shape.patch_spec)
train(run, files[:1], files[1:], TrainFiles(*map(Path, ("best.ckpt", "last.ckpt", "metrics.csv", "state"))))
"""


@dataclass
class Watched:
    """A process as it is seen from outside: seconds, its peak memory and open files, and both as they went on.

    Memory is what it and its children hold (MiB), but the peak, which the system keeps, is its own.
    """

    seconds: float = 0.0
    peak_mib: float = 0.0
    most_files: int = 0
    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


def watched(folder: Path, *arguments: str) -> Watched:
    """Run ``python ARGUMENTS`` in a folder; its errors end the benchmark."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    start, found, done = time.perf_counter(), Watched(), threading.Event()
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )
        looker = threading.Thread(target=_look, args=(child.pid, found, done))
        looker.start()
        child.wait()
        done.set()
        looker.join()
    found.seconds = time.perf_counter() - start
    if child.returncode:
        raise SystemExit(f"python {' '.join(arguments)}:\n{(folder / 'log').read_text()[-3000:]}")
    return found


def _look(process: int, found: Watched, done: threading.Event) -> None:
    """Note what a process holds, again and again."""
    while not done.wait(EVERY):
        try:
            told = _status(process)
            held = told["VmRSS"] + sum(_status(one).get("VmRSS", 0.0) for one in _children(process))
            files = len(os.listdir(f"/proc/{process}/fd"))
        except (OSError, KeyError, IndexError):  # it just ended
            continue
        found.peak_mib, found.most_files = max(found.peak_mib, told["VmHWM"]), max(found.most_files, files)
        found.memory.append(held)
        found.files.append(files)


def _status(process: int) -> dict[str, float]:
    """Its memory in MiB, as the system names it."""
    lines = Path("/proc", str(process), "status").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if line.startswith("Vm"))
    return {name: int(value.split()[0]) / 1024 for name, value in pairs}


def _children(process: int) -> list[int]:
    tasks = Path("/proc", str(process), "task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


def write_annotations(path: Path, width: int, height: int) -> None:
    """Regions that cover a twentieth of any slide: as many, of as many points, whatever its size."""
    across, down = 8, SHAPES // 8
    radius = math.sqrt(0.05 * width * height / SHAPES / math.pi)
    lines = ["<ASAP_Annotations><Annotations>"]
    for number in range(SHAPES):
        x, y = (number % across + 0.5) * width / across, (number // across + 0.5) * height / down
        lines.append(
            f'<Annotation Name="{number}" Type="Polygon" PartOfGroup="{("one", "two")[number % 2]}"><Coordinates>'
        )
        for point in range(POINTS):
            angle = 2 * math.pi * point / POINTS
            frayed = radius * (1 + 0.1 * math.sin(9 * angle + number))
            at = f'X="{x + frayed * math.cos(angle):.1f}" Y="{y + frayed * math.sin(angle):.1f}"'
            lines.append(f'<Coordinate Order="{point}" {at}/>')
        lines.append("</Coordinates></Annotation>")
    path.write_text("\n".join([*lines, "</Annotations></ASAP_Annotations>"]), encoding="utf-8")


def steps() -> dict[str, tuple[str, ...]]:
    """The commands on a slide, by what they are called in the table."""
    slide = ("--dataset", "made", "--slide", "a")
    found = {
        "read-annotations": ("read-annotations", *slide, "--annotation", "slide.xml", "--output", "a.geojson"),
        "rasterise": (
            "rasterise", *slide, "--source", "a.geojson", "--output", "labels.tif", "--counts", "labels.json",
        ),
        "detect-tissue": ("detect-tissue", *slide, "--output", "tissue.tif"),
        "infer": (
            "infer", "--run", "small", "--slide", "a", "--checkpoint", "best.ckpt", "--output", "map.tif",
            "--probabilities", "shares.tif", "--tissue", "tissue.tif", "--memory", str(MEMORY_MB),
        ),
        "evaluate": (
            "evaluate", "--slide", "a", "--truth", "labels.tif", "--prediction", "map.tif", "--output", "counts.csv",
            "--windows", "windows.csv",
        ),
    }  # fmt: skip
    for kind in ("geojson", "asap", "ome-tiff", "colours"):
        found[f"export {kind}"] = (
            "export",
            "--input",
            "map.tif",
            "--format",
            kind,
            "--output",
            f"out.{kind}",
        )
    settings = ("--datasets", "datasets.yaml", "--experiments", "experiments.yaml")
    own = {"evaluate", "export"}
    return {
        name: ("-m", "hooknet", *one, *(() if one[0] in own else settings)) for name, one in found.items()
    }


def on_slide(folder: Path, gigapixels: float) -> dict[str, Watched]:
    """Every step on a slide of its size."""
    width, height = (round(math.sqrt(gigapixels * 1e9 * share)) for share in (1.25, 0.8))
    (folder / "datasets.yaml").write_text(DATASETS, encoding="utf-8")
    (folder / "experiments.yaml").write_text(EXPERIMENTS, encoding="utf-8")
    write_annotations(folder / "slide.xml", width, height)
    watched(folder, "-c", PREPARE, str(width), str(height), str(TISSUE))
    found = {}
    for name, command in steps().items():
        found[name] = one = watched(folder, *command)
        print(
            f"({gigapixels:g} Gpx, {name}: {one.peak_mib:.0f} MiB, {one.most_files} files, {one.seconds:.0f} s)",
            flush=True,
        )
    return found


def slides(sizes: tuple[float, ...]) -> Table:
    """Peaks by step and size, and the largest beside the smallest."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found.append(on_slide(Path(folder), size))
    rows: list[tuple[Cell, ...]] = []
    for name in found[0]:
        peaks, files = [one[name].peak_mib for one in found], [one[name].most_files for one in found]
        rows.append((name, *peaks, peaks[-1] / peaks[0], *files))
    columns = (
        "",
        *(f"{size:g} Gpx, MiB" for size in sizes),
        "last : first",
        *(f"files, {size:g}" for size in sizes),
    )
    title = f"Peak memory and most files open at once, {TISSUE:.0%} tissue, 0.25 µm/px"
    return Table(title, columns, rows)


def training() -> Table:
    """Memory of a training and its workers, and open files, in each tenth of its way."""
    rows: list[tuple[Cell, ...]] = []
    for workers in (0, 2):
        with tempfile.TemporaryDirectory() as folder:
            one = watched(Path(folder), "-c", TRAIN, str(BATCHES), str(workers))
        ends = [len(one.memory) * part // PARTS for part in range(PARTS + 1)]
        for what, values in (("MiB", one.memory), ("files", one.files)):
            parts = [sorted(values[start:end])[(end - start) // 2] for start, end in pairwise(ends)]
            rows.append((f"{workers} workers, {what}", *parts, parts[-1] / parts[1]))
        print(f"({BATCHES:,} batches, {workers} workers: {one.seconds:.0f} s)", flush=True)
    columns = ("", *(f"{part + 1}/{PARTS}" for part in range(PARTS)), "last : second")
    return Table(f"A training of {BATCHES:,} batches: medians of the tenths of its time", columns, rows)


def main(sizes: tuple[float, ...] = SIZES) -> None:
    """Print both tables."""
    print(slides(sizes))
    print(training())


if __name__ == "__main__":
    main(tuple(map(float, sys.argv[1:])) or SIZES)
