"""A cohort of a thousand sparse slides through three systems: planned, gone through without work, and run small.

Planned: `snakemake -n`.  Gone through: every job runs, but its command only makes empty files, so what is left is
what Snakemake takes itself.  Run: fifty generated slides to the report.
"""

from __future__ import annotations

import csv
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.table import Process, Table, growth, measured
from benchmarks.workflow import CLASSES, RULES, SNAKEMAKE, finish, planned, slide_id, snakemake
from hooknet.config.layout import phantom_files

SIZES = (100, 300, 1000)
RUN = 50
#: Megabytes that the file of a slide seems to have: bundles go by it.  It is all holes.
FILE_MB = 200
SYSTEMS: dict[str, dict[str, object]] = {
    "unet": {"model": "unet", "spacings": [0.5]},
    "hooknet": {"model": "hooknet", "spacings": [0.5, 8.0]},
    "mrn": {"model": "mrn", "spacings": [0.5, 2.0], "patch_size": 288},
}
SMALL: dict[str, object] = {
    "patch_size": 60,
    "network": {"filters": 2, "depth": 2},
    "train": {
        "epochs": 2, "steps": 5, "batch": 2, "learning_rate": 1e-3, "validation_patches": 10, "threads": 1, "workers": 0
    },
}  # fmt: skip
MACHINE = ("--cores", "2", "--resources", "gpu=1")
#: Stands in for python: makes what is not there of all that a command is told below results/.
STAND_IN = """#!/bin/sh
for word; do
    case $word in
    results/*)
        if [ ! -e "$word" ]; then
            mkdir -p "${word%/*}"
            case ${word##*/} in *.*) : > "$word" ;; *) mkdir -p "$word" ;; esac
        fi ;;
    esac
done
"""


def make_project(folder: Path, slides: int, minutes: float | None) -> None:
    """A cohort of empty files of which a tenth trains, a twentieth validates; ``minutes`` of a bundle."""
    (folder / "data").mkdir(parents=True)
    lines = ["id\tpatient\tsplit"]
    for number in range(slides):
        name = slide_id(number)
        with (folder / "data" / f"{name}.svs").open("wb") as file:
            file.truncate(FILE_MB * 10**6)
        (folder / "data" / f"{name}.xml").touch()
        lines.append(f"{name}\tpatient{number:05d}\t{split(number)}")
    dataset = {
        "files": {"slide": "data/{id}.svs", "annotation": "data/{id}.xml"},
        "slides": "config/slides.tsv",
    }
    write(folder, dataset, {"infer": {"bundle_minutes": minutes}}, SYSTEMS)
    (folder / "config" / "slides.tsv").write_text("\n".join(lines) + "\n")


def make_small_project(folder: Path, slides: int) -> None:
    """A cohort of small generated slides, and small networks."""
    dataset = {
        "phantom": {"size_um": 800, "spacing": 2.0},
        "hole_groups": ["hole"],
        "files": {key: str(path) for key, path in phantom_files("{id}").items()},
        "slides": [{"id": slide_id(one), "split": split(one), "truth": "-"} for one in range(slides)],
        "centres": {"per_class": 50},
    }
    views = {"unet": [2.0], "hooknet": [2.0, 4.0], "mrn": [2.0, 4.0]}
    systems = {name: {**one, "spacings": views[name], "patch_size": 60} for name, one in SYSTEMS.items()}
    write(folder, dataset, {**SMALL, "infer": {"bundle_minutes": 60}}, systems)


def write(
    folder: Path,
    dataset: dict[str, object],
    defaults: dict[str, object],
    systems: dict[str, dict[str, object]],
) -> None:
    """The two configuration files."""
    (folder / "config").mkdir(parents=True)
    classes = {
        name: {"value": value, "colour": f"#10{value}030"} for value, name in enumerate(CLASSES, start=1)
    }
    for name, content in (
        ("datasets", {"datasets": {"cohort": {"classes": classes, **dataset}}}),
        ("experiments", {"defaults": {"dataset": "cohort", **defaults}, "experiments": systems}),
    ):
        (folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def split(number: int) -> str:
    """Of a slide: of every twenty two train, one validates, the rest test."""
    return {0: "training", 1: "training", 2: "validation"}.get(number % 20, "test")


@dataclass(frozen=True)
class Files:
    """What lies below a folder: how many files, how many in the fullest folder, MB they take."""

    count: int
    fullest: int
    megabytes: float


def files_below(folder: Path) -> Files:
    """Count them."""
    counts = [len(names) for _, _, names in os.walk(folder)]
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return Files(sum(counts), max(counts), size / 1e6)


def plan(folder: Path, *options: str) -> Process:
    """The user's dry run of a folder."""
    return snakemake(folder, *MACHINE, "-n", *options)


def plans(minutes: float | None, backend: str) -> list[dict[str, float]]:
    """Of each size: jobs and what planning them takes, before and after all is done; files, fullest folder."""
    found = []
    for slides in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_project(folder, slides, minutes)
            keeping = ("--persistence-backend", backend)
            first = plan(folder, *keeping)
            finish(folder, first.printed, *keeping)
            again = plan(folder, *keeping)
            if planned(again):
                raise SystemExit(f"{planned(again)} jobs although all is done:\n{again.printed[:2000]}")
            results, records = files_below(folder / "results"), files_below(folder / ".snakemake")
            found.append(
                {
                    "slides": slides, "jobs": planned(first), "plan": first.processor_seconds, "mib": first.peak_mib,
                    "again": again.processor_seconds, "again_mib": again.peak_mib, "files": results.count,
                    "fullest": results.fullest, "records": records.count, "records_fullest": records.fullest,
                    "records_mb": records.megabytes,
                }
            )  # fmt: skip
    return found


def gone_through(slides: int, *options: str) -> dict[str, float]:
    """Seconds that Snakemake takes for every job of a cohort when the jobs themselves do next to nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder / "work", slides, 60)
        (folder / "bin").mkdir()
        stand_in = folder / "bin" / "python"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
        environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        start = time.perf_counter()
        with (folder / "log").open("wb") as log:
            done = subprocess.run(
                [
                    sys.executable, "-c", SNAKEMAKE, *RULES, *MACHINE,
                    "--quiet", "rules", "--omit-from", "report", *options,
                ],
                cwd=folder / "work", env=environment, stdout=log, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        seconds = time.perf_counter() - start
        told = (folder / "log").read_text(errors="replace")
        if done.returncode:
            raise SystemExit(told[-3000:])
        jobs = int(re.findall(r"^total +(\d+)$", told, re.MULTILINE)[0])
        return {"slides": slides, "jobs": jobs, "seconds": seconds, "ms": 1000 * seconds / jobs}


def run_small(slides: int) -> dict[str, float]:
    """Generated slides to the report: seconds of the run and of its jobs, what Snakemake takes beside them, files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_small_project(folder, slides)
        start = time.perf_counter()
        snakemake(folder, *MACHINE, "--quiet", "rules")
        seconds = time.perf_counter() - start
        benchmarks = folder / "results" / "benchmarks"
        tables = list(benchmarks.rglob("*.tsv"))
        worked = sum(map(seconds_of, tables))
        bundled = sum(map(seconds_of, (benchmarks / "infer_bundle").rglob("*.tsv")))
        maps = len(list((benchmarks / "unbundle").rglob("*.tsv")))
        results, records = files_below(folder / "results"), files_below(folder / ".snakemake")
        return {
            "slides": slides,
            "jobs": len(tables),
            "s, two jobs at once": seconds,
            "s of all jobs": worked,
            "s a job that two cores were not in one": (2 * seconds - worked) / len(tables),
            "s a map in bundles": bundled / maps,
            "s a map alone": alone(
                folder, [slide_id(one) for one in range(slides) if split(one) == "test"][:5]
            ),
            "files below results/": results.count,
            "MB": results.megabytes,
            "files below .snakemake/": records.count,
            "MB there": records.megabytes,
        }


def seconds_of(table: Path) -> float:
    """What a job took, by its benchmark file."""
    with table.open() as file:
        return sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))


def alone(folder: Path, slides: list[str]) -> float:
    """Seconds a map of the first system, each by a command of its own."""
    run = next(iter(SYSTEMS))
    seconds = 0.0
    for slide in slides:
        own = Path("results", "slides", "cohort", slide)
        seconds += measured(
            "-m", "hooknet", "infer", "--run", run, "--slide", slide,
            "--checkpoint", f"results/runs/{run}/best.ckpt", "--output", f"alone/{slide}.tif",
            "--tissue", str(own / "tissue.tif"), "--labels", str(own / "labels.tif"), cwd=folder,
        ).seconds  # fmt: skip
    return seconds / len(slides)


def main() -> None:
    """Print the tables."""
    separate, bundled, database = plans(None, "file"), plans(60, "file"), plans(60, "db")
    print(
        Table(
            f"Planning a cohort of files of {FILE_MB} MB, three systems",
            ("slides", *(f"{one['slides']:,.0f}" for one in bundled), "growth"),
            [
                row("jobs, each slide by itself", separate, "jobs"),
                row("jobs, slides in bundles of 60 min", bundled, "jobs"),
                row("s to plan, nothing done", bundled, "plan"),
                row("MiB", bundled, "mib"),
                row("s to plan, all done", bundled, "again"),
                row("MiB", bundled, "again_mib"),
                row("... records in a database", database, "again"),
            ],
            ("Processor seconds. Growth is the exponent p of n^p.",),
        )
    )
    print(
        Table(
            "Files when all is done",
            ("slides", *(f"{one['slides']:,.0f}" for one in bundled), "growth"),
            [
                row("files below results/", bundled, "files"),
                row("in the fullest folder", bundled, "fullest"),
                row("files below .snakemake/", bundled, "records"),
                row("in the fullest folder", bundled, "records_fullest"),
                row("MB", bundled, "records_mb"),
                row("... records in a database: files", database, "records"),
                row("MB", database, "records_mb"),
            ],
        )
    )
    ways = {"ilp (Snakemake's default)": (), "greedy": ("--scheduler", "greedy")}
    rows = []
    for name, options in ways.items():
        found = [gone_through(slides, *options) for slides in SIZES[:2]]
        rows.append([name, *(one["ms"] for one in found), growth(SIZES[:2], [one["ms"] for one in found])])
    print(
        Table(
            "ms a job that Snakemake takes itself, two at once",
            ("scheduler", *(f"{slides} slides" for slides in SIZES[:2]), "growth"),
            rows,
        )
    )
    done = run_small(RUN)
    print(Table(f"{RUN} generated slides to the report", ("what", "found"), list(done.items())))


def row(name: str, found: list[dict[str, float]], key: str) -> list[str | float | int]:
    """A row of a table by size, and its growth."""
    values = [one[key] for one in found]
    return [name, *values, growth(SIZES, values)]
