"""What Snakemake takes to plan a cohort: `snakemake -n` before anything is done and when all is, and its growth."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import yaml

from benchmarks.table import Cell, Process, Table, growth, measured
from hooknet.config.layout import splits_sheet

ROOT = Path(__file__).resolve().parents[1]
#: Snakemake as it is, but for the tenth of a second that `--touch` sleeps for every job.
SNAKEMAKE = (
    "from snakemake.executors.touch import Executor; Executor.SLEEPING_TIME = 0; "
    "from snakemake.cli import main; main()"
)
PLAN = "-n"
START = "rules read (--list-rules)"
RULES = ("--snakefile", str(ROOT / "Snakefile"))
MACHINE = ("--cores", "2", "--resources", "gpu=1")
#: So large that the scheduler has nothing to choose: it goes through all jobs that are ready each time it does.
NO_LIMITS = ("--cores", "100000", "--resources", "gpu=100000", "mem_mb=1000000000", "--scheduler", "greedy")
SIZES = (62, 250, 1000)
CLASSES = ("stroma", "fat", "in_situ", "invasive", "lymphoid")
HOOKNETS = ((0.5, 2.0), (0.5, 4.0), (0.5, 8.0), (1.0, 4.0), (1.0, 8.0), (2.0, 8.0))
UNETS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Of every ten slides.
SPLITS = ("training",) * 6 + ("validation",) * 2 + ("test",) * 2


def experiments() -> dict[str, dict[str, object]]:
    """Twelve systems such as the paper compares: five U-Nets, six HookNets, an MRN."""
    found: dict[str, dict[str, object]] = {
        f"unet_{spacing}": {"model": "unet", "spacings": [spacing]} for spacing in UNETS
    }
    for pair in HOOKNETS:
        found[f"hooknet_{pair[0]}_{pair[1]}"] = {"model": "hooknet", "spacings": list(pair)}
    found["mrn_0.5_2.0"] = {"model": "mrn", "spacings": [0.5, 2.0], "patch_size": 288}
    return found


def slide_id(number: int) -> str:
    """The id of a slide of the cohort."""
    return f"slide{number:05d}"


def make_project(folder: Path, slides: int, splits: dict[str, object] | None = None) -> None:
    """A cohort of empty files, a sheet, twelve experiments; splits 60/20/20 in the sheet, or made as ``splits`` say."""
    (folder / "config").mkdir()
    (folder / "data").mkdir()
    lines = ["id\tpatient" + ("" if splits else "\tsplit")]
    for number in range(slides):
        name = slide_id(number)
        for suffix in ("svs", "xml"):
            (folder / "data" / f"{name}.{suffix}").touch()
        lines.append(f"{name}\tpatient{number:05d}" + ("" if splits else f"\t{SPLITS[number % len(SPLITS)]}"))
    (folder / "config" / "slides.tsv").write_text("\n".join(lines) + "\n")
    dataset: dict[str, object] = {
        "classes": {
            name: {"value": value, "colour": f"#10{value}030"} for value, name in enumerate(CLASSES, start=1)
        },
        "files": {"slide": "data/{id}.svs", "annotation": "data/{id}.xml"},
        "slides": "config/slides.tsv",
    }
    if splits:
        dataset["splits"] = splits
    for name, content in (
        ("datasets", {"datasets": {"cohort": dataset}}),
        ("experiments", {"defaults": {"dataset": "cohort"}, "experiments": experiments()}),
    ):
        (folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def plan(folder: Path, *options: str) -> Process:
    """The user's `snakemake -n` in a project, and what it took."""
    return snakemake(folder, *MACHINE, "-n", *options)


def snakemake(folder: Path, *options: str) -> Process:
    """Snakemake with the repository's rules in a project, and what it took."""
    return measured("-c", SNAKEMAKE, *RULES, *options, cwd=folder)


def planned(process: Process) -> int:
    """The number of jobs in the last table of a dry run, 0 where nothing is to be done."""
    totals = re.findall(r"^total +(\d+)$", process.printed, re.MULTILINE)
    return int(totals[-1]) if totals else 0


def finish(folder: Path, dry_run: str, *options: str) -> None:
    """Make an empty file of every output that a dry run names, and have Snakemake record how each was made."""
    for line in re.findall(r"^    output: (.*)$", dry_run, re.MULTILINE):
        for output in map(Path, line.split(", ")):
            (folder / output).parent.mkdir(parents=True, exist_ok=True)
            if output.suffix:
                (folder / output).touch()
            else:
                (folder / output).mkdir(exist_ok=True)
    snakemake(folder, *NO_LIMITS, "--touch", "--forceall", "--quiet", "all", *options)


def write_splits(folder: Path, slides: int) -> None:
    """The sheet that make-splits would write, 60/20/20."""
    rows = [f"{slide_id(number)}\t\t{SPLITS[number % len(SPLITS)]}" for number in range(slides)]
    sheet = folder / splits_sheet("cohort")
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text("\n".join(["id\tfold\tsplit", *rows]) + "\n")


def measure(slides: int) -> dict[str, tuple[int, Process]]:
    """Every plan of a cohort: what is planned -> the number of jobs, and what it took."""
    found: dict[str, tuple[int, Process]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder, slides)
        found["both files read and checked (hooknet check)"] = (
            0,
            measured("-m", "hooknet", "check", cwd=folder),
        )
        found[START] = 0, snakemake(folder, "--list-rules")
        first = plan(folder)
        found[f"{PLAN}, nothing done"] = planned(first), first
        finish(folder, first.printed)
        again = plan(folder)
        if planned(again):
            raise SystemExit(
                f"{planned(again)} jobs are planned although all is done:\n{again.printed[:2000]}"
            )
        found[f"{PLAN}, all done"] = 0, again
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder, slides, {"ratios": {"training": 0.6, "validation": 0.2, "test": 0.2}})
        before = plan(folder)
        found[f"{PLAN}, splits to be made"] = planned(before), before
        write_splits(folder, slides)
        finish(folder, before.printed, "--until", "make_splits")
        after = plan(folder)
        found[f"{PLAN}, splits made"] = planned(after), after
    return found


def main() -> None:
    """Print what each plan takes at the largest size, and how all grow."""
    sizes = [measure(slides) for slides in SIZES]
    largest = sizes[-1]
    starts = [one[START][1] for one in sizes]
    print(
        Table(
            f"{SIZES[-1]:,} slides, twelve experiments",
            ("what", "jobs", "seconds", "processor seconds", "ms a job", "peak MiB"),
            [
                (
                    name,
                    jobs,
                    process.seconds,
                    process.processor_seconds,
                    1000 * process.processor_seconds / jobs if jobs else "",
                    process.peak_mib,
                )
                for name, (jobs, process) in largest.items()
            ],
            (
                "Slides and annotations are empty files; splits are 60/20/20, in the sheet unless they are made.",
            ),
        )
    )
    print(
        Table(
            f"Processor seconds and MiB for {', '.join(map(str, SIZES))} slides",
            (
                "what",
                *(f"s at {slides}" for slides in SIZES),
                "beyond reading the rules",
                *(f"MiB at {slides}" for slides in SIZES),
                "all of it",
            ),
            [grown(name, [one[name][1] for one in sizes], starts) for name in largest],
            (
                "Growth is the exponent p of n^p, of what comes after the start for time, and of all of it for memory.",
            ),
        )
    )


def grown(name: str, processes: list[Process], starts: list[Process]) -> list[Cell]:
    """A row of the table of growth; from the time of a plan goes what reading the rules alone takes."""
    seconds = [one.processor_seconds for one in processes]
    after = [one - start.processor_seconds for one, start in zip(seconds, starts, strict=True)]
    mib = [one.peak_mib for one in processes]
    return [name, *seconds, growth(SIZES, after) if name.startswith(PLAN) else "", *mib, growth(SIZES, mib)]
