"""Snakemake run on a SLURM cluster, by profiles/slurm as it is shipped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_workflow
from made_workflow import BIN, ENVIRONMENT, ROOT

#: The profile's paths start where snakemake runs; and nobody waits 40 s for the first look at a job of 5 s.
OPTIONS = (
    "--profile", str(ROOT / "profiles" / "slurm"),
    "--slurm-partition-config", str(ROOT / "profiles" / "slurm" / "partitions.yaml"),
    "--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2", "--latency-wait", "10",
)  # fmt: skip


def start(folder: Path, *options: str, experiments: dict[str, Any] | None = None) -> subprocess.Popen[bytes]:
    made_workflow.write(folder, experiments)
    words = [str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), *OPTIONS, *options]
    with (folder / "run.log").open("wb") as log:
        return subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)


def end(run: subprocess.Popen[bytes], folder: Path, between: Callable[[], None], limit: float = 1800) -> None:
    """Wait for the end of a run; ``between`` is done again and again until then."""
    last = time.monotonic() + limit
    try:
        while run.poll() is None and time.monotonic() < last:
            between()
            time.sleep(0.3)
        assert run.poll() == 0, (folder / "run.log").read_text()[-4000:]
    finally:
        run.kill()
        run.wait()


def rule_of(job: dict[str, str]) -> str:
    return job.get("Comment", "").removeprefix("rule_").split("_wildcards_")[0]
