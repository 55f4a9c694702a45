"""Where the numbers come from: versions, commit, checksums, seeds, time and memory."""

from __future__ import annotations

import csv
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd

import hooknet
from hooknet.config import layout
from hooknet.config.project import Project
from hooknet.config.run import DenseRun, Run
from hooknet.io.checksums import sha256_of
from hooknet.report.data import Provenance

LIBRARIES = (
    "torch",
    "lightning",
    "openslide-python",
    "openslide-bin",
    "rasterio",
    "shapely",
    "numpy",
    "scipy",
    "statsmodels",
    "snakemake",
)
# Columns of Snakemake's benchmark files: seconds, and the largest resident set in MiB.
SECONDS, MEMORY = "s", "max_rss"
MAX_CHANGED = 8
UNKNOWN = "not known: git failed"
PACKAGE = Path(hooknet.__file__).resolve().parent


def provenance(project: Project, dataset: str, runs: Sequence[Run], benchmarks: Path) -> Provenance:
    """What made the results of a dataset; ``benchmarks`` is the workflow's folder of benchmark files."""
    settings = project.dataset(dataset)
    seeds = {f"weights and patches of {run.name}": str(run.seed) for run in runs}
    seeds |= {"patch centres": str(settings.centres.seed), "cohorts of the intervals": "1"}
    if settings.splits is not None:
        seeds["splits"] = str(settings.splits.seed)
    if settings.phantom is not None:
        seeds["phantom"] = str(settings.phantom.seed)
    files = [project.datasets_file, project.experiments_file, layout.splits_sheet(dataset)]
    members = [one for run in runs if isinstance(run, DenseRun) for one in run.members]
    weights = dict.fromkeys([*(run.weights for run in runs), *members])
    slides = {one.id for one in settings.slides}
    return Provenance(
        versions=_versions(),
        code=commit(PACKAGE.parent),
        files={
            str(path): sha256_of(path) for path in (*files, *weights) if path is not None and path.is_file()
        },
        seeds=seeds,
        steps=steps(benchmarks, dataset, {run.name for run in runs}, slides),
    )


def _versions() -> dict[str, str]:
    return {
        "hooknet": hooknet.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def commit(folder: Path) -> dict[str, str]:
    """The commit of the repository whose root is ``folder``, and which of its files differ from it or are new.

    Empty if it is none.
    """
    if not (folder / ".git").exists():
        return {}
    head = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--", "hooknet", "workflow", "Snakefile", "config")
    if head is None or status is None:
        return {"commit": head or UNKNOWN, "changed since": UNKNOWN}
    changed = [line[3:] for line in status.splitlines()]
    more = f" and {len(changed) - MAX_CHANGED} more files" if len(changed) > MAX_CHANGED else ""
    return {"commit": head, "changed since": (", ".join(changed[:MAX_CHANGED]) or "nothing") + more}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, None where it fails or is not there."""
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.rstrip("\n") if found.returncode == 0 else None


def steps(folder: Path, dataset: str, runs: Iterable[str], slides: Iterable[str]) -> pd.DataFrame:
    """Jobs, seconds in all, longest job and largest memory of each step, from ``folder``/<step>/**/*.tsv.

    Only jobs of this dataset, its runs and its slides; a job that has not ended has no file.
    """
    owners, names = {dataset, *runs}, {dataset, *runs, *slides}
    rows = []
    for step in sorted(one for one in folder.glob("*") if one.is_dir()):
        files = [path.relative_to(step) for path in sorted(step.rglob("*.tsv"))]
        # <step>/<dataset or run>/<slide>.tsv, or <step>/<dataset, run or slide>.tsv
        own = [one for one in files if one.parts[0] in owners or (len(one.parts) == 1 and one.stem in names)]
        jobs = [job for one in own for job in _job(step / one)]
        if jobs:
            seconds, memory = zip(*jobs, strict=True)
            rows.append(
                {
                    "step": step.name.replace("_", "-"),
                    "jobs": len(jobs),
                    "seconds in all": round(sum(seconds), 1),
                    "longest job (s)": round(max(seconds), 1),
                    "largest memory (MiB)": round(max(memory)),
                }
            )
    return pd.DataFrame(rows)


def _job(path: Path) -> list[tuple[float, float]]:
    """Seconds and MiB of each try of a job; 0 MiB where it was too short for Snakemake to tell."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(float(row[SECONDS]), _number(row[MEMORY])) for row in csv.DictReader(file, delimiter="\t")]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # NA, -
        return 0.0
