import os
import subprocess
import sys

import pytest
import torch

from hooknet.models import gpus

HOLDS = """
import sys
from pathlib import Path
from hooknet.models.gpus import take_free
print(take_free(["a", "b"], Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holders(tmp_path):
    """Starts processes that each take a GPU of two, and says which they took."""
    started = []

    def start():
        one = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(tmp_path / "gpus")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(one)
        return one, one.stdout.readline().strip()

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_processes_side_by_side_take_each_its_own_and_a_killed_one_gives_its_own_back(holders):
    first, taken = holders()
    assert taken == "0"
    assert holders()[1] == "1"
    assert holders()[1] == "None"
    first.kill()
    first.wait()
    assert holders()[1] == "0"


def test_without_a_gpu_the_processor_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpus.device() == torch.device("cpu")


@pytest.fixture
def three(monkeypatch, tmp_path):
    """Three GPUs, of which the second has most memory left; locks are held in a folder of the test."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda number: type("Properties", (), {"uuid": f"gpu{number}"})()
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: ([5, 9, 7][number], 10))
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    held = []
    monkeypatch.setattr(gpus, "_HELD", held)
    gpus.own_gpu.cache_clear()
    yield tmp_path
    gpus.own_gpu.cache_clear()
    for file in held:
        file.close()


def test_a_process_keeps_the_first_that_nobody_holds(three):
    assert [gpus.own_gpu(), gpus.own_gpu()] == [0, 0]
    gpus.own_gpu.cache_clear()
    assert gpus.own_gpu() == 1


def test_where_locks_cannot_be_held_that_is_told(three, caplog):
    (three / f"hooknet-gpus-{os.getuid()}").write_text("no folder")
    assert gpus.own_gpu() == 1
    assert "locks of GPUs cannot be held there (File exists); sharing GPU 1" in caplog.text


def test_where_all_are_taken_the_one_with_most_memory_left_is_shared(three, monkeypatch, caplog):
    monkeypatch.setattr(gpus, "take_free", lambda names, folder: None)
    assert gpus.own_gpu() == 1
    assert "all 3 GPUs are taken; sharing GPU 1" in caplog.text


def rounds():
    return [one.allow_tf32 for one in (torch.backends.cudnn, torch.backends.cuda.matmul)]


def test_what_needs_fp32_is_in_fp32_whatever_is_around_it():
    before = rounds()
    with gpus.rounding_to_tf32(True), torch.autocast("cpu", torch.bfloat16):
        assert rounds() == [True, True]
        with gpus.in_fp32(torch.device("cpu")):
            assert rounds() == [False, False]
            assert not torch.is_autocast_enabled("cpu")
        assert rounds() == [True, True]
        assert torch.is_autocast_enabled("cpu")
    assert rounds() == before
