import numpy as np
import pytest
import torch

from hooknet.inference import memory
from hooknet.inference.memory import (
    BESIDES,
    OutOfMemory,
    fits,
    free_bytes,
    network_budget,
    noticing_out_of_memory,
    tile_bytes,
)
from hooknet.shapes.hooknet import HookNetSettings

SHAPE = HookNetSettings(spacings=(0.5, 8.0), classes=6, filters=64, patch_size=284).shape


def test_the_bytes_of_a_tile_are_those_of_its_largest_maps():
    tile = SHAPE.tile(2268)
    # The last up-convolution: 128 channels in, 64 out, 2058 px; four encoder maps wait; views; logits.
    maps = 192 * 2058**2 + sum(64 * 2**d * (s**2) for d, s in enumerate((2264, 1128, 560, 276)))
    ends = 6 * (2268**2 + 348**2) + 3 * 6 * 2054**2
    assert SHAPE.tile_values(tile) == maps + ends
    assert tile_bytes(SHAPE, "torch", tile) > 4 * (maps + ends)


def test_larger_tiles_take_more_and_fit_where_there_is_more():
    sizes = [tile_bytes(SHAPE, "openvino", SHAPE.tile(size)) for size in (476, 1244, 2268)]
    assert sizes == sorted(sizes)
    allowed = fits(SHAPE, "openvino", sizes[1])
    assert allowed(SHAPE.tile(1244))
    assert not allowed(SHAPE.tile(1500))


def test_a_budget_is_what_the_process_may_hold_less_what_it_holds_besides(monkeypatch):
    processor = torch.device("cpu")
    assert network_budget(processor, 8_000_000_000) == 8_000_000_000 - BESIDES
    monkeypatch.setattr(memory, "free_bytes", lambda: 20e9)
    assert network_budget(processor, None) == 10e9 - BESIDES


def test_free_memory_is_a_number_of_this_machine():
    assert 1e7 < free_bytes() < 1e14


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
