import multiprocessing
import pickle

import numpy as np
import pytest

from hooknet.io.blocks import BlockCache, block_side, parts


@pytest.mark.parametrize(
    ("tile", "side"),
    [(0, 256), (64, 256), (240, 240), (256, 256), (512, 512), (1024, 1024), (1920, 256), (8, 200)],
)
def test_blocks_are_whole_tiles_but_not_of_strips(tile, side):
    assert block_side(tile) == side


def test_parts_cover_what_is_taken_once_and_neighbours_overlap_by_their_margins():
    found = parts(-3, 21, 10, 1)
    assert [(one.first, one.side, one.low, one.high) for one in found] == [
        (-11, 12, -3, 0),
        (-1, 12, 0, 10),
        (9, 12, 10, 20),
        (19, 12, 20, 21),
    ]
    assert [(one.own, one.count) for one in found] == [
        (slice(7, 12), 5),
        (slice(0, 12), 12),
        (slice(0, 12), 12),
        (slice(0, 3), 3),
    ]


def block_of(value):
    return np.full((10, 10), value, np.uint8)  # 100 bytes


def read_through(cache, keys):
    """Which of the keys had to be read."""
    read = []
    for key in keys:
        found = cache.get(key, lambda key=key: read.append(key) or block_of(key))
        np.testing.assert_array_equal(found, block_of(key))
    return read


def test_the_block_used_longest_ago_goes_first_and_the_limit_holds():
    cache = BlockCache(350)
    assert read_through(cache, [1, 2, 3]) == [1, 2, 3]
    assert cache.bytes == 300
    assert read_through(cache, [1, 4]) == [4]  # 2 goes, as 1 was used again
    assert read_through(cache, [1, 3, 4]) == []
    assert read_through(cache, [2]) == [2]  # 1 goes
    assert read_through(cache, [3, 4, 2]) == []
    assert cache.bytes == 300


def test_a_limit_of_0_and_blocks_beyond_the_limit_keep_nothing():
    for limit in (0, 99):
        cache = BlockCache(limit)
        assert read_through(cache, [1, 1]) == [1, 1]
        assert cache.bytes == 0


def test_kept_blocks_cannot_be_changed():
    block = BlockCache(1000).get("a", lambda: block_of(1))
    with pytest.raises(ValueError, match="read-only"):
        block[0] = 0


def test_a_block_that_another_thread_kept_meanwhile_counts_once():
    cache = BlockCache(1000)

    def read():
        cache.get("a", lambda: block_of(1))  # as another thread would, while this one reads
        return block_of(1)

    cache.get("a", read)
    assert cache.bytes == 100


def test_a_copy_and_a_forked_process_begin_with_none():
    cache = BlockCache(1000)
    read_through(cache, [1, 2])
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.limit, copy.bytes) == (1000, 0)
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=lambda: queue.put((cache.bytes, read_through(cache, [1]), cache.bytes)))
    child.start()
    assert queue.get(timeout=30) == (0, [1], 100)
    child.join()
    assert cache.bytes == 200
