"""``kill -9`` at random instants, and the same command again: ten here, a hundred and more by `make faults`."""

import random

import fault_jobs
import fault_kills
import pytest
from fault_kills import at_a_rename, at_any_time, chosen, contents, kill_once

#: Changed with what falls into a share of the tests; `make faults` draws its own.
SEED = 1


def test_ten_kills_change_no_result(project):
    rng = random.Random(SEED)
    # The report is long in the making; it has its turn in the hundred.
    jobs = chosen([job for job in project.jobs if job.step != "report"], 7, rng)
    for job in jobs:
        seconds = fault_jobs.run(project.folder, job)
        kill_once(project.folder, job, project.wanted, rng, at_any_time(seconds))
    for job in chosen([job for job in project.jobs if job.step in ("train", "rasterise", "compare")], 3, rng):
        kill_once(project.folder, job, project.wanted, rng, at_a_rename)
    assert project.differences() == []


def test_every_step_is_killed_as_often_as_any_other(project):
    steps = [job.step for job in chosen(project.jobs, 100, random.Random(SEED))]
    counts = {step: steps.count(step) for step in {job.step for job in project.jobs}}
    assert len(steps) == 100
    assert max(counts.values()) - min(counts.values()) <= 1


def test_what_a_kill_must_not_leave_is_found(project):
    job = next(one for one in project.jobs if one.step == "evaluate")
    output = project.folder / job.outputs[0]

    def half_written(*_):
        output.write_bytes(output.read_bytes()[:-1])
        return "an instant"

    with pytest.raises(fault_kills.Harm, match="there and not whole"):
        kill_once(project.folder, job, project.wanted, random.Random(SEED), half_written)

    def something_beside(*_):
        (output.parent / ".left.1.partial.csv").touch()
        return "an instant"

    fault_jobs.run(project.folder, job)
    with pytest.raises(fault_kills.Harm, match="are others"):
        kill_once(project.folder, job, project.wanted, random.Random(SEED), something_beside)


def test_nothing_but_times_may_differ(project):
    logs, benchmarks = (project.folder / "results" / name for name in fault_kills.TOLD)
    assert logs.is_dir() and benchmarks.is_dir()  # noqa: PT018
    judged = contents(project.folder)
    assert {name.split("/")[1] for name in judged} == {"demo", "slides", "runs", "report"}
    page = project.folder / "results" / "report" / "tiny" / "index.html"
    assert "results/report/tiny/index.html" in judged
    page.write_text(page.read_text(encoding="utf-8").replace("macro F1", "macro F2", 1), encoding="utf-8")
    assert project.differences() == ["results/report/tiny/index.html"]


@pytest.mark.slow
def test_run_of_snakemake_killed_again_and_again_ends_in_the_same_results(tiny, tmp_path):
    # That of the fixture was started by Snakemake too.
    assert fault_kills.of_runs(tmp_path, tiny.wanted, 3, 60.0, random.Random(SEED)) == []
