"""A small disk that fills up, and one that can only be read, under every step of a run."""

import contextlib
import random
import shutil

import fault_disks
import pytest


@contextlib.contextmanager
def disk_of(project, place):
    """A copy of a complete run on a disk of its own."""
    try:
        with fault_disks.small_disk(place) as folder:
            shutil.copytree(project.folder, folder, symlinks=True, dirs_exist_ok=True)
            yield folder
    except fault_disks.NoDisk as why:
        pytest.skip(f"no disk to fill: {why}")


# Of the tiny run; the steps that it lacks are those of the slow tests.
def test_disk_that_fills_up_is_one_line_and_leaves_every_file_as_it_was(tiny, tmp_path):
    with disk_of(tiny, tmp_path / "disk") as disk:
        assert fault_disks.of_full(disk, tiny.of_each_step(), tiny.wanted, random.Random(1)) == []


def test_disk_that_can_only_be_read_is_one_line(tiny, tmp_path):
    quick = [job for job in tiny.of_each_step() if job.step not in ("train", "compare", "report")]
    with disk_of(tiny, tmp_path / "disk") as disk:
        assert fault_disks.of_read_only(disk, quick, tiny.wanted) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_disk_fills_up_under_every_step(every_step, tmp_path, seed):
    with disk_of(every_step, tmp_path / "disk") as disk:
        jobs = every_step.of_each_step()
        assert fault_disks.of_full(disk, jobs, every_step.wanted, random.Random(seed)) == []


@pytest.mark.slow
def test_disk_can_only_be_read_under_every_step(every_step, tmp_path):
    with disk_of(every_step, tmp_path / "disk") as disk:
        assert fault_disks.of_read_only(disk, every_step.of_each_step(), every_step.wanted) == []
