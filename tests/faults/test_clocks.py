"""Clocks that are wrong: a time of day that leaps, and files that are of tomorrow or of years ago."""

import os
import random
from functools import partial
from pathlib import Path

import fault_hooks
import fault_jobs
import pytest
from made_workflow import jobs, snakemake

DAY = 86_400
#: Those that wait, lock, or keep a state; and the one whose page could tell a date.
STEPS = ("rasterise", "train", "infer", "report")
#: Snakemake compares what small files hold before it goes by their times; large ones are what slides and maps are.
BY_TIMES = ("--rerun-triggers", "mtime", "--max-checksum-file-size", "0")


def test_leaping_time_of_day_changes_no_result_and_keeps_nobody_waiting(project):
    rng = random.Random(1)
    for job in (next(one for one in project.jobs if one.step == step) for step in STEPS):
        job.prepare(project.folder)
        held = fault_jobs.Held(before=partial(fault_hooks.leaping_clock, rng.randrange(1000)))
        status, _ = fault_jobs.start(project.folder, job.words, Path(job.log), held).wait(60)
        assert status == 0, (project.folder / job.log).read_text()
    assert project.differences() == []


def shift(paths, days):
    for path in paths:
        about = path.stat()
        moved = days * DAY * 10**9
        os.utime(path, ns=(about.st_atime_ns + moved, about.st_mtime_ns + moved))


def after_the_map(**more):
    chain = ("measure_boundaries", "quantify", "detect_objects", "match_objects", "compare", "report")
    return dict.fromkeys(chain, 1) | {"evaluate": 2} | more


@pytest.mark.slow
@pytest.mark.parametrize(("days", "again"), [(1, after_the_map()), (-4000, after_the_map(infer=1))])
def test_map_of_another_day_is_followed_by_the_same_results(project, days, again):
    chosen = project.folder / "results" / "runs" / "hooknet" / "maps" / "c1.tif"
    shift([chosen], days)
    assert jobs(project.folder, "--rerun-triggers", "mtime") == {}, "small: it holds what it held"
    assert jobs(project.folder, *BY_TIMES) == again
    found = snakemake(project.folder, *BY_TIMES)
    assert found.returncode == 0, found.stdout
    assert project.differences() == []
    # A map of tomorrow stays newer than what is made of it today.
    assert jobs(project.folder, *BY_TIMES) == (again if days > 0 else {})


@pytest.mark.slow
def test_run_whose_clock_was_set_back_by_years_is_taken_as_it_is(project):
    shift([path for path in (project.folder / "results").rglob("*") if path.is_file()], -4000)
    assert jobs(project.folder) == {}
