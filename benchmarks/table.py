"""What all benchmarks share: tables, ratios within one run, processes measured from outside, growth."""

from __future__ import annotations

import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

Cell = str | float | int
MIB = 2**20


@dataclass(frozen=True)
class Table:
    """Rows under a title, printed as Markdown; ``notes`` are sentences below it."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"### {self.title}", ""]
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|:--|" + "--:|" * (len(self.columns) - 1))
        lines += ["| " + " | ".join(_told(cell) for cell in row) + " |" for row in self.rows]
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines) + "\n"


def _told(cell: Cell) -> str:
    """Three significant digits, whole numbers from 1,000 on."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return f"{cell:.3g}"


def machine() -> str:
    """Processor, what it computes with, and versions: what a figure was measured on."""
    names = ("hooknet", "numpy", "openslide-bin", "openvino", "rasterio", "snakemake", "torch")
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, "
        f"Python {platform.python_version()}, {', '.join(found)}"
    )


def _processor() -> str:
    """The model's name, and which of the vector instructions that matter here it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    told = {key.strip(): value.strip() for key, value in lines.items()}
    flags = set(told.get("flags", "").split())
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return f"{told.get('model name', platform.machine())} ({' '.join(one for one in wanted if one in flags)})"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Each measure once a round, one after the other: what drifts on the machine falls on all alike."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for place, measure in zip(found, measures, strict=True):
            place.append(measure())
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios round by round."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


@dataclass(frozen=True)
class Process:
    """A finished process: wall and processor seconds, the most memory it held (MiB), what it printed."""

    seconds: float
    processor_seconds: float
    peak_mib: float
    printed: str


def measured(*arguments: str, cwd: Path | None = None) -> Process:
    """Run ``python ARGUMENTS`` and measure it from outside; its errors end the benchmark."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, cwd=cwd, env=_environment()
    )
    assert child.stdout is not None
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"python {' '.join(arguments)}: exit status {child.returncode}\n{printed}")
    return Process(
        time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed
    )


def _environment() -> dict[str, str]:
    """The repository on the path, wherever the process runs."""
    root = str(Path(__file__).resolve().parents[1])
    there = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": root if there is None else f"{root}{os.pathsep}{there}"}


def peak_mib() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_mib() -> float:
    """The memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def growth(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Exponent p of value ~ size^p, least squares on logarithms: 1 is linear, 0 does not grow."""
    x = [math.log(one) for one in sizes]
    y = [math.log(max(one, 1e-9)) for one in values]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)
