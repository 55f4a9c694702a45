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
MAP = "results/runs/hooknet/maps/c1.tif"
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
def test_map_of_years_ago_is_made_again_and_all_that_follows_is_the_same(project):
    shift([project.folder / MAP], -4000)
    assert jobs(project.folder, "--rerun-triggers", "mtime") == {}, "small: it holds what it held"
    assert jobs(project.folder, *BY_TIMES) == after_the_map(infer=1)
    found = snakemake(project.folder, *BY_TIMES)
    assert found.returncode == 0, found.stdout
    assert project.differences() == []
    assert jobs(project.folder, *BY_TIMES) == {}


@pytest.mark.slow
def test_map_of_tomorrow_is_refused_until_its_time_is_right(project):
    """By Snakemake: what is made of it today would be made again the next time."""
    shift([project.folder / MAP], 1)
    assert jobs(project.folder, "--rerun-triggers", "mtime") == {}, "small: it holds what it held"
    assert jobs(project.folder, *BY_TIMES) == after_the_map()
    found = snakemake(project.folder, *BY_TIMES)
    assert found.returncode == 1
    assert "has older modification time" in found.stdout
    assert "clock skew" in found.stdout
    os.utime(project.folder / MAP)
    found = snakemake(project.folder, *BY_TIMES)
    assert found.returncode == 0, found.stdout
    assert project.differences() == []


@pytest.mark.slow
def test_run_whose_clock_was_set_back_by_years_is_taken_as_it_is(project):
    shift([path for path in (project.folder / "results").rglob("*") if path.is_file()], -4000)
    assert jobs(project.folder) == {}
