import numpy as np
import pytest
import torch

from hooknet.inference import memory
from hooknet.inference.memory import (
    OutOfMemory,
    fits,
    free_bytes,
    network_budget,
    noticing_out_of_memory,
)
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.memory import BESIDES, tile_bytes

SHAPE = HookNetSettings(spacings=(0.5, 8.0), classes=6, filters=64, patch_size=284).shape


def test_the_bytes_of_a_tile_are_those_of_its_largest_maps():
    tile = SHAPE.tile(2268)
    # The last up-convolution: 128 channels in, 64 out, 2058 px; four encoder maps wait; views; logits.
    maps = 192 * 2058**2 + sum(64 * 2**d * (s**2) for d, s in enumerate((2264, 1128, 560, 276)))
    ends = 6 * (2268**2 + 348**2) + 3 * 6 * 2054**2
    assert SHAPE.tile_values(tile) == maps + ends
    assert tile_bytes(SHAPE, tile) > 4 * (maps + ends)


def test_larger_tiles_take_more_and_fit_where_there_is_more():
    sizes = [tile_bytes(SHAPE, SHAPE.tile(size)) for size in (476, 1244, 2268)]
    assert sizes == sorted(sizes)
    allowed = fits(SHAPE, sizes[1])
    assert allowed(SHAPE.tile(1244))
    assert not allowed(SHAPE.tile(1500))


def test_a_budget_is_what_the_process_may_hold_less_what_it_holds_besides(monkeypatch):
    processor = torch.device("cpu")
    assert network_budget(processor, 8_000_000_000) == 8_000_000_000 - BESIDES
    monkeypatch.setattr(memory, "free_bytes", lambda: 20e9)
    assert network_budget(processor, None) == 10e9 - BESIDES


def test_free_memory_is_a_number_of_this_machine():
    assert 1e7 < free_bytes() < 1e14


def group(folder, limit, used, cached, names=("memory.max", "memory.current", "inactive_file")):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(
        (*names[:2], "memory.stat"), (limit, used, f"anon 5\n{names[2]} {cached}\n"), strict=True
    ):
        (folder / name).write_text(str(value))
    return folder


def test_a_control_group_leaves_its_limit_less_what_is_used_and_cannot_go(tmp_path):
    assert memory._left_in(group(tmp_path / "a", 1000, 900, 300)) == 400
    assert memory._left_in(group(tmp_path / "b", "max", 900, 300)) is None
    old = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    assert memory._left_in(group(tmp_path / "c", 5000, 900, 100, old)) == 4200
    assert memory._left_in(tmp_path / "none") is None


def test_the_narrowest_control_group_counts(tmp_path, monkeypatch):
    outer = group(tmp_path / "outer", 10**6, 0, 0)
    inner = group(outer / "inner", 3000, 1000, 0)
    monkeypatch.setattr(memory, "_control_groups", lambda: [inner, outer])
    assert free_bytes() == 2000


def test_control_groups_are_those_of_this_process_and_all_that_hold_them(tmp_path):
    told = tmp_path / "cgroup"
    told.write_text("5:memory:/job/step\n3:cpu,cpuacct:/other\n0::/slice/unit\n")
    assert [str(one) for one in memory._control_groups(told)] == [
        "/sys/fs/cgroup/memory/job/step", "/sys/fs/cgroup/memory/job", "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/slice/unit", "/sys/fs/cgroup/slice", "/sys/fs/cgroup",
    ]  # fmt: skip
    assert list(memory._control_groups(tmp_path / "none")) == []


def test_maps_beyond_the_reach_of_fast_kernels_do_not_fit():
    largest = max(one.values for one in SHAPE.inference_convolutions(SHAPE.tile(2268).sizes))
    assert largest < memory.MOST_VALUES
    assert not fits(SHAPE, 1e15)(SHAPE.tile(5000))


@pytest.mark.parametrize(
    "told",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
        ),
        RuntimeError("Exception from src/inference: std::bad_alloc"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    ],
)
def test_memory_that_ran_out_is_noticed(told):
    with pytest.raises(OutOfMemory), noticing_out_of_memory():
        raise told


def test_a_real_failure_to_allocate_is_noticed():
    with pytest.raises(OutOfMemory), noticing_out_of_memory():
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(OutOfMemory), noticing_out_of_memory():
        np.empty(2**60, dtype=np.uint8)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="sizes do not match"), noticing_out_of_memory():
        raise RuntimeError("sizes do not match")
