"""``kill -9`` at random instants over every step of the pipeline, and the same command again.

``python tests/fault_kills.py`` (`make faults`) tells step by step how many were survived.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import fault_hooks
import fault_jobs
import fault_projects
import made_workflow
from fault_jobs import Job
from made_workflow import ENVIRONMENT, command, snakemake

#: What may differ from an undisturbed run: times and what was said, files of Snakemake's own, locks without content.
TOLD = ("logs", "benchmarks")
OWN = re.compile(r"\.snakemake_timestamp|\..*\.lock")
#: Of the report: seconds and memory of each step, which come from benchmarks, and the commit, which whoever works at it
#: changes.
TABLES = re.compile(
    r"<details><summary>(?:Time and memory of each step|The pipeline that ran)\b.*?</details>", re.DOTALL
)
#: What an unfinished command keeps to go on from: the state of a training, the tiles of a map.
KEPT = re.compile(r"^results/runs/[^/]+/state/|/\.[^/]*\.tiles(/|$)")
#: What a killed one may leave besides: neighbours of its outputs.
LEFT = re.compile(r"/\.[^/]*\.partial(\.[^/]*)?$|" + KEPT.pattern)
TRIES = 30
#: Renames of a job for each of its outputs that are thought of; where there are fewer, one of those.
MOST_RENAMES = 4


def contents(folder: Path) -> dict[str, str]:
    """Every file below results and a digest of what it holds, without what may differ."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[1] not in TOLD and not OWN.fullmatch(path.name):
            found[str(name)] = hashlib.sha256(_judged(path)).hexdigest()
    return found


def _judged(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name == "summary.json":
        summary = json.loads(content)
        del summary["provenance"]["steps"], summary["provenance"]["code"]
        return json.dumps(summary).encode()
    if path.name == "index.html":
        return TABLES.sub("", content.decode("utf-8")).encode()
    return content


def differences(folder: Path, wanted: dict[str, str]) -> list[str]:
    """What is there, is missing or is another than in an undisturbed run."""
    found = contents(folder)
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


class Harm(AssertionError):
    """What a kill has done that it must not."""


Kill = Callable[[Path, Job, random.Random], str]


def kill_once(folder: Path, job: Job, wanted: dict[str, str], rng: random.Random, kill: Kill) -> str:
    """Kill a job, do it again, and compare; the instant in words.

    Harm when a file is there under its name that is not whole, or the end is another than that of ``wanted``.
    """
    at = kill(folder, job, rng)
    half = [
        name for name in differences(folder, wanted) if (folder / name).exists() and not LEFT.search(name)
    ]
    if half:
        raise Harm(f"{job.words}: killed at {at}, there and not whole: {half}")
    fault_jobs.run(folder, job)
    other = differences(folder, wanted)
    if other:
        raise Harm(f"{job.words}: killed at {at} and done again: {other} are others")
    return at


def at_any_time(seconds: float) -> Kill:
    """At an instant drawn evenly from the ``seconds`` that the job takes."""

    def kill(folder: Path, job: Job, rng: random.Random) -> str:
        last = seconds
        for _ in range(TRIES):
            at = rng.uniform(0, last)
            started = _started(folder, job)
            time.sleep(max(0.0, started.begun + at - time.monotonic()))
            started.kill()
            if started.process.exitcode == -signal.SIGKILL:
                return f"{at:.2f} s"
            last = at  # it has ended: it is not always so slow
        raise Harm(f"{job.words}: was never caught at work")

    return kill


def at_a_rename(folder: Path, job: Job, rng: random.Random) -> str:
    """Just before or just after a file takes its place, which an instant drawn from seconds seldom meets."""
    last, after = len(job.outputs) * MOST_RENAMES, bool(rng.randrange(2))
    while last:
        number = rng.randint(1, last)
        held = fault_jobs.Held(before=partial(fault_hooks.die_at_rename, number, after))
        status, _ = _started(folder, job, held).wait()
        if status == -signal.SIGKILL:
            return f"{'after' if after else 'before'} #{number}"
        last = number - 1
    raise Harm(f"{job.words}: no file takes its place")


def _started(folder: Path, job: Job, held: fault_jobs.Held = fault_jobs.FREE) -> fault_jobs.Started:
    # Compiled models of another try would spare it work.
    shutil.rmtree(folder / "cache", ignore_errors=True)
    job.prepare(folder)
    return fault_jobs.start(folder, job.words, Path(job.log), held)


def chosen(jobs: Sequence[Job], instants: int, rng: random.Random) -> list[Job]:
    """A job for each instant: every step as often as any other, give or take one; which of its jobs is chance."""
    by_step: dict[str, list[Job]] = {}
    for job in jobs:
        by_step.setdefault(job.step, []).append(job)
    steps: list[str] = []
    while len(steps) < instants:
        steps += rng.sample(sorted(by_step), min(len(by_step), instants - len(steps)))
    return [rng.choice(by_step[step]) for step in sorted(steps)]


def kill_runs(folder: Path, kills: int, longest: float, rng: random.Random) -> Iterator[tuple[float, int]]:
    """Start a run again and again, as a user would, and kill all of it at a random instant up to ``longest`` seconds.

    Each time the instant, and how many jobs were cut off.  At last the run is let go on to its end.
    """
    for _ in range(kills):
        begun = time.monotonic()
        process = subprocess.Popen(
            command(), cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, longest))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        yield time.monotonic() - begun, _cut_off(folder)
    found = snakemake(folder)
    if found.returncode:
        raise Harm(found.stdout)


def _cut_off(folder: Path) -> int:
    """Outputs that Snakemake holds for unfinished."""
    return sum(path.is_file() for path in (folder / ".snakemake" / "incomplete").rglob("*"))


def of_steps(folder: Path, instants: int, renames: int, rng: random.Random) -> list[str]:
    """Kill steps at so many instants, and so often where a file takes its place; what went wrong, a line each."""
    fault_projects.write(folder)
    jobs = fault_jobs.planned(folder)
    print(f"an undisturbed run: {len(jobs)} jobs ...", flush=True)
    seconds = fault_jobs.run_all(folder, jobs)
    wanted = contents(folder)
    shutil.copytree(folder / "results", folder / "undisturbed")
    kills = [(job, at_any_time(seconds[job])) for job in chosen(jobs, instants, rng)]
    kills += [(job, at_a_rename) for job in chosen(jobs, renames, rng)]
    harms: list[str] = []
    survived: dict[str, list[str]] = {}
    for number, (job, kill) in enumerate(kills, start=1):
        try:
            survived.setdefault(job.step, []).append(kill_once(folder, job, wanted, rng, kill))
        except AssertionError as harm:
            harms.append(f"{job.step}: {harm}")
            shutil.rmtree(folder / "results")
            shutil.copytree(folder / "undisturbed", folder / "results")
        print(f"\r{number} of {len(kills)} kills", end="", file=sys.stderr, flush=True)
    print(f"\n{'step':<22}{'jobs':>6}{'kills':>7}{'survived':>10}  at")
    for step in dict.fromkeys(job.step for job in jobs):
        among = sum(job.step == step for job in jobs)
        killed = sum(job.step == step for job, _ in kills)
        at = survived.get(step, [])
        print(f"{step:<22}{among:>6}{killed:>7}{len(at):>10}  {', '.join(at)}")
    print(
        f"{'all':<22}{len(jobs):>6}{len(kills):>7}{len(kills) - len(harms):>10}; {len(wanted)} files compared"
    )
    return harms


def of_runs(
    folder: Path, wanted: dict[str, str], kills: int, longest: float, rng: random.Random
) -> list[str]:
    """Kill a run of Snakemake on the tiny configuration again and again; what went wrong."""
    told: list[tuple[float, int]] = []
    harms: list[str] = []
    begun = time.monotonic()
    while len(told) < kills and not harms:
        # Again from nothing where one has come to its end before it was killed as often as wanted.
        for left in ("results", ".snakemake"):
            shutil.rmtree(folder / left, ignore_errors=True)
        made_workflow.write(folder)
        told += kill_runs(folder, kills - len(told), longest, rng)
        harms += [f"runs: {name} is another" for name in differences(folder, wanted)]
    lines = [f"{at:.1f} s ({cut} files cut off)" for at, cut in told]
    print(f"a run of Snakemake killed {len(told)} times: after {', '.join(lines)}")
    print(f"its end after {time.monotonic() - begun:.0f} s in all; {len(wanted)} files compared")
    return harms


def undisturbed(folder: Path) -> dict[str, str]:
    """What a run of the tiny configuration comes to."""
    made_workflow.write(folder)
    fault_jobs.run_all(folder, fault_jobs.planned(folder))
    return contents(folder)


def main() -> None:
    """Exit status 1 where a kill has done harm."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--instants", type=int, default=100, help="kills of commands, shared out among steps"
    )
    options.add_argument(
        "--renames", type=int, default=54, help="kills where a file takes its place, likewise"
    )
    options.add_argument("--runs", type=int, default=10, help="kills of a run of Snakemake")
    options.add_argument("--longest", type=float, default=30, help="s until such a kill at most")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = options.parse_args()
    print(f"--seed {asked.seed}", flush=True)
    rng = random.Random(asked.seed)
    harms: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        steps, other, runs = (Path(place, name) for name in ("steps", "undisturbed", "runs"))
        for folder in (steps, other, runs):
            folder.mkdir()
        if asked.instants or asked.renames:
            harms += of_steps(steps, asked.instants, asked.renames, rng)
        if asked.runs:
            harms += of_runs(runs, undisturbed(other), asked.runs, asked.longest, rng)
    print("\n".join(harms) or "no harm")
    raise SystemExit(bool(harms))


if __name__ == "__main__":
    main()
