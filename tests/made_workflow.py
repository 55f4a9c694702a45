"""Snakemake run on a tiny generated cohort."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from hooknet.config.layout import phantom_files

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

CLASSES = ("stroma", "fat", "in_situ", "invasive", "lymphoid")
SYSTEMS = ("unet", "hooknet", "mrn")
DATASET: dict = {
    "phantom": {"size_um": 800, "spacing": 2.0},
    "classes": {
        name: {"value": value, "colour": f"#10{value}030"} for value, name in enumerate(CLASSES, start=1)
    },
    "hole_groups": ["hole"],
    "files": {key: str(path) for key, path in phantom_files("{id}").items()},
    "slides": [
        {"id": "a1", "split": "training", "truth": "-"},
        {"id": "b1", "split": "validation", "truth": "-"},
        {"id": "c1", "split": "test"},
    ],
    "centres": {"per_class": 50},
}
DATASET["classes"]["lymphoid"]["objects"] = {"min_area_um2": 500}
EXPERIMENTS = {
    "defaults": {
        "dataset": "tiny",
        "patch_size": 60,
        "network": {"filters": 2, "depth": 2},
        "train": {
            "epochs": 2, "steps": 5, "batch": 2, "learning_rate": 1e-3, "validation_patches": 10, "threads": 1,
            "workers": 0,
        },
        "infer": {"tile": 252},
    },
    "experiments": {
        "unet": {
            "model": "unet", "spacings": [2.0], "infer": {"probabilities": True, "exports": ["geojson", "asap"]},
        },
        "hooknet": {"model": "hooknet", "spacings": [2.0, 4.0], "loss_weights": [0.75, 0.25]},
        "mrn": {"model": "mrn", "spacings": [2.0, 4.0]},
    },
}  # fmt: skip


def write(folder: Path, experiments: dict | None = None) -> None:
    """The two configuration files where the workflow looks for them."""
    (folder / "config").mkdir(exist_ok=True)
    for name, content in (
        ("datasets", {"datasets": {"tiny": DATASET}}),
        ("experiments", experiments or EXPERIMENTS),
    ):
        (folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def command(*options: str, snakefile: Path = ROOT / "Snakefile") -> list[str]:
    return [str(BIN / "snakemake"), "-s", str(snakefile), "--cores", "2", "--resources", "gpu=1", *options]


def snakemake(
    folder: Path, *options: str, snakefile: Path = ROOT / "Snakefile"
) -> subprocess.CompletedProcess[str]:
    """The user's command in a folder, to its end."""
    return subprocess.run(
        command(*options, snakefile=snakefile),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def jobs(folder: Path, *options: str, snakefile: Path = ROOT / "Snakefile") -> dict[str, int]:
    """Rule -> number of its jobs that a run would have; {} when there is nothing to be done."""
    found = snakemake(folder, "-n", "--quiet", "rules", *options, snakefile=snakefile)
    assert found.returncode == 0, found.stdout
    table = re.findall(r"^Job stats:\n.*?\n-+.*?\n(.*?)\n\n", found.stdout, re.MULTILINE | re.DOTALL)
    if not table:
        return {}
    counts = {line.split()[0]: int(line.split()[1]) for line in table[-1].splitlines()}
    counts.pop("total")
    counts.pop("default", None)
    counts.pop("all", None)
    return counts
