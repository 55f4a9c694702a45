"""A slide of 100,000 x 80,000 px at 0.25 µm/px, a quarter tissue, through H2G-Net: patches, then the slide as a whole.

With a level at 1.0 µm/px, which patches are read from, and without.  MobileNetV2 on 256 px at 1.0 µm/px and the U-Net
on 1024 px, weights drawn at random; the tissue mask is there before.  ``python -m benchmarks.staged with`` does the
slide with the level alone, ``without`` the other.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.gigapixel import FACTORS, HEIGHT, WIDTH, write_slide
from benchmarks.table import Process, Table, measured
from hooknet.config.project import load_project
from hooknet.inference.classifying import random_classifier
from hooknet.inference.refining import random_refiner
from hooknet.inference.timing import TIMES
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

KINDS = {"with": FACTORS, "without": (1, 16)}
REPEATS = 3
THREADS = 2
STAGES = re.compile(
    r"(\d+) (?:patches|slide) in ([\d.]+) s: read ([\d.]+) s.*?network ([\d.]+) s.*?write ([\d.]+) s"
)


def prepare(folder: Path, kind: str) -> None:
    """A project with one slide, a patch classifier and a refiner."""
    slide = folder / "slide.tif"
    write_slide(slide, WIDTH, HEIGHT, factors=KINDS[kind])
    classes = {
        "benign": {"value": 1, "colour": "#0000ff"},
        "tumour": {"value": 2, "colour": "#ff0000"},
    }
    rows = [{"id": "big", "slide": str(slide), "split": "test"}]
    common = {"dataset": "made", "train": {"threads": THREADS}}
    experiments = {
        "patches": {
            **common, "model": "classifier", "spacing": 1.0, "patch_size": 256,
            "checkpoint": str(folder / "patches.ckpt"),
        },
        "h2g": {
            **common, "model": "refiner", "parent": "patches", "foreground": ["tumour"], "heat_maps": "in_sample",
            "checkpoint": str(folder / "h2g.ckpt"),
        },
    }  # fmt: skip
    (folder / "datasets.yaml").write_text(
        yaml.safe_dump({"datasets": {"made": {"classes": classes, "slides": rows}}})
    )
    (folder / "experiments.yaml").write_text(yaml.safe_dump({"experiments": experiments}))
    project = load_project(folder / "datasets.yaml", folder / "experiments.yaml")
    for name, make in (("patches", random_classifier), ("h2g", random_refiner)):
        run = project.run(name)
        save_checkpoint(folder / f"{name}.ckpt", make(run), checkpoint_spec(run, ()))


def command(folder: Path, *arguments: str) -> Process:
    """A hooknet command on the project, measured; its log is printed to a file."""
    files = ["--datasets", str(folder / "datasets.yaml"), "--experiments", str(folder / "experiments.yaml")]
    code = "import sys; sys.stderr = sys.stdout; from hooknet.cli.main import main; main()"
    return measured("-c", code, *arguments, *files)


def main(kinds: Sequence[str] = tuple(KINDS)) -> None:
    """Print the seconds of the stages, and what each of the steps took in the first run."""
    rows, steps, notes = [], [], []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepare(folder, kind)
            tissue = folder / "tissue.tif"
            found = command(
                folder, "detect-tissue", "--dataset", "made", "--slide", "big", "--output", str(tissue)
            )
            told = command(
                folder, "time-stages", "--run", "h2g", "--slide", "big", "--tissue", str(tissue),
                "--checkpoint", str(folder / "h2g.ckpt"), "--parent-checkpoint", str(folder / "patches.ckpt"),
                "--repeats", str(REPEATS), "--output", str(folder / "times.csv"),
            )  # fmt: skip
            times = [
                dict(zip(TIMES.columns, row, strict=True)) for _, row in TIMES.read(folder / "times.csv")
            ]
        print(
            f"({kind}: measured in {told.seconds:.0f} s)",
            *told.printed.splitlines()[-5:],
            sep="\n",
            flush=True,
        )
        seconds = {one["stage"]: f"{float(one['mean_s']):.2f} ± {float(one['sd_s']):.2f}" for one in times}
        each = told.processor_seconds / (REPEATS + 1)
        rows.append(
            (
                f"{kind} a level at 1.0 µm/px", int(times[0]["patches"]), seconds["patch-wise"],
                seconds["refinement"], seconds["total"], each, told.peak_mib, found.seconds,
            )
        )  # fmt: skip
        for stage, step in zip(("patch-wise", "refinement"), STAGES.findall(told.printed)[:2], strict=True):
            steps.append((f"{kind}: {stage}", *map(float, step[2:]), float(step[1])))
        notes += [line for line in told.printed.splitlines() if "fp32" in line and "INFO" in line]
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"processor, {THREADS} threads"
    columns = (
        "slide", "patches", "patch-wise, s", "refinement, s", "total, s", "processor seconds a run", "peak MiB",
        "tissue beside it, s",
    )  # fmt: skip
    print(
        Table(
            f"H2G-Net on {WIDTH:,} x {HEIGHT:,} px, {where}, {REPEATS} repeats", columns, rows, tuple(notes)
        )
    )
    title = "What was at work in the warm-up (compiling is network's)"
    print(Table(title, ("stage", "read, s", "network, s", "write, s", "all, s"), steps))


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(KINDS))
