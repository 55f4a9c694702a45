"""A slide of 100,000 x 80,000 px at 0.25 µm/px, a quarter tissue, through `hooknet infer` from file to map.

At 1/16, 1/4 and 1 of its px.  ``python -m benchmarks.whole_slide 4`` does the quarter alone (16: the sixteenth).
On a processor HookNet(0.5, 8.0) with F = 16, on a GPU the paper's F = 64; weights drawn at random.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.gigapixel import HEIGHT, WIDTH, write_slide
from benchmarks.networks import CLASSES, PAPER, paper_network
from benchmarks.table import Process, Table, growth, measured
from hooknet.config.project import load_project
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

GPU = torch.cuda.is_available()
FILTERS = 64 if GPU else 16
MEMORY_MB = 4000
PARTS = (16, 4, 1)
STAGES = re.compile(r"(\d+) tiles in ([\d.]+) s: read ([\d.]+) s.*?network ([\d.]+) s.*?write ([\d.]+) s")


def prepare(folder: Path, part: int, precision: str) -> None:
    """A project with one slide, its tissue mask, and weights."""
    side = part**0.5
    slide = folder / "slide.tif"
    write_slide(slide, round(WIDTH / side), round(HEIGHT / side))
    classes = {f"class{n}": {"value": n, "colour": f"#0000{n:02x}"} for n in range(1, CLASSES + 1)}
    one = {"id": "big", "slide": str(slide), "split": "test"}
    experiment = {
        "dataset": "made",
        "model": "hooknet",
        "spacings": list(PAPER),
        "loss_weights": [0.75, 0.25],
        "checkpoint": str(folder / "best.ckpt"),
        "network": {"filters": FILTERS},
        "infer": {"precision": precision},
    }
    (folder / "datasets.yaml").write_text(
        yaml.safe_dump({"datasets": {"made": {"classes": classes, "slides": [one]}}})
    )
    (folder / "experiments.yaml").write_text(yaml.safe_dump({"experiments": {"made": experiment}}))
    run = load_project(folder / "datasets.yaml", folder / "experiments.yaml").run("made")
    save_checkpoint(folder / "best.ckpt", paper_network(FILTERS), checkpoint_spec(run, ()))


def command(folder: Path, *arguments: str) -> Process:
    """A hooknet command on the project, measured; its log is printed to a file."""
    files = ["--datasets", str(folder / "datasets.yaml"), "--experiments", str(folder / "experiments.yaml")]
    code = "import sys; sys.stderr = sys.stdout; from hooknet.cli.main import main; main()"
    return measured("-c", code, *arguments, *files)


def measure(part: int, precision: str = "auto") -> tuple[list[float], list[str]]:
    """Seconds of the stages and of the whole, peak memory and px of the map; and what the log said."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, part, precision)
        tissue = command(
            folder,
            "detect-tissue",
            "--dataset",
            "made",
            "--slide",
            "big",
            "--output",
            str(folder / "tissue.tif"),
        )
        print(f"(1/{part}: tissue {tissue.seconds:.1f} s, {tissue.peak_mib:.0f} MiB)", flush=True)
        told = command(
            folder, "infer", "--run", "made", "--slide", "big", "--checkpoint", str(folder / "best.ckpt"),
            "--output", str(folder / "map.tif"), "--tissue", str(folder / "tissue.tif"), "--memory", str(MEMORY_MB),
        )  # fmt: skip
        found = STAGES.search(told.printed)
        if found is None:
            raise RuntimeError(told.printed)
        tiles, total, read, network, write = map(float, found.groups())
        pixels = re.search(r"predicted (\d+) px", told.printed)
        assert pixels is not None
        log = [line for line in told.printed.splitlines() if "as torch in fp32" in line or "views of" in line]
        return [float(pixels[1]), tiles, read, network, write, total, told.seconds, told.peak_mib], log


def main(parts: Sequence[int] = PARTS) -> None:
    """Print the stages at each size, and how time and memory grow."""
    rows, found, told = [], [], []
    for part in parts:
        start = time.perf_counter()
        values, log = measure(part)
        pixels, tiles, read, network, write, total, seconds, peak = values
        busiest = max(read, network, write)
        rows.append(
            (
                f"1/{part}" if part > 1 else "1", pixels / 1e6, int(tiles), read, network, write, total,
                f"{busiest / total:.0%}", seconds, pixels / total / 1e3, peak,
            )
        )  # fmt: skip
        found.append(values)
        told += log
        print(f"(measured in {time.perf_counter() - start:.0f} s)", flush=True)
    if len(found) > 1:
        sizes = [one[0] for one in found]
        by = [f"size^{growth(sizes, [one[place] for one in found]):.2f}" for place in (2, 3, 4, 5)]
        rows.append(
            ("growth", "", "", *by, "", f"size^{growth(sizes, [one[6] for one in found]):.2f}", "",
             f"size^{growth(sizes, [one[7] for one in found]):.2f}")
        )  # fmt: skip
    columns = (
        "of the slide", "Mpx of tissue", "tiles", "read, s", "network, s", "write, s", "all stages, s",
        "slowest stage at work", "whole command, s", "kpx/s", "peak MiB",
    )  # fmt: skip
    where = torch.cuda.get_device_name() if GPU else "processor"
    print(
        Table(f"HookNet(0.5, 8.0), F = {FILTERS}, {where}, --memory {MEMORY_MB}", columns, rows, tuple(told))
    )


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]])
