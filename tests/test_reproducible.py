"""The same seed gives the same results to the bit, whatever the cores, threads and workers."""

import os
import subprocess
import sys
from pathlib import Path

import made_cohort
import numpy as np
import pytest
import tifffile
import torch
import yaml
from compared import assert_the_same, contents

# Every command of a run, each through its own front door, in a process that has the cores it is given.
SCRIPT = """
import sys
import made_cohort
for arguments in made_cohort.all_steps():
    outcome = made_cohort.hooknet(*arguments)
    assert outcome.status == 0, (arguments, outcome)
"""


def run(folder: Path, workers: int, threads: int, cores: set[int] | None = None, seed: int = 1) -> Path:
    """A complete run; ``threads`` of the libraries beside torch, whose own number is a setting."""
    folder.mkdir()
    made_cohort.write(folder)
    path = folder / "experiments.yaml"
    settings = yaml.safe_load(path.read_text())
    for one in settings["experiments"].values():
        one["train"] = {**one["train"], "workers": workers}
        one["seeds"] = [seed]
    path.write_text(yaml.safe_dump(settings))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GDAL_NUM_THREADS")
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={
            **os.environ,
            **dict.fromkeys(names, str(threads)),
            "PYTHONHASHSEED": str(threads),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]]),
        },
        preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain") / "run", workers=0, threads=1)


def assert_the_same_to_the_bit(folder, other):
    """As ``assert_the_same``; a map tells its weights' file, which tells the settings: the number of workers too."""
    paths = [str(path.relative_to(other)) for path in other.glob("results/runs/*/maps/*.tif")]
    assert paths
    for path in paths:
        assert np.array_equal(tifffile.imread(folder / path), tifffile.imread(other / path))
        (folder / path).write_bytes((other / path).read_bytes())
    assert_the_same(folder, other)


@pytest.mark.slow
def test_the_same_again_is_the_same_byte_by_byte(plain, tmp_path):
    assert_the_same(run(tmp_path / "run", 0, 1), plain)


def test_all_is_the_same_with_workers_and_threads(plain, tmp_path):
    assert_the_same_to_the_bit(run(tmp_path / "run", 2, 3), plain)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
def test_all_is_the_same_on_one_core(plain, tmp_path):
    assert_the_same_to_the_bit(run(tmp_path / "run", 1, 2, {min(os.sched_getaffinity(0))}), plain)


@pytest.mark.slow
def test_another_seed_gives_other_weights_and_nothing_else_before_them(plain, tmp_path):
    files, tensors = contents(run(tmp_path / "run", 0, 1, seed=2))
    wanted_files, wanted_tensors = contents(plain)
    kernels = [name for name, one in wanted_tensors.items() if one.ndim == 4]
    assert kernels
    assert not [name for name in kernels if torch.equal(tensors[name], wanted_tensors[name])]
    before = [name for name in wanted_files if name.startswith("slides/")]
    assert before
    assert [name for name in before if files[name] != wanted_files[name]] == []
